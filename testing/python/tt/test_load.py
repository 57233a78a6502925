"""`-p tilelang_tt_pytest.load`: the package in tests that know nothing of it, and how little it changes for them."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tvm
from support import host
from support.legs import QUICK

import tilelang.tt
import tilelang_tt_pytest.load as load
from tilelang.tt import _host
from tilelang.tt._imports import when_imported
from tilelang.tt.errors import refusal
from tilelang.tt.testing.compare import config
from tilelang.tt.testing.compare.pattern import names
from tilelang.tt.testing.compare.priorities import Priorities

pytestmark = pytest.mark.stage("host")

ROOT = Path(__file__).parents[3]

TEST = """
import sys

def test_loaded():
    import tvm
    assert ("tilelang.tt" in sys.modules) == LOADED
    assert ("tenstorrent" in tvm.target.list_tags()) == LOADED
"""
# What pytest imports before the tests sees the package as they do.
CONFTEST = f"""
import sys
{"import tilelang" if host.ON_TILELANG else ""}
LOADED = "tilelang.tt" in sys.modules and "tvm" in sys.modules

def pytest_collection_modifyitems(items):
    for item in items:
        item.module.LOADED = LOADED
"""


def run_pytest(folder, *arguments):
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *arguments, str(folder)]
    quick = {**os.environ, **QUICK}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=quick)


@pytest.mark.parametrize("plugin", ["tilelang_tt_pytest.load", "no:tilelang-tt"])
def test_any_folder_of_tests(tmp_path, plugin):
    (tmp_path / "test_loaded.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    done = run_pytest(tmp_path, "-p", plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("is loaded into" in done.stdout) == (plugin == load.__name__)


def test_header():
    line = load.pytest_report_header()
    assert line.startswith(
        f"tilelang.tt {tilelang.tt.__version__} is loaded into {host.HOST} {host.VERSION} with apache-tvm-ffi "
    )


def test_without_a_host_it_refuses(monkeypatch):
    def nothing():
        raise refusal("TT120", "no TVM to run the passes in")

    monkeypatch.setattr(_host, "require_host", nothing)
    with pytest.raises(pytest.UsageError, match=r"^-p tilelang_tt_pytest\.load: TT120: no TVM to run the passes in"):
        load._load()


def test_where_it_would_be_idle_it_refuses(monkeypatch):
    monkeypatch.setattr(tvm.target, "list_tags", dict)
    with pytest.raises(pytest.UsageError, match=r'does not know the target "tenstorrent"; tilelang\.tt is idle$'):
        load._load()


def write_files(folder):
    for name in ("tt_first", "tt_second"):
        (folder / f"{name}.py").write_text("")
    return folder


def write_archive(folder):
    """Its one loader is that of all its modules."""
    with zipfile.ZipFile(folder / "modules.zip", "w") as archive:
        for name in ("tt_first", "tt_second"):
            archive.writestr(f"{name}.py", "")
    return folder / "modules.zip"


@pytest.mark.parametrize("write", [write_files, write_archive])
def test_a_followed_import_leaves_nothing_behind(tmp_path, monkeypatch, write):
    followed = []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.syspath_prepend(str(write(tmp_path)))
    when_imported("tt_second", lambda: followed.append(sorted(name for name in sys.modules if name[:3] == "tt_")))
    try:
        assert importlib.util.find_spec("tt_second") is not None
        first = importlib.import_module("tt_first")
        assert followed == [], "nobody has imported it"
        second = importlib.import_module("tt_second")
        assert followed == [["tt_first", "tt_second"]]
        for module in (first, second):
            assert "exec_module" not in vars(module.__spec__.loader)
    finally:
        for name in ("tt_first", "tt_second"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["hosts", "loaded"])
def test_comparisons_of_this_project(name):
    comparison = config.read(ROOT / f"testing/comparisons/{name}.toml")
    assert [test for test in comparison.tests if not (ROOT / test).is_dir()] == []
    assert comparison.package == "tilelang-tt"


def test_priorities_of_this_project_name_files_that_exist():
    files = [file.relative_to(ROOT).as_posix() for file in Path(__file__).parent.glob("test_*.py")]
    priorities = Priorities.read(ROOT / "testing/comparisons/priorities.toml")
    assert [rule for rule, _ in priorities.rules if not any(names(rule, file) for file in files)] == []
