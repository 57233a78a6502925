"""Stages of tests: read from the files as pytest collects them, and every way to be wrong is refused."""

import logging
import shlex
import subprocess
import sys
from inspect import isfunction

import pytest
from support.examples import ROOT, Example, run

from tilelang.tt import errors, transform
from tilelang.tt.cli import run as cli
from tilelang.tt.cli.test import stage as stage_command
from tilelang.tt.logs import CHANNELS
from tilelang.tt.testing import Stage, read_stages
from tilelang.tt.testing.stage import select_stages
from tilelang.tt.testing.suite import pytest_command

pytestmark = pytest.mark.stage("testing")

pytest_plugins = ["pytester"]

TESTS = ROOT / "testing" / "python" / "tt"
PYPROJECT = '[tool.tilelang-tt]\nstages = "stages.py"\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n'
STAGES = """
from tilelang.tt.testing import Stage

STAGES = (
    Stage("one", does="One thing.", sits="before two"),
    Stage("two", does="Another thing.", sits="after one"),
)
"""
MARKED = """
import pytest

@pytest.mark.stage("one")
def test_one(): ...

@pytest.mark.stage("two")
def test_two(): ...
"""


@pytest.fixture
def project(tmp_path):
    """Writes a project, by default with two stages and a test for each, and gives its folder."""

    def write(pyproject=PYPROJECT, stages=STAGES, **files):
        texts = {"pyproject.toml": pyproject, "stages.py": stages, "tests/test_a.py": MARKED}
        texts |= {f"tests/{name}.py": text for name, text in files.items()}
        for name, text in texts.items():
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture(scope="module")
def ours():
    """The stages and the tests of this project."""
    return read_stages(ROOT)


def refuses(folder, message):
    with pytest.raises(errors.SuiteError, match=message):
        read_stages(folder).check()


def test_every_test_of_this_project_has_a_stage_and_every_stage_a_test(ours):
    ours.check()
    assert ours.counts.total() > 1000


@pytest.mark.parametrize("start", ["", "tests", "tests/.."])
def test_a_project_is_found_from_below(project, start):
    stages = read_stages(project() / start)
    assert [stage.name for stage in stages.stages] == ["one", "two"]
    assert stages.counts == {"one": 1, "two": 1}
    stages.check()


EVERY_FORM = '''
import sys
import unittest
import pytest
from pytest import mark

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.stage("file")]

def helper():
    def test_inside_of_a_function(): ...

def test_as_the_file(): ...

@pytest.mark.stage("own")
def test_of_its_own(): ...

@pytest.mark.stage(name="first")
@pytest.mark.parametrize("value", [1, 2])
@pytest.mark.stage("last")
def test_two_marks(value): ...

async def test_async(): ...

class TestOne:
    pytestmark = pytest.mark.stage("class")

    def test_as_the_class(self): ...

    @mark.stage("method")
    def test_method(self): ...

    class TestInner:
        def test_inner(self): ...

@pytest.mark.stage("decorated")
class TestTwo:
    def test_as_decorated(self): ...

    def not_a_test(self): ...

class Case(unittest.TestCase):
    def test_case(self): ...

class NoTests:
    def test_nothing(self): ...

if sys.platform:
    def test_somewhere(): ...
else:
    def test_elsewhere(): ...

TEXT = """
def test_in_a_text(): ...
"""
'''


def test_marks_are_read_as_pytest_has_them(project, pytester):
    folder = project(test_b=EVERY_FORM)
    found = [(test.name, test.stage) for test in read_stages(folder).tests if test.file == "tests/test_b.py"]
    assert dict(found) == {
        "test_as_the_file": "file",
        "test_of_its_own": "own",
        "test_two_marks": "last",
        "test_async": "file",
        "TestOne::test_as_the_class": "class",
        "TestOne::test_method": "method",
        "TestOne::TestInner::test_inner": "class",
        "TestTwo::test_as_decorated": "decorated",
        "Case::test_case": "file",
        "test_somewhere": "file",
        "test_elsewhere": "file",
    }
    items, _ = pytester.inline_genitems("-p", "no:cacheprovider", "-p", "no:tilelang-tt", folder / "tests/test_b.py")
    collected = {item.nodeid.partition("::")[2].partition("[")[0]: stage_of(item) for item in items}
    assert collected == {name: stage for name, stage in found if name != "test_elsewhere"}


def stage_of(item):
    mark = item.get_closest_marker("stage")
    return next(iter([*mark.args, *mark.kwargs.values()]))


def test_lines(project):
    folder = project()
    assert [(test.file, test.line) for test in read_stages(folder).tests] == [
        ("tests/test_a.py", 5),
        ("tests/test_a.py", 8),
    ]


def test_files_that_pytest_does_not_look_into(project):
    folder = project(pyproject='[tool.tilelang-tt]\nstages = "stages.py"\n')
    for name in (".hidden/test_a.py", "build/test_a.py", "env/pyvenv.cfg", "env/test_a.py", "tests/other.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("def test_a(): ...\n")
    (folder / "tests/b_test.py").write_text('import pytest\npytestmark = pytest.mark.stage("two")\ndef test_b(): ...\n')
    assert {test.file for test in read_stages(folder).tests} == {"tests/test_a.py", "tests/b_test.py"}


def test_without_a_stage(project):
    refuses(
        project(test_b="\ndef test_bare(): ...\n"),
        r"^TT952: found 1 test without a stage; expected one of stages.py: one, two\n"
        r"    tests/test_b.py:2: test_bare\n"
        r'help: write pytestmark = pytest.mark.stage\("NAME"\) below the imports of tests/test_b.py$',
    )


def test_many_without_a_stage(project):
    refuses(project(test_b="".join(f"def test_{i}(): ...\n" for i in range(25))), r"test_b.py:20: .*\n    and 5 more")


@pytest.mark.parametrize(("mark", "found"), [('"thre"', "thre"), ("NAME", "NAME"), ("3", "3")])
def test_unknown_stage(project, mark, found):
    source = f"import pytest\nNAME = 'one'\n@pytest.mark.stage({mark})\ndef test_b(): ...\n"
    refuses(
        project(test_b=source),
        "^TT953: found a stage that does not exist; expected one of stages.py: one, two\n"
        f"    tests/test_b.py:4: test_b has the stage {found}$",
    )


def test_stages_by_name():
    stages = [Stage("schedule", "", ""), Stage("shard", "", "")]
    assert select_stages(["shard", "schedule", "shard"], stages) == [stages[1], stages[0]]
    with pytest.raises(errors.SuiteError) as refused:
        select_stages(["shed"], stages)
    expected = 'TT953: found the stage "shed"; expected one of: schedule, shard\nhelp: the nearest is shard'
    assert str(refused.value) == expected


def test_stage_without_tests(project):
    refuses(
        project(test_a=MARKED.replace("two", "one")),
        "^TT954: stages.py describes stages that no test exercises: two\nhelp: mark a test with .* drop the stage$",
    )


@pytest.mark.parametrize(
    ("pyproject", "message"),
    [
        ("", "found no pyproject.toml that names a file of stages, from .* upwards\nhelp: write stages = "),
        ("[tool.tilelang-tt]", "found no pyproject.toml that names a file of stages"),
        ("[tool", ".*pyproject.toml:1:6: .*; expected TOML"),
        ("[tool.tilelang-tt]\nstage = 'a.py'", "has stage = 'a.py' under .*; expected paths, as in suites = .*stages"),
        ("[tool.tilelang-tt]\nstages = 3", "has stages = 3 under "),
        ("[tool]\ntilelang-tt = 3", "has tilelang-tt = 3 under "),
    ],
)
def test_wrong_pyproject(project, pyproject, message):
    refuses(project(pyproject=pyproject), f"^TT955: .*{message}")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("STAGES = (", r"stages.py of \[tool.tilelang-tt\] cannot be run: SyntaxError"),
        ("import sys\nsys.exit(0)\n", r"stages.py:2 of \[tool.tilelang-tt\] cannot be run: SystemExit: 0"),
        ("", "stages.py has STAGES = None; expected a tuple of Stage"),
        ("STAGES = ['one']", r"stages.py has STAGES = \['one'\]; expected a tuple of Stage"),
        (STAGES.replace('"two",', '"one",'), "stages.py describes one twice"),
        (STAGES.replace('"two",', '"t,wo",'), "found a stage with the name"),
    ],
)
def test_wrong_stages(project, stages, message):
    refuses(project(stages=stages), f"TT955: .*{message}")


def test_no_file_of_stages(project):
    folder = project()
    (folder / "stages.py").unlink()
    refuses(folder, r"^TT955: .*stages.py of \[tool.tilelang-tt\] cannot be run: FileNotFoundError: ")


def test_a_test_file_that_is_no_python(project):
    refuses(project(test_b="def test_b(:"), "^TT955: cannot read the tests of .*test_b.py: ")


def test_the_stages_of_this_project_name_what_is_there(ours):
    """Sources exist, and each source of the package has a stage."""
    stages = ours.stages
    found = {stage.name: [file for source in stage.sources for file in ROOT.glob(source)] for stage in stages}
    missing = [source for stage in stages for source in stage.sources if not list(ROOT.glob(source))]
    assert missing == []
    covered = {path for files in found.values() for file in files for path in (file, *file.rglob("*"))}
    folders = ("src/tt", "tilelang/tt", "tilelang_tt_pytest")
    files = {file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in (".cc", ".h", ".py")}
    assert sorted(str(file.relative_to(ROOT)) for file in files - covered) == []


def test_names_of_this_project_are_real(ours):
    stages = ours.stages
    passes = {make().info.name for name, make in vars(transform).items() if name[0].isupper() and isfunction(make)}
    assert {name for stage in stages for name in stage.passes} == passes
    assert {stage.channel for stage in stages if stage.channel} == {f"tilelang.tt.{channel}" for channel in CHANNELS}


@pytest.fixture
def unheard():
    """The loggers of this package are as they were, whatever a snippet does to them."""
    loggers = [logging.getLogger(f"tilelang.tt.{channel}") for channel in CHANNELS]
    before = [(each, each.level, each.propagate, each.handlers[:]) for each in loggers]
    yield
    for each, level, propagate, handlers in before:
        each.setLevel(level)
        each.propagate = propagate
        each.handlers = handlers


@pytest.mark.parametrize("stage", read_stages(ROOT).stages, ids=lambda stage: stage.name)
def test_snippet_prints_what_it_says(stage, tmp_path, monkeypatch, unheard):
    monkeypatch.chdir(tmp_path)
    code, _, printed = (ROOT / stage.snippet).read_text(encoding="utf-8").partition("\n# Prints:\n")
    assert printed
    found = run(Example(code, "", 0), tmp_path / "snippet.py", {"__name__": "__main__"})
    assert [f"# {line}".rstrip() for line in found.splitlines()] == printed.splitlines()


def test_the_page_of_stages_is_current():
    done = subprocess.run([sys.executable, "-P", str(ROOT / "tools" / "stage_page.py"), "--check"], check=False)
    assert done.returncode == 0


def test_pytest_collects_what_was_read(request, ours):
    """The map of this project against what this run of pytest has collected; on other hosts there are other tests."""
    collected = {
        (item.path.relative_to(ROOT).as_posix(), item.nodeid.partition("::")[2].partition("[")[0], stage_of(item))
        for item in request.session.items
        if item.path.is_relative_to(TESTS)
    }
    assert collected
    assert collected <= {(test.file, test.name, test.stage) for test in ours.tests}


def test_lines_of_this_project_are_those_of_the_functions(ours):
    lines = {
        file: (ROOT / file).read_text(encoding="utf-8").splitlines() for file in {test.file for test in ours.tests}
    }
    for test in ours.tests:
        assert f"def {test.name.rpartition('::')[2]}(" in lines[test.file][test.line - 1]


@pytest.fixture
def call(project, monkeypatch, capfd):
    """Runs ``tilelang-tt test stage`` in a folder of a project: its exit code, stdout and stderr."""

    def run(*arguments, **files):
        monkeypatch.chdir(project(**files) / "tests")
        monkeypatch.setenv("COLUMNS", "100")
        code = cli.run(["test", "stage", *arguments])
        return code, *capfd.readouterr()

    return run


def test_command_lists_stages(call):
    lines = "stage  tests  what it does\none        1  One thing.\ntwo        1  Another thing.\n"
    assert call() == (0, lines, "")


def test_command_runs_a_stage(call):
    """All of it, whatever the current folder, with the exit code of pytest."""
    failing = MARKED.replace("test_one(): ...", "test_one(): assert False")
    code, out, err = call("one", "-p", "no:cacheprovider", "-rA", test_a=failing)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "FAILED tests/test_a.py::test_one" in out
    assert "1 deselected" in out
    assert err == f"note: {shlex.join(pytest_command())} --stage one -p no:cacheprovider -rA\n"


def test_command_refuses(call):
    code, out, err = call("three")
    assert (code, out) == (2, "")
    assert err.startswith('error: TT953: found the stage "three"; expected one of: one, two\n')
    assert call(test_b="def test_b(): ...\n")[0] == 2


def test_completion(call):
    call()
    assert [item.value for item in stage_command._complete(None, None, "t")] == ["two"]
