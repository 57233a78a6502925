"""Suites that are run: as by hand, with what is recorded of them, in parts, and interrupted."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from pytest_split.algorithms import LeastDurationAlgorithm
from support.legs import QUICK

from tilelang.tt.cli.commands import cli
from tilelang.tt.cli.run import run as run_command_line
from tilelang.tt.testing import Suite, process, suite
from tilelang.tt.testing.runner import Runner, SuiteRun, worst
from tilelang.tt.testing.suite import Shard

pytestmark = pytest.mark.stage("testing")

SPLIT = ("-p", "pytest_split.plugin")
OPTIONS = ("-p", "no:cacheprovider", "-q")

TESTS = {
    "passes": "def test_one(): pass",
    "fails": "def test_one(): assert 0",
    "errors": "import not_there",
    "crashes": "import os\ndef test_one(): os.abort()",
    "hangs": "import time\ndef test_one(): time.sleep(600)",
    "empty": "",
    "many": "import pytest\n@pytest.mark.parametrize('i', range(13))\ndef test_many(i): pass",
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project in a git tree, with a file of tests of each kind."""
    monkeypatch.setattr(suite, "entry_points", lambda group: [])
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.5)
    root = tmp_path / "a project"
    root.mkdir()
    for name, code in TESTS.items():
        (root / f"test_{name}.py").write_text(code)
    (root / "pyproject.toml").write_text('[tool.tilelang-tt]\nsuites = "suites.py"\n')
    (root / ".gitignore").write_text("__pycache__\n")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    monkeypatch.chdir(root)
    return root


def suite_of(name, *arguments, **values):
    return Suite(name, [f"test_{name}.py"], arguments=(*OPTIONS, *arguments), variables=QUICK, **values)


def describe(root, *suites):
    """Suites as the project's file has them, which is written from them: a suite's text is Python."""
    described = ", ".join(repr(each) for each in suites)
    (root / "suites.py").write_text(f"from tilelang.tt.testing import Suite\nSUITES = ({described},)\n")


def by_hand(text, limit=None):
    """The exit code of a line of a shell."""
    outer = ["timeout", "--kill-after=5", str(limit)] if limit else []
    done = subprocess.run([*outer, "sh", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return 128 - done.returncode if done.returncode < 0 else done.returncode


PARITY = {
    "passes": (suite_of("passes"), 0, "passed"),
    "fails": (suite_of("fails"), 1, "failed"),
    "errors": (suite_of("errors"), 2, "failed"),
    "usage": (Suite("usage", ["test_nowhere.py"], arguments=OPTIONS, variables=QUICK), 4, "failed"),
    "empty": (suite_of("empty"), 5, "no tests"),
    "keyword": (suite_of("many", keyword="[3] or [4]"), 0, "passed"),
    "crashes": (suite_of("crashes"), 134, "crashed"),
    "hangs": (suite_of("hangs", time_limit=1), 124, "timed out"),
    "command": (Suite("command", command=["sh", "-c", 'exit "$CODE"'], variables={"CODE": "42"}), 42, "failed"),
    "variable": (Suite("variable", command=["test", "a 'b", "=", "a 'b"], variables={"A": "$x ' y"}), 0, "passed"),
    "missing": (Suite("missing", command=["no-such-command"]), 127, "not started"),
    "no program": (Suite("no-program", command=["./suites.py"]), 126, "not started"),
}


@pytest.mark.parametrize("kind", PARITY)
def test_as_by_hand(kind, root):
    """The exit code is that of the command that a dry run writes, in a shell."""
    one, code, state = PARITY[kind]
    if one.time_limit and shutil.which("timeout") is None:
        pytest.skip("there is no timeout(1) here")
    describe(root, one)
    shown = CliRunner().invoke(cli, ["test", "run", "--dry-run", one.name])
    assert shown.exit_code == 0
    done = CliRunner().invoke(cli, ["test", "run", one.name])
    [recorded] = json.loads((root / "test-results" / "suites.json").read_text())["suites"]
    assert (recorded["exit_code"], recorded["state"]) == (code, state)
    assert done.exit_code == by_hand(shown.stdout, one.time_limit) == code


def run_suites(root, *suites, **values):
    runner = Runner(root, root / "out", **values)
    return {each.suite: each for each in runner.run(suites)}


def test_what_is_recorded(root):
    recorded = run_suites(root, suite_of("many"))["many"]
    assert Path(recorded.command[0]).parent == Path(sys.executable).parent
    assert recorded.variables == tuple(QUICK.items())
    assert (recorded.state, recorded.exit_code, recorded.signal, recorded.reason) == ("passed", 0, None, "")
    assert recorded.seconds > 0
    assert recorded.peak_bytes > 10 << 20
    assert (recorded.changed, recorded.left) == ((), ())
    assert "13 passed" in Path(recorded.log).read_text()
    assert sum(1 for _ in JUnitXml.fromfile(recorded.junit)) == 1
    [summary] = json.loads((root / "out" / "suites.json").read_text())["suites"]
    assert (summary["peak_bytes"], summary["command"]) == (recorded.peak_bytes, list(recorded.command))


def test_all_run_and_the_worst_wins(root):
    commands = {"fails": "exit 1", "crashes": "kill -ABRT $$", "passes": "exit 0", "none": "exit 5"}
    done = run_suites(root, *(Suite(name, command=["sh", "-c", code]) for name, code in commands.items()))
    assert [each.exit_code for each in done.values()] == [1, 134, 0, 5]
    assert (done["crashes"].signal, done["crashes"].reason) == ("SIGABRT", "killed by SIGABRT")
    assert json.loads((root / "out" / "suites.json").read_text())["exit_code"] == 134


RANKED = [0, 5, 1, 4, 2, 3, 127, 126, 124, 134, 139, 130]


@given(st.permutations(RANKED), st.integers(1, len(RANKED)))
def test_order_of_exit_codes(codes, count):
    runs = [SuiteRun("one", "passed", code) for code in codes[:count]]
    assert worst(runs) == max(codes[:count], key=RANKED.index)


def test_codes_of_commands_are_as_bad_as_tests_that_fail():
    for code, other in itertools.product([1, 42, 70], RANKED):
        expected = other if RANKED.index(other) > RANKED.index(1) else code
        assert worst([SuiteRun("one", "failed", code), SuiteRun("two", "failed", other)]) == expected


@pytest.mark.parametrize("where", ["test_left.py", "conftest.py"])
def test_pytest_that_ends_early_is_no_success(where, root):
    (root / "test_left.py").write_text("def test_one(): assert 0")
    leaves = {"test_left.py": "import os\ndef test_one(): os._exit(0)", "conftest.py": "import sys; sys.exit(0)"}
    (root / where).write_text(leaves[where])
    left = run_suites(root, suite_of("left"))["left"]
    assert (left.state, left.exit_code) == ("failed", 1)
    assert left.reason == "pytest ended before it had written its results"


EXITS = "import atexit, os\natexit.register(lambda: os._exit(0))"  # as plugins do that fear a hang
FORGIVES = "def pytest_sessionfinish(session): session.exitstatus = 0"


@pytest.mark.parametrize(
    ("conftest", "arguments", "reason"),
    [
        (EXITS, (), "its exit code is 0, but its results have 1 failures and 0 errors"),
        (FORGIVES, (), "its exit code is 0, but its results have 1 failures and 0 errors"),
        ("", ("--collect-only",), "its exit code is 0, but no test has run"),
        ("", ("--setup-plan",), "its exit code is 0, but no test has run"),
    ],
)
def test_results_are_believed_rather_than_an_exit_code_of_0(conftest, arguments, reason, root, monkeypatch):
    (root / "conftest.py").write_text(conftest)
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(arguments))
    fails = run_suites(root, suite_of("fails"))["fails"]
    assert (fails.state, fails.exit_code, fails.reason) == ("failed", 1, reason)


def test_nothing_that_ran_is_no_success():
    assert worst([SuiteRun("one", "skipped"), SuiteRun("two", "not run")]) == 5


def test_old_results_are_not_taken_for_new_ones(root):
    assert run_suites(root, suite_of("crashes"))["crashes"].junit
    (root / "out" / "crashes.xml").write_text("<testsuites/>")
    run_suites(root, suite_of("crashes"))
    assert not (root / "out" / "crashes.xml").exists()


DIRTIES = Suite("dirties", command=["touch", "dirt"])


@pytest.mark.parametrize("code", [0, 1, 5])
def test_suite_that_changes_the_tree(code, root):
    fails = Suite("fails", command=["sh", "-c", f"echo more >> dirt; exit {code}"])
    done = run_suites(root, DIRTIES, Suite("clean", command=["cat", "dirt"]), fails)
    assert [(each.state, each.exit_code, each.changed) for each in done.values()] == [
        ("failed", 1, ("new: dirt",)),
        ("passed", 0, ()),  # what was there before it
        ("failed", code or 1, ("changed further: dirt",)),
    ]
    assert done["dirties"].reason == "it has changed the git tree"


def test_outside_of_git(root):
    shutil.rmtree(root / ".git")
    describe(root, DIRTIES, Suite("one", command=["true"]))
    done = CliRunner().invoke(cli, ["test", "run", "dirties", "one"])
    assert done.exit_code == 0
    assert done.stderr.count("is in no git tree") == 1


def test_shards_run_every_test_once(root):
    """By durations that a run has stored, and that the shards themselves leave alone."""
    many = suite_of("many", *SPLIT)
    assert run_suites(root, many, store_durations=True)["many"].exit_code == 0
    stored = (root / ".test_durations").read_bytes()
    assert sorted(json.loads(stored)) == sorted(f"test_many.py::test_many[{i}]" for i in range(13))
    found = Counter()
    for index in range(1, 5):
        shard = Shard(index, 4)
        each = run_suites(root, many, Suite("command", command=["true"]), shard=shard)
        assert (each["many"].exit_code, each["command"].state) == (0, "passed" if index == 1 else "skipped")
        assert (root / "out" / f"suites.{index}-of-4.json").exists()
        found.update(case.name for xml in JUnitXml.fromfile(each["many"].junit) for case in xml)
    assert found == {f"test_many[{i}]": 1 for i in range(13)}
    assert (root / ".test_durations").read_bytes() == stored


def test_more_shards_than_tests(root):
    """A shard without tests is no mistake, but a suite without tests is one, and the first shard says so."""
    one, none = suite_of("passes", *SPLIT), suite_of("empty", *SPLIT)
    assert run_suites(root, one, shard=Shard(2, 2))["passes"].exit_code == 0
    assert run_suites(root, none, shard=Shard(1, 2))["empty"].exit_code == 5


@given(
    st.integers(1, 30).flatmap(
        lambda count: st.tuples(st.just(count), st.dictionaries(st.integers(0, count), st.floats(0, 100)))
    ),
    st.integers(1, 8),
)
def test_split_of_every_suite(tests_and_durations, count):
    """What shards rely on: every test is in one part, and the first part has one."""
    number, durations = tests_and_durations
    items = [SimpleNamespace(nodeid=f"test_{i}", __str__=str) for i in range(number)]
    by_name = {f"test_{i}": seconds for i, seconds in durations.items()}
    parts = LeastDurationAlgorithm()(count, items, by_name)
    assert sorted(item.nodeid for part in parts for item in part.selected) == sorted(item.nodeid for item in items)
    assert parts[0].selected


def test_what_suites_leave_running_is_listed(root, monkeypatch):
    monkeypatch.setattr(process, "LINGER_SECONDS", 0)
    describe(root, Suite("leaves", command=["sh", "-c", "sleep 600 & true"]))
    done = CliRunner().invoke(cli, ["test", "run", "leaves"])
    assert done.exit_code == 0
    assert "== leaves: left running, and ended: sleep 600" in done.stdout


def test_table(root):
    crashes = Suite("crashes", command=["sh", "-c", "kill -ABRT $$"])
    describe(root, suite_of("passes"), crashes, Suite("chip", devices=["/nowhere/chip"]))
    done = CliRunner().invoke(cli, ["test", "run", "passes,crashes chip", "--skip-unmet"])
    assert done.exit_code == 134
    assert "1 passed in " in done.stdout  # pytest's own
    *_, title, passes, crashes, chip, why, need = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert title == "suite state time peak memory exit log"
    assert passes.startswith("passes passed ")
    assert passes.endswith(" MiB 0 test-results/passes.log")
    assert crashes.endswith(" 134 test-results/crashes.log")
    assert chip == "chip skipped"
    assert why == "crashes: killed by SIGABRT"
    assert need == "chip: requires the device /nowhere/chip, which is not there"


def test_suite_that_cannot_run_here_is_refused(root, capsys):
    describe(root, DIRTIES, Suite("chip", devices=["/nowhere/chip"]))
    assert run_command_line(["test", "run", "dirties", "chip"]) == 2
    assert "error: TT995: chip requires the device /nowhere/chip, which is not there" in capsys.readouterr().err
    assert not (root / "dirt").exists()


def test_only_suites_that_cannot_run_here(root):
    describe(root, Suite("chip", devices=["/nowhere/chip"]))
    assert CliRunner().invoke(cli, ["test", "run", "--skip-unmet", "chip"]).exit_code == 5


def test_suites_by_variable(root):
    describe(root, Suite("one", command=["true"]), Suite("two", command=["false"]))
    runs = {"one": 0, "one, two": 1, "two one": 1}
    for names, code in runs.items():
        assert CliRunner().invoke(cli, ["test", "run"], env={"TEST_CONFIG": names}).exit_code == code
    assert CliRunner().invoke(cli, ["test", "run", "one"], env={"TEST_CONFIG": "two"}).exit_code == 0


@pytest.mark.parametrize("config", [None, "", " , "])
def test_nothing_named(root, config):
    describe(root, Suite("one", command=["true"], does="Is true.", time_limit=3))
    done = CliRunner().invoke(cli, ["test", "run"], env={"TEST_CONFIG": config})
    assert done.exit_code == 2
    assert "name the suites to run, or set TEST_CONFIG" in done.stderr
    listed = CliRunner().invoke(cli, ["test", "run", "--list"])
    assert (listed.exit_code, listed.stdout) == (0, done.stdout)
    assert [line.split(maxsplit=3) for line in done.stdout.splitlines()][1] == ["one", "3", "s", "Is true."]


@pytest.mark.parametrize("arguments", [[], ["--list"], ["one"]])
def test_nothing_described(root, capsys, arguments):
    (root / "pyproject.toml").write_text("")
    assert run_command_line(["test", "run", *arguments]) == 2
    said = capsys.readouterr().err
    assert "TT994: found no suites" in said
    assert 'help: write suites = "testing/suites.py"' in said


def test_package_whose_suites_cannot_be_read(root, capsys, monkeypatch):
    """Suites of others run all the same."""
    broken = EntryPoint("theirs", "nobody_has_this:SUITES", suite.GROUP)
    monkeypatch.setattr(suite, "entry_points", lambda group: [broken])
    describe(root, Suite("one", command=["true"]))
    assert run_command_line(["test", "run", "one"]) == 0
    said = "warning: the entry point theirs = nobody_has_this:SUITES of tilelang_tt.suites cannot be loaded: ModuleNot"
    assert said in capsys.readouterr().err


def test_list_says_what_runs_where_nobody_says_what_it_tests(root, capsys):
    described = Suite("one", ["a b.py"], keyword="not slow"), Suite("two"), Suite("three", command=["make", "test"])
    describe(root, *described)
    assert run_command_line(["test", "run", "--list"]) == 0
    rows = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == ["'a b.py' -k 'not slow'", "all tests", "make test"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], 'TT992: no suite is called "nobody"'),
        (["one", "--shard", "3/2"], 'TT993: found the shard "3/2"'),
        (["one", "--shard", "1/2", "--store-durations"], "--store-durations is for a run without --shard"),
    ],
)
def test_wrong_call(root, capsys, arguments, message):
    describe(root, Suite("one", command=["true"]))
    assert run_command_line(["test", "run", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (root / "test-results").exists()


def test_dry_run_runs_nothing(root):
    describe(root, suite_of("passes"), DIRTIES)
    arguments = ["passes", "dirties", "--shard", "2/3", "--out", "there"]
    done = CliRunner().invoke(cli, ["test", "run", "--dry-run", *arguments])
    assert done.exit_code == 0
    assert not (root / "there").exists()
    assert not (root / "dirt").exists()
    assert f"(cd '{root}' && env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 " in done.stdout
    assert f"--junitxml={root}/there/passes.2-of-3.xml' --splits=3 --group=2" in done.stdout


def test_results_may_lie_anywhere(root, tmp_path):
    describe(root, Suite("one", command=["true"]))
    assert CliRunner().invoke(cli, ["test", "run", "one", "--out", str(tmp_path / "x" / "y")]).exit_code == 0
    assert (tmp_path / "x" / "y" / "one.log").exists()


def test_environment_is_kept(root, monkeypatch):
    monkeypatch.setenv("OF_THE_USER", "as it is")
    names = Suite("names", command=["env"], variables={"OF_THE_SUITE": "too", "PATH": os.environ["PATH"]})
    log = Path(run_suites(root, names)["names"].log).read_text().splitlines()
    by_hand = {**os.environ, "OF_THE_SUITE": "too"}
    assert sorted(log) == sorted("\n".join(f"{key}={value}" for key, value in by_hand.items()).splitlines())


SLOW = "import pathlib, time\ndef test_one(): pathlib.Path('{ready}').touch(); time.sleep(600)"


def test_interrupt(root, tmp_path):
    """In a process of its own that a shell has told to ignore it, as it does in the background."""
    ready = tmp_path / "ready"
    (root / "test_hangs.py").write_text(SLOW.format(ready=ready))
    describe(root, Suite("passes", command=["true"]), suite_of("hangs"), suite_of("fails"))
    script = Path(sys.executable).with_name("tilelang-tt")
    command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', str(script), "test", "run", "passes hangs fails"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        while not ready.exists() and started.poll() is None:
            time.sleep(0.02)
        started.send_signal(signal.SIGINT)
        printed = started.communicate()[0]
    assert started.returncode == 130
    assert "KeyboardInterrupt" in printed  # pytest says where it was
    *_, passes, hangs, fails, _ = [line.split()[:2] for line in printed.splitlines()]
    assert (passes, hangs, fails) == (["passes", "passed"], ["hangs", "interrupted"], ["fails", "not"])
    summary = json.loads((root / "test-results" / "suites.json").read_text())
    assert [each["state"] for each in summary["suites"]] == ["passed", "interrupted", "not run"]
    assert summary["exit_code"] == 130


def test_interrupt_between_two_suites(root, monkeypatch):
    describe(root, Suite("one", command=["true"]), Suite("two", command=["true"]))

    monkeypatch.setattr("tilelang.tt.cli.test.run._tell", lambda each: os.kill(os.getpid(), signal.SIGTERM))
    done = CliRunner().invoke(cli, ["test", "run", "one", "two"])
    assert done.exit_code == 130


def test_threads_do_not_matter(root):
    """The runner may be called from a thread, where there are no signals."""
    found = {}
    thread = threading.Thread(target=lambda: found.update(run_suites(root, Suite("one", command=["true"]))))
    thread.start()
    thread.join()
    assert found["one"].exit_code == 0
