"""``pytest --stage``: what runs, what is heard and shown of it, and what is refused; in sessions as users have them."""

import pytest

pytestmark = pytest.mark.stage("testing")

pytest_plugins = ["pytester"]

PYPROJECT = """
[tool.tilelang-tt]
stages = "stages.py"

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
STAGES = """
from tilelang.tt.testing import Stage

STAGES = (
    Stage("parse", does="Reads.", sits="before lower", channel="mine.parse"),
    Stage(
        "lower", does="Decides.", sits="after parse", passes=("tt.ApplyTTDefaults", "tt.InferDefaultTTSchedule"),
        channel="tilelang.tt.schedule",
    ),
)
"""
PARSE = """
import logging
import pytest

pytestmark = pytest.mark.stage("parse")

def test_fails():
    logging.getLogger("mine.parse").debug("what is parsed")
    assert False

def test_passes():
    assert logging.getLogger("mine.parse").isEnabledFor(logging.DEBUG)
"""
LOWER = """
import pytest
from support.infer import copy_kernel
from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule

pytestmark = pytest.mark.stage("lower")

def test_fails():
    infer_default_tt_schedule(apply_tt_defaults(copy_kernel()))
    assert False

def test_raises():
    infer_default_tt_schedule(apply_tt_defaults(copy_kernel()).with_attr("tt_schedule_policy", "none"))

def test_runs_many():
    for _ in range(4):
        infer_default_tt_schedule(apply_tt_defaults(copy_kernel()))
    assert False

def test_passes():
    infer_default_tt_schedule(apply_tt_defaults(copy_kernel()))
"""
BARE = "def test_bare(): ...\n"


@pytest.fixture
def session(pytester):
    """Runs pytest in a project of two stages, and gives what it printed."""

    def run(*arguments, run=pytester.runpytest_inprocess, pyproject=PYPROJECT, **files):
        files = {"test_parse": PARSE, "test_lower": LOWER} | files
        texts = {"pyproject.toml": pyproject, "stages.py": STAGES}
        texts |= {f"tests/{name}.py": text for name, text in files.items()}
        for name, text in texts.items():
            file = pytester.path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return run("-p", "no:cacheprovider", "--strict-markers", *arguments)

    return run


def test_one_stage_with_its_log(session):
    result = session("--stage", "parse")
    result.assert_outcomes(failed=1, passed=1, deselected=4)
    result.stdout.fnmatch_lines(["*- log of the stage -*", "DEBUG *mine.parse:*what is parsed"])


def test_tests_hear_what_they_hear_without_it(session):
    source = """
import logging
import pytest

pytestmark = pytest.mark.stage("parse")
log = logging.getLogger("mine.parse")

def test_records(caplog):
    log.info("quiet")
    log.warning("loud")
    assert caplog.messages == ["loud"]

def test_levels(caplog):
    with caplog.at_level(logging.DEBUG, logger="mine.parse"):
        log.debug("wanted")
    assert caplog.messages == ["wanted"]

def test_after():
    assert log.filters and log.level == logging.DEBUG - 1

@pytest.fixture(autouse=True)
def outside():
    assert (log.filters, log.level) == ([], logging.NOTSET)
    yield
    assert (log.filters, log.level) == ([], logging.NOTSET)
"""
    session("--stage", "parse", "tests/test_heard.py", test_heard=source).assert_outcomes(passed=3)


def test_all_without_the_option(session):
    result = session()
    result.assert_outcomes(failed=5, passed=1)  # one that expects its channel
    assert "log of the stage" not in result.stdout.str()
    assert "IR before" not in result.stdout.str()


@pytest.mark.parametrize("arguments", [["--stage", "parse,lower"], ["--stage", "parse", "--stage=lower"]])
def test_several_stages(session, arguments):
    session(*arguments).assert_outcomes(failed=4, passed=2)


def test_ir_around_passes(session):
    result = session("--stage", "lower", "-k", "test_fails or test_passes")
    result.assert_outcomes(failed=1, passed=1, deselected=4)
    result.stdout.fnmatch_lines(
        [
            "*- IR before tt.ApplyTTDefaults -*",
            "*- IR after tt.ApplyTTDefaults -*",
            '*"tt_device": "wormhole_n150"*',
            "*- IR before tt.InferDefaultTTSchedule -*",
            "*- IR after tt.InferDefaultTTSchedule -*",
            '*"tt_tiles_per_core"*',
        ]
    )
    log = [line for line in result.stdout.lines if line.startswith(("INFO ", "DEBUG "))]
    assert len(log) == len(set(log)) >= 2  # told once, whether its loggers propagate or not


def test_ir_before_a_pass_that_raises(session):
    output = session("--stage", "lower", "-k", "test_raises").stdout
    output.fnmatch_lines(
        ["*- IR after tt.ApplyTTDefaults -*", "*- IR before tt.InferDefaultTTSchedule, which did not finish -*"]
    )
    assert "IR after tt.InferDefaultTTSchedule" not in output.str()


def test_the_last_passes_are_shown(session):
    output = session("--stage", "lower", "-k", "test_runs_many").stdout.str()
    assert output.count("IR before ") == output.count("IR after ") == 6


def test_ir_in_files(session, pytester):
    result = session("--stage", "lower", "--stage-dump", "ir", "-k", "test_runs_many or test_passes")
    folder = pytester.path / "ir" / "tests_test_lower.py_test_runs_many"
    assert [path.name for path in (pytester.path / "ir").iterdir()] == [folder.name]  # of what fails only
    files = sorted(path.name for path in folder.iterdir())
    assert len(files) == 16
    assert files[:2] == ["001_tt.ApplyTTDefaults_after.py", "001_tt.ApplyTTDefaults_before.py"]
    assert "tt_tiles_per_core" in (folder / "008_tt.InferDefaultTTSchedule_after.py").read_text()
    result.stdout.fnmatch_lines([f"*IR after tt.InferDefaultTTSchedule: {folder}/008_*_after.py*"])


def test_long_ir_is_cut(session):
    source = """
import pytest
from support.infer import copy_kernel
from tilelang.tt import apply_tt_defaults
from tvm.ir import IRModule

@pytest.mark.stage("lower")
def test_fails():
    apply_tt_defaults(IRModule({f"f{number}": copy_kernel() for number in range(30)}))
    assert False
"""
    output = session("--stage", "lower", "tests/test_long.py", test_long=source).stdout
    output.fnmatch_lines(["... and * more lines, which --stage-dump DIR writes to a file"])
    assert "def f0" in output.str()
    assert "def f29" not in output.str()


def test_the_context_of_a_fixture_is_kept(session):
    source = """
import pytest
from support.infer import copy_kernel
from tilelang.tt import apply_tt_defaults
from tvm.ir.instrument import pass_instrument
from tvm.ir.transform import PassContext

seen = []

@pass_instrument
class Seen:
    def run_before_pass(self, module, info):
        seen.append(str(info.name))

@pytest.fixture(autouse=True)
def context():
    with PassContext(opt_level=1, instruments=[Seen()], config={"testing.immutable_module": True}):
        yield

@pytest.mark.stage("lower")
def test_context():
    apply_tt_defaults(copy_kernel())
    current = PassContext.current()
    assert seen == ["tt.ApplyTTDefaults"]
    assert (current.opt_level, bool(current.config["testing.immutable_module"])) == (1, True)
"""
    session("--stage", "lower", "tests/test_context.py", test_context=source).assert_outcomes(passed=1)


@pytest.mark.parametrize("arguments", [[], ["tests/test_bare.py"], ["tests"]])
def test_a_test_without_a_stage(session, arguments):
    """Before a run of everything, and else where its file is collected."""
    result = session(*arguments, test_bare=BARE)
    printed = result.stderr if not arguments else result.stdout
    printed.fnmatch_lines(
        [
            "*TT952: found 1 test without a stage; expected one of stages.py: parse, lower",
            "    tests/test_bare.py:1: test_bare",
            "help: write pytestmark = *",
        ]
    )
    assert result.ret == (pytest.ExitCode.USAGE_ERROR if not arguments else pytest.ExitCode.INTERRUPTED)


def test_a_class_and_parameters_without_a_stage(session):
    source = """
import pytest

class TestBare:
    @pytest.mark.parametrize("value", [1, 2])
    def test_bare(self, value): ...
"""
    result = session("tests/test_bare.py", test_bare=source)
    result.stdout.fnmatch_lines(["*TT952: found 1 test without *", "    tests/test_bare.py:5: TestBare::test_bare"])


def test_an_unknown_stage_of_a_test(session):
    source = f"import pytest\npytestmark = pytest.mark.stage('none')\n{BARE}"
    result = session("tests/test_bare.py", test_bare=source)
    result.stdout.fnmatch_lines(["*TT953: *", "    tests/test_bare.py:3: test_bare has the stage none"])


def test_a_stage_without_tests(session):
    result = session(test_lower=PARSE)
    result.stderr.fnmatch_lines(["ERROR: TT954: stages.py describes stages that no test exercises: lower", "help: *"])


def test_other_folders_are_not_checked(session, pytester):
    other = pytester.path / "other" / "test_bare.py"
    other.parent.mkdir()
    other.write_text(BARE)
    session("other").assert_outcomes(passed=1)


def test_without_stages_nothing_is_checked(session):
    result = session(
        "tests/test_bare.py", "tests/test_parse.py", pyproject="[tool.pytest.ini_options]\n", test_bare=BARE
    )
    result.assert_outcomes(failed=2, passed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stage", "loer"], '--stage: TT953: found the stage "loer"; expected one of: parse, lower'),
        (["--stage", ""], '--stage: TT953: found the stage ""; expected one of: parse, lower'),
        (["--stage-dump", "ir"], "--stage-dump writes the IR of stages; expected --stage NAME beside it"),
    ],
)
def test_refused(session, arguments, message):
    result = session(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_a_stage_where_no_project_names_stages(session):
    result = session("--stage", "parse", pyproject="[tool.pytest.ini_options]\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --stage: TT955: found no pyproject.toml that names a file of stages*", "help: *"]
    )


QUICK = ["-p", "tilelang_tt_pytest"]


@pytest.fixture
def without_plugins(monkeypatch):
    """Processes of pytest have the plugins that they are told of alone, and start sooner."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_in_workers_of_xdist(session, pytester, without_plugins):
    options = [*QUICK, "-p", "xdist", "-n", "1", "--stage", "parse"]
    result = session(*options, run=pytester.runpytest_subprocess, test_lower=PARSE.replace('"parse"', '"lower"'))
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["DEBUG *mine.parse:*what is parsed"])


def test_nothing_is_imported_where_nothing_is_collected(session, pytester, without_plugins):
    """A folder outside of what is checked runs without tilelang.tt, though the project names stages."""
    other = pytester.path / "other" / "test_free.py"
    other.parent.mkdir()
    other.write_text("import sys\n\ndef test_free():\n    assert 'tilelang.tt' not in sys.modules\n")
    session(*QUICK, "other", run=pytester.runpytest_subprocess).assert_outcomes(passed=1)
