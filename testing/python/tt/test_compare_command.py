"""The command line of comparisons: what it takes, what it writes, and what it exits with."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import legs

from tilelang.tt.cli.run import run
from tilelang.tt.testing.compare.report import from_json, load

pytestmark = pytest.mark.stage("cli")

(QUICK,) = map("=".join, legs.QUICK.items())
LEGS = ["--baseline", sys.executable, "--baseline-env", QUICK, "--candidate-env", QUICK, "--candidate-env", "BROKEN=1"]
BROKEN = "import os\ndef test_a(): assert 'BROKEN' not in os.environ\ndef test_b(): pass\n"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    legs.look_at_once(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("pytest.ini").write_text("[pytest]\n")
    Path("test_a.py").write_text(BROKEN)


@pytest.fixture
def compare(capsys):
    def call(*arguments):
        code = run(["test", "compare", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_regression(compare):
    code, out, err = compare("test_a.py", *LEGS, "--reruns", "1", "--out", "found")
    assert code == 1
    assert "test_a.py::test_a" in out
    assert "note: 1/2 baseline test_a.py: 2 passed, " in err
    assert "note: 2/2 candidate test_a.py: 1 failed, 1 passed, " in err
    assert "note: again candidate test_a.py: 1 failed, " in err
    assert {path.name for path in Path("found").iterdir()} == {
        *("report.json", "report.md", "report.html", "comparison.json", "results", ".gitignore", ".lock")
    }
    (finding,) = load("found/report.json").findings
    assert (finding.kind, finding.test, finding.reruns) == ("regression", "test_a.py::test_a", ("failed",))
    results = [f"--{leg}-results=found/results/{leg}" for leg in ("baseline", "candidate")]
    code, out, _ = compare(*results, "--json")
    assert (code, [each.test for each in from_json(out).findings]) == (1, ["test_a.py::test_a"])
    assert not Path("tt.comparison").exists()


def test_a_file_and_options(compare):
    """Options win over what the file says."""
    Path("compare.toml").write_text("""
        tests = ["nowhere.py"]
        reruns = 0
        classification = "why.toml"
        [baseline]
        variables = { PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1" }
        [candidate]
        python = "nowhere"
        variables = { PYTEST_DISABLE_PLUGIN_AUTOLOAD = "1", BROKEN = "1" }
        """)
    options = ["test_a.py", "--candidate", sys.executable]
    code, out, err = compare("compare.toml", *options, "--markdown")
    assert (code, out.partition("\n")[0]) == (1, "## The candidate breaks 1 test")
    assert "why.toml: added 1 entries to be classified" in err
    why = Path("why.toml").read_text()
    Path("why.toml").write_text(why.replace('"unclassified"\nreason = ""', '"platform"\nreason = "planted"'))
    code, out, _ = compare("compare.toml", *options, "--json")
    assert (code, [each.reason for each in from_json(out).findings]) == (0, ["planted"])
    code, _, err = compare("compare.toml", *options, "-k", "test_b", "-q")
    assert (code, err) == (0, "")


def test_a_variable_of_the_candidate_is_enough(compare, monkeypatch):
    """The baseline is then the interpreter that runs the command, as it is."""
    monkeypatch.setenv(*QUICK.split("="))
    code, out, _ = compare("test_a.py", "--candidate-env", "BROKEN=1", "--reruns", "0", "--json")
    assert (code, [(each.test, each.reruns) for each in from_json(out).findings]) == (1, [("test_a.py::test_a", ())])
    assert {leg.python for leg in from_json(out).legs} == {sys.executable}


def test_modules_that_an_extension_has(compare):
    code, _, err = compare("test_a.py", "--loaded", "colorsys", "--absent", "nowhere", "--baseline-env", QUICK)
    assert (code, "TT997: candidate: nowhere cannot be imported" in err) == (2, True)
    code, _, err = compare("test_a.py", "--loaded", "colorsys", "--baseline-env", QUICK, "--candidate-arg=-q")
    assert (code, "TT997: candidate: colorsys was not loaded when test_a.py ended" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test_a.py"], "TT998: found no candidate; expected baseline and candidate\nhelp: --candidate PYTHON, "),
        ([*LEGS], "TT998: found no tests"),
        (["nowhere.toml"], "nowhere.toml: No such file"),
        (["a.toml", "b.toml"], "expected one FILE.toml, found a.toml, b.toml"),
        (["test_a.py", "--json", "--markdown"], "expected one of --json and --markdown"),
        (["test_a.py", "--baseline-env", "A"], "found A; expected NAME=VALUE"),
        (["test_a.py", *LEGS, "--classification", "test_a.py"], "TT967: test_a.py:1:"),  # before any test has run
        (["--baseline-results", "x"], "expected --baseline-results and --candidate-results together"),
        (["test_a.py", "--jobs", "0"], "--jobs"),
    ],
)
def test_a_wrong_command_line(compare, arguments, message):
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not Path("tt.comparison").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interruption(compare, number, code):
    """Whatever ends the command, the same one goes on; nothing of it is left running."""
    Path("test_a.py").write_text("""
import os, pathlib, time
def test_a():
    if "BROKEN" in os.environ:
        pathlib.Path("started").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
        raise ValueError
""")
    arguments = [".", *LEGS, "--reruns", "0", "--json"]
    command = [sys.executable, "-P", "-m", "tilelang.tt.cli", "test", "compare", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not Path("started").exists():
            time.sleep(0.02)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    if code == 130:
        assert "error: interrupted; tt.comparison has what has run, and the same command goes on" in err
    Path("go").touch()  # also for a process that nobody could end
    kept = Path("tt.comparison/results/baseline/test_a.py.xml").stat().st_mtime_ns
    code, out, _ = compare(*arguments)
    report = from_json(out)
    assert (code, [each.test for each in report.findings]) == (1, ["test_a.py::test_a"])
    assert report.notes == ("1 runs of files are from before the comparison was interrupted",)
    assert Path("tt.comparison/results/baseline/test_a.py.xml").stat().st_mtime_ns == kept
