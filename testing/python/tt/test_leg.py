"""A test file in a process of its own: whatever ends the process, something is known of every test."""

import colorsys
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest
from support.clock import jump_when_written
from support.legs import QUICK

from tilelang.tt.testing.compare import leg as legs
from tilelang.tt.testing.compare.model import Leg

pytestmark = pytest.mark.stage("testing")

FILE = "tests/test_a.py"
LEG = Leg("candidate", sys.executable, QUICK)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files of a project, in which pytest runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def write(text, file=FILE):
        (tmp_path / file).write_text(textwrap.dedent(text))

    return write


def run(leg=LEG, file=FILE, **options):
    return legs.run_file(leg, file, [file], **options)


def outcomes(run):
    return {test.removeprefix(f"{FILE}::"): result.outcome for test, result in run.results.items()}


def test_finished(project):
    project(r"""
        import pytest, sys, warnings

        def test_passed():
            print("\x1b[0m", file=sys.stderr)
        def test_failed():
            assert 0, "\x01\ud800"
        @pytest.fixture
        def torn():
            yield
            assert 0
        def test_twice(torn): assert 0
        class TestA:
            @pytest.mark.parametrize("text", ["a::b", "c/d.py::e", "[", "\x00", "\xe9"])
            def test_p(self, text): pass
        @pytest.mark.skip(reason="no chip")
        def test_skipped(): pass
        def test_sys_path():
            assert not any(path.endswith("compare") for path in sys.path), sys.path
            assert "" not in sys.path
        """)
    found = run()
    parameters = ["a::b", "c/d.py::e", "[", r"\x00", r"\xe9"]
    assert outcomes(found) == {
        "test_passed": "passed",
        "test_failed": "failed",
        "test_twice": "error",
        **{f"TestA::test_p[{text}]": "passed" for text in parameters},
        "test_skipped": "skipped",
        "test_sys_path": "passed",
    }
    assert (found.file, found.ending, found.detail, found.running, found.loaded) == (FILE, "finished", "", "", {})
    assert found.seconds > 0
    assert found.peak_bytes > 1 << 20


ENDINGS = {
    "segmentation fault": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL"),
    "exit 0": ("import os; os._exit(0)", "crashed", "exit code 0 before the end of pytest"),
    "exit 1": ("import os; os._exit(1)", "crashed", "exit code 1 before the end of pytest"),
    "stop": ("import pytest; pytest.exit('enough')", "crashed", "exit code 2, and 2 of 3 tests did not run"),
    "forever": ("open('forever', 'w').write('x')\n            while True: pass", "timed_out", "60 s"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_ended_in_a_test(project, tmp_path, monkeypatch, name):
    jump_when_written(monkeypatch, tmp_path / "forever")
    statement, ending, detail = ENDINGS[name]
    project(f"""
        def test_first(): pass
        def test_last():
            {statement}
        def test_never(): pass
        """)
    found = run(time_limit=60)
    assert (found.ending, found.detail.splitlines()[0]) == (ending, detail)
    assert outcomes(found) == dict.fromkeys(["test_first", "test_last", "test_never"], ending)
    assert found.running in (f"{FILE}::test_last", "" if name == "stop" else None)
    assert found.reported == {f"{FILE}::test_first": "passed"}


def test_what_was_reported_before_the_end(project):
    project("""
        import os, pytest
        @pytest.fixture
        def torn():
            yield
            assert 0
        def test_passed(): pass
        def test_failed(): assert 0
        def test_error(torn): pass
        def test_twice(torn): assert 0
        def test_skipped(): pytest.skip()
        @pytest.mark.xfail
        def test_xfailed(): assert 0
        @pytest.mark.xfail(strict=True)
        def test_xpassed(): pass
        def test_last(): os.abort()
        """)
    expected = {"passed": "passed", "failed": "failed", "error": "error", "twice": "error", "skipped": "skipped"}
    expected |= {"xfailed": "skipped", "xpassed": "failed"}
    assert run().reported == {f"{FILE}::test_{name}": outcome for name, outcome in expected.items()}


def test_the_output_is_kept(project):
    project("""
        import os, sys
        def test_last(capfd):
            with capfd.disabled():
                print("the last words", flush=True)
            os._exit(3)
        """)
    assert "the last words" in run().detail


UNCOLLECTED = {
    "import": (FILE, "import a_module_that_is_nowhere", "a_module_that_is_nowhere"),
    "syntax": (FILE, "def", "SyntaxError"),
    "conftest": ("tests/conftest.py", "import a_module_that_is_nowhere", "exit code 4"),
    "half": (FILE, "def test_a(): pass\nclass TestB:\n    def __getattr__(): 0\nraise ValueError('half')", "half"),
}


@pytest.mark.parametrize("name", UNCOLLECTED)
def test_uncollected(project, name):
    file, text, detail = UNCOLLECTED[name]
    project("def test_a(): pass")
    project(text, file)
    found = run()
    assert (found.ending, outcomes(found), found.running) == ("uncollected", {}, "")
    assert detail in found.detail


def test_an_option_that_pytest_does_not_have(project):
    project("def test_a(): pass")
    found = run(replace(LEG, arguments=("--no-such-option",)))
    assert found.ending == "uncollected"
    assert "--no-such-option" in found.detail


def test_a_file_that_looks_like_an_option(project):
    project("def test_a(): pass", "-x_test.py")
    found = run(file="-x_test.py")
    assert (found.ending, list(found.results)) == ("finished", ["-x_test.py::test_a"])


def test_what_is_asked_for_and_not_there(project):
    project("def test_a(): pass")
    found = legs.run_file(LEG, FILE, [f"{FILE}::test_gone"])
    assert found.ending == "uncollected"
    assert "test_gone" in found.detail


def test_ended_at_import(project):
    project("import os; os.abort()")
    found = run()
    assert (found.ending, found.detail.splitlines()[0], outcomes(found)) == ("crashed", "SIGABRT", {})


def test_ended_after_the_tests(project):
    project("""
        import atexit, os, signal
        atexit.register(os.kill, os.getpid(), signal.SIGSEGV)
        def test_a(): pass
        """)
    found = run()
    assert (found.ending, found.running, outcomes(found)) == ("crashed", "", {"test_a": "crashed"})


def test_without_tests(project):
    project("")
    found = run()
    assert (found.ending, outcomes(found)) == ("finished", {})


def test_skipped_as_a_whole(project):
    project("import pytest; pytest.skip('no chip', allow_module_level=True)")
    found = run()
    assert (found.ending, outcomes(found)) == ("finished", {FILE: "skipped"})


def test_options_of_the_project(project):
    """One process with all tests, whatever the project asks for."""
    project("[pytest]\naddopts = -n 2 -x --junitxml=own.xml -W error\njunit_family = xunit2\n", "pytest.ini")
    project("""
        import sys
        def test_failed(): assert 0
        def test_passed(): assert "xdist.remote" not in sys.modules
        """)
    assert outcomes(run(replace(LEG, arguments=("-p", "xdist")))) == {"test_failed": "failed", "test_passed": "passed"}


def test_some_tests_of_a_file(project):
    project("def test_a(): pass\ndef test_aa(): pass\nclass TestB:\n    def test_a(self): pass\n")
    assert outcomes(run(only=[f"{FILE}::test_a"])) == {"test_a": "passed"}
    assert outcomes(run(without=[f"{FILE}::test_a"])) == {"test_aa": "passed", "TestB::test_a": "passed"}
    assert outcomes(legs.run_file(LEG, FILE, [f"{FILE}::TestB"])) == {"TestB::test_a": "passed"}


def test_another_root_folder(project):
    """Node ids begin with the file as it was selected, and not with its path from pytest's root."""
    project("[pytest]\n", "tests/pytest.ini")
    project("def test_a(): pass")
    assert outcomes(run()) == {"test_a": "passed"}


def test_variables_and_modules(project):
    project("""
        import os, sys
        import colorsys
        def test_variables(): assert os.environ["OF_THE_LEG"] == "1" and os.environ["PYTHONHASHSEED"] == "0"
        """)
    leg = replace(LEG, variables={**QUICK, "OF_THE_LEG": "1"}, unloaded=("turtle",), loaded=("colorsys",))
    found = run(leg)
    assert outcomes(found) == {"test_variables": "passed"}
    assert found.loaded == {"colorsys": colorsys.__file__, "turtle": None}


def test_cancelled_by_another_thread(project, tmp_path):
    project("""
        import pathlib, time
        def test_a():
            pathlib.Path("started").touch()
            time.sleep(600)
        """)
    cancelled = threading.Event()

    def cancel():
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(cancelled=cancelled)
    thread.join()
