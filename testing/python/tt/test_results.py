"""JUnit XML: what is written is read again, whatever is in it, and what pytest writes elsewhere is read as well."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.legs import QUICK

from tilelang.tt import errors
from tilelang.tt.testing.compare import results
from tilelang.tt.testing.compare.model import FileRun, Result

pytestmark = pytest.mark.stage("testing")

FILE = "tests/test_a.py"
# Also what XML cannot hold, lone surrogates among it.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
# A carriage return is a line feed after XML, and what cannot be in it is its number, as pytest has it.
messages = st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=20).filter(str.isprintable)
seconds = st.integers(0, 10**6).map(lambda ms: ms / 1000)
names = texts.map(lambda name: f"{FILE}::test_{name}")


@st.composite
def runs(draw):
    ending = draw(st.sampled_from(["finished", "crashed", "timed_out", "uncollected"]))
    outcomes = st.sampled_from(["passed", "failed", "error", "skipped"] if ending == "finished" else [ending])
    drawn = draw(st.dictionaries(names, st.tuples(outcomes, seconds, messages), max_size=5))
    found = {
        test: Result(test, outcome, time, "" if outcome == "passed" else text, outcome == "skipped" and len(text) > 9)
        for test, (outcome, time, text) in drawn.items()
    }
    reported = draw(st.dictionaries(names, st.sampled_from(["passed", "failed"]), max_size=2))
    loaded = draw(st.dictionaries(texts, st.none() | texts, max_size=2))
    peak = draw(st.none() | st.integers(0))
    return FileRun(FILE, ending, draw(texts), draw(texts), draw(seconds), peak, reported, found, loaded)


def same(one, other):
    """Without the messages that were empty, for which the outcome stands."""

    def plain(run):
        return {
            test: (each.outcome, each.seconds, each.message or each.outcome, each.expected)
            for test, each in run.results.items()
        }

    return plain(one) == plain(other) and {**vars(one), "results": 0} == {**vars(other), "results": 0}


@given(runs(), texts)
def test_what_is_written_is_read_again(tmp_path, run, key):
    path = tmp_path / "folder" / "test_a.py.xml"
    results.write(path, run, key)
    (found,) = results.read(path)
    assert same(found, run)
    assert results.key_of(path) == key
    assert list(path.parent.iterdir()) == [path]


def cases(path):
    found = ElementTree.parse(path).iter("testcase")
    return [
        ([case.get(name) for name in ("classname", "name", "file")], case.find("failure"), case.find("error"))
        for case in found
    ]


def test_other_readers_see_it_too(tmp_path):
    path = tmp_path / "a.xml"
    test = f"{FILE}::TestA::test_b[x::y/z]"
    results.write(path, FileRun(FILE, "finished", results={test: Result(test, "failed", message="no")}))
    ((names, failure, error),) = cases(path)
    assert (names, failure.text, error) == (["tests.test_a.TestA", "test_b[x::y/z]", FILE], "no", None)
    results.write(path, FileRun(FILE, "crashed", "SIGSEGV"))
    ((names, failure, error),) = cases(path)
    assert (names, failure, error.text) == (["", "tests.test_a", FILE], None, "SIGSEGV")


MODULE = """
import pytest

def test_passed(): pass
def test_failed(): assert 0, "a reason"
@pytest.mark.skip(reason="no chip")
def test_skipped(): pass
@pytest.mark.xfail
def test_xfailed(): assert 0
@pytest.fixture
def broken():
    yield
    assert 0, "torn"
def test_twice(broken): assert 0
class TestA:
    class TestB:
        @pytest.mark.parametrize("text", ["a::b", "c/d.py::e", "[", "\\x00"])
        def test_c(self, text): pass
"""
OUTCOMES = {
    "test_passed": "passed",
    "test_failed": "failed",
    "test_skipped": "skipped",
    "test_xfailed": "skipped",
    "test_twice": "error",
    **{f"TestA::TestB::test_c[{text}]": "passed" for text in ("a::b", "c/d.py::e", "[", "\\x00")},
}


@pytest.fixture(scope="module")
def made_by_pytest(tmp_path_factory):
    """The XML that pytest writes of a few files, in both of its families."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tests").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "tests" / "test_a.py").write_text(MODULE)
    (folder / "tests" / "test_skip.py").write_text("import pytest\npytest.skip('all', allow_module_level=True)\n")
    (folder / "tests" / "test_import.py").write_text("import a_module_that_is_nowhere\n")
    quick = {**os.environ, **QUICK}
    for family in ("xunit1", "xunit2"):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        options = ["-o", f"junit_family={family}", f"--junitxml={family}/all.xml", "--continue-on-collection-errors"]
        subprocess.run([*command, *options], cwd=folder, env=quick, capture_output=True, check=False)
    return folder


def outcomes(run):
    return {test: result.outcome for test, result in run.results.items()}


def test_reports_of_pytest_with_files(made_by_pytest):
    found = results.read_folder(made_by_pytest / "xunit1")
    assert set(found) == {FILE, "tests/test_skip.py", "tests/test_import.py"}
    assert outcomes(found[FILE]) == {f"{FILE}::{test}": outcome for test, outcome in OUTCOMES.items()}
    assert [test for test, each in found[FILE].results.items() if each.expected] == [f"{FILE}::test_xfailed"]
    assert "a reason" in found[FILE].results[f"{FILE}::test_failed"].message
    assert "no chip" in found[FILE].results[f"{FILE}::test_skipped"].message
    assert outcomes(found["tests/test_skip.py"]) == {"tests/test_skip.py": "skipped"}
    assert found["tests/test_import.py"].ending == "uncollected"
    assert "a_module_that_is_nowhere" in found["tests/test_import.py"].detail


def test_reports_of_pytest_without_files(made_by_pytest):
    found = results.read_folder(made_by_pytest / "xunit2")
    assert set(found) == {"tests.test_a", "tests.test_a.TestA.TestB", "tests.test_skip", "tests.test_import"}
    assert outcomes(found["tests.test_a"])["tests.test_a::test_failed"] == "failed"
    assert found["tests.test_import"].ending == "uncollected"


def test_several_reports_of_one_file(tmp_path):
    for number, outcome in enumerate(["passed", "failed"]):
        found = {f"{FILE}::test_{i}": Result(f"{FILE}::test_{i}", outcome) for i in (number, 9)}
        results.write(tmp_path / f"{number}.xml", FileRun(FILE, "finished", seconds=1.5, results=found))
    (run,) = results.read_folder(tmp_path).values()
    assert outcomes(run) == {f"{FILE}::test_0": "passed", f"{FILE}::test_1": "failed", f"{FILE}::test_9": "failed"}
    assert run.seconds == 3


@pytest.mark.parametrize(
    "text", ["", "no XML", "<testsuites><testsuite", "<html/>", "<testsuite><testcase time='x'/></testsuite>"]
)
def test_something_else(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(errors.ComparisonError, match=r"TT999: .*a.xml: .*; expected JUnit XML"):
        results.read_folder(tmp_path)
    assert results.key_of(tmp_path / "a.xml") is None


def test_a_folder_without_reports(tmp_path):
    with pytest.raises(errors.ComparisonError, match=r"TT999: .*: found no .xml file"):
        results.read_folder(tmp_path)
    assert results.key_of(tmp_path / "none.xml") is None
