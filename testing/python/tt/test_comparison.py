"""A candidate that is broken in every way: each is found, and nothing else."""

import json
import shutil
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import jump_when_written
from support.legs import QUICK, look_at_once

from tilelang.tt import errors
from tilelang.tt.testing.compare import comparison, results
from tilelang.tt.testing.compare.config import Comparison
from tilelang.tt.testing.compare.model import FileRun, Leg, Result

pytestmark = pytest.mark.stage("testing")

BASELINE = Leg("baseline", sys.executable, QUICK)
CANDIDATE = Leg("candidate", sys.executable, {**QUICK, "BROKEN": "1"})

# What each file has, where BROKEN is set in the candidate, and what is found of it.
FILES = {
    "test_values.py": """
        import os, pathlib, pytest
        BROKEN = "BROKEN" in os.environ

        def test_regression(): assert not BROKEN, "the planted regression"
        def test_flaky():
            state = pathlib.Path("runs")
            runs = len(state.read_text()) if state.exists() else 0
            if BROKEN:
                state.write_text("x" * (runs + 1))
            assert runs or not BROKEN
        if not BROKEN:
            def test_vanished(): pass
        @pytest.mark.skipif(BROKEN, reason="the planted loss")
        def test_lost(): pass
        if BROKEN:
            def test_new(): pass
        def test_fixed(): assert BROKEN
        @pytest.mark.skip
        def test_skipped_in_both(): pass
        def test_failing_in_both(): assert 0
        def test_passing_in_both(): pass
        """,
    "test_crash.py": """
        import os, signal
        def test_before(): pass
        def test_crash():
            if "BROKEN" in os.environ:
                os.kill(os.getpid(), signal.SIGSEGV)
        def test_after(): pass
        """,
    "test_forever.py": """
        import os, time
        def test_forever():
            if "BROKEN" in os.environ:
                with open("forever", "a") as file:
                    file.write("x")
                time.sleep(600)
        """,
    "test_import.py": """
        import os
        assert "BROKEN" not in os.environ, "the planted import"
        def test_imported(): pass
        """,
    "test_hidden.py": """
        import os, pytest
        if "BROKEN" not in os.environ: pytest.skip("a platform that has none", allow_module_level=True)
        raise ImportError("the planted import, of what nobody could see")
        """,
    "test_crash_in_both.py": """
        import os
        def test_earlier(): assert "BROKEN" not in os.environ
        def test_abort(): os.abort()
        def test_behind(): assert "BROKEN" not in os.environ
        """,
    "test_broken_in_both.py": "import a_module_that_is_nowhere",
}
FOUND = {
    "test_values.py::test_regression": "regression",
    "test_values.py::test_flaky": "flaky",
    "test_values.py::test_vanished": "vanished",
    "test_values.py::test_lost": "lost",
    "test_values.py::test_new": "new",
    "test_values.py::test_fixed": "fixed",
    "test_crash.py::test_before": "regression",
    "test_crash.py::test_crash": "regression",
    "test_crash.py::test_after": "regression",
    "test_forever.py::test_forever": "regression",
    "test_import.py::test_imported": "regression",
    "test_hidden.py": "regression",
    "test_crash_in_both.py::test_earlier": "regression",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Makes a project of some of the files, and others, in a folder that is the current one."""
    look_at_once(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def make(*names, **files):
        for name, text in {**{name: FILES[name] for name in names}, **files}.items():
            Path(name if "." in name else f"{name}.py").write_text(textwrap.dedent(text))

    return make


BOTH = ["baseline", "candidate"]
LOADED = {"baseline": {"turtledemo": None}, "candidate": {"turtledemo": "/lib/turtledemo.py"}}


class Ran(list):
    """Leg and file of what has run without a process: every file has one test, which passes."""

    interrupt_at = None

    def __call__(self, leg, file, *_, **__):
        if len(self) == self.interrupt_at:
            raise KeyboardInterrupt
        self.append((leg.name, file))
        test = f"{file}::test_a"
        return FileRun(file, "finished", results={test: Result(test, "passed")}, loaded=LOADED[leg.name])


@pytest.fixture
def ran(monkeypatch):
    monkeypatch.setattr(comparison, "run_file", Ran())
    return comparison.run_file


def compared(*, files=(".",), out="out", progress=comparison._quiet, **options):
    wanted = Comparison(files, (BASELINE, CANDIDATE), **{"reruns": 1, "time_limit": 60.0, **options})
    return comparison.compare(wanted, out, progress)


def kinds(report):
    return {finding.test: finding.kind for finding in report.findings}


def test_every_kind_of_finding(project, monkeypatch):
    project(*FILES)
    jump_when_written(monkeypatch, Path("forever").absolute())
    seen = []
    report = compared(progress=lambda leg, run, done, total: seen.append((leg, run.file, done, total)))
    assert kinds(report) == FOUND
    assert report.breaks
    by_test = {finding.test: finding for finding in report.findings}
    assert by_test["test_values.py::test_regression"].reruns == ("failed",)
    assert by_test["test_values.py::test_regression"].baseline_reruns == ("passed",)
    assert "the planted regression" in by_test["test_values.py::test_regression"].message
    assert by_test["test_values.py::test_flaky"].reruns == ("passed",)
    assert "the planted loss" in by_test["test_values.py::test_lost"].message
    culprit = "test_crash.py::test_crash"
    assert (by_test[culprit].candidate, by_test[culprit].reruns, by_test[culprit].culprit) == (
        "crashed",
        ("crashed",),
        "",
    )
    assert by_test[culprit].message.startswith(f"crashed in {culprit}: SIGSEGV")
    assert by_test["test_crash_in_both.py::test_earlier"].reruns == ("failed",)
    for innocent in ("test_crash.py::test_before", "test_crash.py::test_after"):
        assert (by_test[innocent].reruns, by_test[innocent].culprit) == (("passed",), culprit)
    assert by_test["test_forever.py::test_forever"].candidate == "timed_out"
    assert by_test["test_import.py::test_imported"].candidate == "uncollected"
    assert "the planted import" in by_test["test_import.py::test_imported"].message
    counts = {each.file: each for each in report.files}
    assert counts["test_broken_in_both.py"].candidate == {"uncollected": 1}
    assert (counts["test_values.py"].missing, counts["test_values.py"].new) == (1, 1)
    assert counts["test_values.py"].skipped_in_both == 1
    first, again = seen[: 2 * len(FILES)], seen[2 * len(FILES) :]
    assert {place[:2] for place in first} == {(leg, file) for leg in ("baseline", "candidate") for file in FILES}
    assert [place[2:] for place in first] == [(done, len(first)) for done in range(1, len(first) + 1)]
    assert {place[1:] for place in again} == {(finding.file, 1, 0) for finding in report.findings if finding.reruns}


def test_nothing_is_broken(project):
    project(test_a="def test_a(): pass\n")
    report = compared(jobs=2)
    assert report.findings == ()
    assert not report.breaks
    assert report.files[0].baseline == report.files[0].candidate == {"passed": 1}
    assert {path.name for path in Path("out").rglob("*.*")} == {
        ".gitignore",
        ".lock",
        "comparison.json",
        "test_a.py.xml",
    }
    assert report.legs[0].versions.keys() == {"python", "pytest"}


def test_the_diagnostic_leg(project):
    """Installed but switched off: what is broken there as well is not broken by its use."""
    project(
        test_a="""
            import os
            def test_used(): assert os.environ.get("BROKEN") != "used"
            def test_loaded(): assert "BROKEN" not in os.environ
            """
    )
    legs = [replace(BASELINE, name=name, variables={**QUICK, "BROKEN": name}) for name in ("used", "loaded")]
    legs = [BASELINE, replace(legs[0], name="candidate"), replace(legs[1], name="diagnostic")]
    report = comparison.compare(Comparison(("test_a.py",), tuple(legs), reruns=0), "out")
    assert {finding.test: finding.diagnostic for finding in report.findings} == {
        "test_a.py::test_used": "passed",
        "test_a.py::test_loaded": "failed",
    }


def interrupted(ran, after):
    """A comparison that ends when so many files have run."""
    ran.clear()
    ran.interrupt_at = after
    with pytest.raises(KeyboardInterrupt):
        compared()
    ran.interrupt_at = None


def test_an_interrupted_comparison_goes_on(project, ran):
    project(test_a="", test_b="")
    interrupted(ran, after=1)
    assert ran == [("baseline", "test_a.py")]
    assert compared().notes == ("1 runs of files are from before the comparison was interrupted",)
    every = [(leg, file) for leg in BOTH for file in ("test_a.py", "test_b.py")]
    assert ran == every
    assert compared().notes == ()  # one that was finished begins anew
    assert ran == every * 2


CHANGED = "the file, or what is around it, has changed since the interruption, and it was run anew"


def test_what_has_changed_since_the_interruption_is_run_anew(project, ran):
    project(test_a="", test_b="")
    interrupted(ran, after=3)
    project(test_a="# changed\n")
    report = compared()
    assert ran[3:] == [("baseline", "test_a.py"), ("candidate", "test_a.py"), ("candidate", "test_b.py")]
    assert report.notes[1:] == (
        f"baseline, test_a.py: {CHANGED}",
        f"candidate, test_a.py: {CHANGED}",
    )
    interrupted(ran, after=1)
    (note,) = compared(arguments=("-q",)).notes
    assert note == "baseline, test_a.py: the environment has changed since the interruption, and it was run anew"
    assert len(ran) == 5


@pytest.mark.parametrize("changed", ["a module beside it", "PYTEST_ADDOPTS"])
def test_what_is_around_the_tests_has_changed(project, ran, monkeypatch, changed):
    """As where a candidate that passed was broken while the comparison did not run."""
    project(test_a="", test_b="")
    interrupted(ran, after=3)
    if changed == "PYTEST_ADDOPTS":
        monkeypatch.setenv(changed, "-q")
    else:
        project(helpers="")
    assert len(compared().notes) == 3
    assert len(ran) == 7


def test_half_a_result_is_none(project, ran):
    """As after a process that was killed while it wrote, in a file system that lost the end."""
    project(test_a="", test_b="")
    interrupted(ran, after=3)
    path = Path("out/results/candidate/test_a.py.xml")
    path.write_text(path.read_text()[:100])
    assert compared().findings == ()
    assert ran[3:] == [("candidate", "test_a.py"), ("candidate", "test_b.py")]


def test_another_folder(project):
    project(test_a="def test_a(): pass\n")
    Path("out").mkdir()
    Path("out", "thesis.txt").write_text("unique")
    with pytest.raises(errors.ComparisonError, match="TT998: out holds something else than a comparison"):
        compared()
    assert [path.name for path in Path("out").iterdir()] == ["thesis.txt"]


def test_a_folder_in_use(project, ran):
    project(test_a="")

    def meddle(leg, run, done, total):
        with pytest.raises(errors.ComparisonError, match="TT998: out: another comparison runs in it"):
            compared()

    assert compared(progress=meddle).findings == ()
    assert compared().notes == ()


@pytest.mark.parametrize("left", [".lock", ".comparison.json.0123", "comparison.json"])
def test_a_comparison_that_was_killed_when_it_began(project, ran, left):
    project(test_a="")
    Path("out").mkdir()
    Path("out", left).touch()
    assert compared().findings == ()


@pytest.mark.parametrize(
    ("legs", "message"),
    [
        ((replace(BASELINE, loaded=("turtledemo",)), CANDIDATE), "baseline: turtledemo was not loaded when test_a.py"),
        ((BASELINE, replace(CANDIDATE, unloaded=("turtledemo",))), "candidate: turtledemo was loaded from /lib/"),
    ],
)
def test_contaminated_processes(project, ran, legs, message):
    project(test_a="")
    with pytest.raises(errors.ComparisonError, match=f"TT997: {message}"):
        comparison.compare(Comparison(("test_a.py",), legs), "out")


def test_processes_that_have_loaded_what_they_must(project, ran):
    project(test_a="")
    legs = (replace(BASELINE, unloaded=("turtledemo",)), replace(CANDIDATE, loaded=("turtledemo",)))
    assert comparison.compare(Comparison(("test_a.py",), legs), "out").findings == ()
    assert ran == [(leg, "test_a.py") for leg in BOTH]


def test_no_test_has_run(project):
    project(test_a="import a_module_that_is_nowhere\n")
    with pytest.raises(errors.ComparisonError, match="TT999: 1 files of tests: no test has run") as caught:
        compared()
    assert "a_module_that_is_nowhere" in str(caught.value)
    assert json.loads(Path("out/comparison.json").read_text()) == {"finished": True}


def test_no_test_has_run_in_the_baseline(project):
    project(test_a="import os\nassert 'BROKEN' in os.environ, 'not here'\ndef test_a(): assert 0\n")
    with pytest.raises(
        errors.ComparisonError, match="TT999: 1 files of tests: no test has run in the baseline"
    ) as caught:
        compared()
    assert "not here" in str(caught.value)


def test_results_that_cannot_be_removed_are_not_taken_for_new_ones(project, ran, monkeypatch):
    project(test_a="")
    compared()

    def refuse(path, *arguments, **options):
        if not options.get("ignore_errors"):
            raise PermissionError(path)

    monkeypatch.setattr(comparison.shutil, "rmtree", refuse)
    with pytest.raises(PermissionError):
        compared()
    assert len(ran) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"legs": (BASELINE,)}, "found no candidate"),
        ({"tests": ()}, "found no tests"),
        ({"tests": ("nowhere",)}, "nowhere: found no such file or folder"),
        ({"tests": ("empty",)}, "empty: found no file like"),
        ({"priority": ("P0",)}, "priority P0: found no file of priorities"),
    ],
)
def test_described_wrong(project, options, message):
    project(test_a="def test_a(): pass\n")
    Path("empty").mkdir()
    wanted = replace(Comparison(("test_a.py",), (BASELINE, CANDIDATE)), **options)
    with pytest.raises(errors.ComparisonError, match=f"TT998: {message}"):
        comparison.compare(wanted, "out")
    assert not Path("out").exists()


def test_priorities_select_files_and_tests(project):
    project(test_a="def test_a(): pass\ndef test_b(): pass\n", test_b="x\n")
    Path("p.toml").write_text(
        '[P0]\nmeaning = "now"\ntests = ["test_a.py::test_b"]\n[P3]\nmeaning = "later"\ntests = ["test_b.py"]\n'
    )
    report = compared(priorities="p.toml", priority=("P0",))
    assert {each.file: each.baseline for each in report.files} == {"test_a.py": {"passed": 1}}


def test_results_that_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(leg, outcome):
        test = "test_a.py::test_a"
        results.write(Path(leg, "a.xml"), FileRun("test_a.py", "finished", results={test: Result(test, outcome)}))
        return leg

    folders = [write("before", "passed"), write("after", "failed"), write("between", "passed")]
    (finding,) = comparison.compare_results(folders).findings
    assert (finding.kind, finding.test, finding.diagnostic) == ("regression", "test_a.py::test_a", "passed")
    for leg in ("before", "after"):  # what fails in both does not hide what does not
        Path(leg, "b.xml").write_bytes(Path("after", "a.xml").read_bytes())
    (finding,) = comparison.compare_results(folders[:2]).findings
    assert (finding.kind, finding.baseline, finding.candidate) == ("regression", "passed", "failed")
    shutil.copytree("before", "same")
    assert comparison.compare_results(["before", "same"]).findings == ()
    with pytest.raises(errors.ComparisonError, match="TT999: skipped: no test has run there"):
        comparison.compare_results([write("skipped", "skipped"), "after"])
    with pytest.raises(errors.ComparisonError, match="TT999: after is both baseline and candidate"):
        comparison.compare_results(["after", "./after"])
