"""Files of tests by their names."""

from pathlib import Path

import pytest

from tilelang.tt import errors
from tilelang.tt.testing.compare.selection import expand

pytestmark = pytest.mark.stage("testing")

FILES = [
    "a/test_a.py",
    "a/b/b_test.py",
    "a/b/helper.py",
    "a/build/test_c.py",
    "a/.hidden/test_d.py",
    "a/env/pyvenv.cfg",
    "a/env/test_e.py",
    "a/test_f.txt",
    "empty/none.py",
]


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    here = tmp_path / "here"
    for file in FILES:
        (here / file).parent.mkdir(parents=True, exist_ok=True)
        (here / file).write_text("")
    (tmp_path / "test_outside.py").write_text("")
    monkeypatch.chdir(here)


def test_folders_and_files():
    both = {"a/b/b_test.py": ("a/b/b_test.py",), "a/test_a.py": ("a/test_a.py",)}
    assert expand(["a"]) == expand(["./a/", "a/test_a.py"]) == expand([str(Path("a").absolute())]) == both
    assert list(expand(["a"])) == sorted(both)
    assert expand(["a"], ["help*.py"]) == {"a/b/helper.py": ("a/b/helper.py",)}
    assert expand(["a/b/helper.py"]) == {"a/b/helper.py": ("a/b/helper.py",)}


def test_node_ids():
    assert expand(["a/test_a.py::x", "./a/test_a.py::y[1::2]", "a/test_a.py::x"]) == {
        "a/test_a.py": ("a/test_a.py::x", "a/test_a.py::y[1::2]")
    }
    assert expand(["a/test_a.py::x", "a/test_a.py"]) == {"a/test_a.py": ("a/test_a.py",)}


def test_files_outside(tmp_path):
    outside = str(tmp_path / "test_outside.py")
    assert expand(["../test_outside.py"]) == {outside: (outside,)}


@pytest.mark.parametrize("test", ["nowhere", "a::x", "a/test_b.py::x", ""])
def test_nowhere(test):
    with pytest.raises(errors.ComparisonError, match=f"TT998: {test}: found no such file or folder in"):
        expand(["a", test])


def test_a_folder_without_tests():
    with pytest.raises(errors.ComparisonError, match=r"TT998: empty: found no file like test_\*.py or \*_test.py"):
        expand(["a", "empty"])
