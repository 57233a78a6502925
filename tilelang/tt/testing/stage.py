"""Stages: which part of a pipeline each test exercises, read from the test files without running them."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import refusal
from ._files import files_of_tests
from .project import Project, find_project, read_objects

_SHOWN = 20


@dataclass(frozen=True)
class Stage:
    """A part of a pipeline that tests exercise and that can be run alone.

    Attributes:
        name: What ``pytest.mark.stage`` and ``--stage`` call it: letters, digits, ``_``, ``-`` and ``.``.
        does: What it does, in one sentence.
        sits: Where in the pipeline: after what, and before what.
        passes: Names of the PassInfo of its passes in TVM; their IR is shown where a test of the stage fails.
        channel: The logger of Python's ``logging`` that it writes to; it is on while the stage is tested alone.
        sources: Where its mistakes are mended: files, folders, or patterns of files, relative to the project.
        snippet: A short Python file that shows the stage at work, relative to the project.

    Raises:
        SuiteError: The name has another character, or none.
    """

    name: str
    does: str
    sits: str
    passes: tuple[str, ...] = ()
    channel: str = ""
    sources: tuple[str, ...] = ()
    snippet: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise refusal("TT955", f'found a stage with the name "{self.name}"; expected letters, digits, _, - and .')


@dataclass(frozen=True)
class StagedTest:
    """A test function as it stands in its file.

    Attributes:
        file: Its path, relative to the project, with slashes.
        line: Where its ``def`` stands, counted from 1.
        name: As in pytest's node ids, without parameters: ``test_a``, ``TestB::test_c``.
        stage: What the closest mark says; empty where there is none.
    """

    file: str
    line: int
    name: str
    stage: str


@dataclass(frozen=True)
class StageMap:
    """The stages of a project, and its tests.

    Attributes:
        project: Where they were found.
        stages: In the order of the file that describes them.
        tests: By file and line.
    """

    project: Project
    stages: tuple[Stage, ...]
    tests: tuple[StagedTest, ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many test functions each stage has."""
        return Counter(test.stage for test in self.tests)

    def check(self) -> None:
        """Refuse a test without a stage, a stage that does not exist, and a stage without tests.

        Raises:
            SuiteError: There is one; all of the kind are listed.
        """
        check_tests(self.tests, self.stages, self.project)
        if empty := [stage.name for stage in self.stages if not self.counts[stage.name]]:
            raise refusal(
                "TT954",
                f"{self.project.files['stages']} describes stages that no test exercises: {', '.join(empty)}\n"
                f'help: mark a test with pytest.mark.stage("{empty[0]}"), or drop the stage',
            )


def read_stages(start: Path | None = None) -> StageMap:
    """The stages and the tests of the project that a folder belongs to; nothing is checked yet.

    Tests are the functions ``test*``, also in classes ``Test*``, of the files ``test_*.py`` and ``*_test.py`` below
    pytest's ``testpaths``; those that a program makes while it runs are seen by pytest only.

    Args:
        start: A folder of the project; None: the current one.

    Raises:
        SuiteError: No project is found that names a file of stages, or the file or a test file cannot be read.
    """
    project = find_project("TT955", start)
    if project is None or "stages" not in project.files:
        raise refusal(
            "TT955",
            f"found no pyproject.toml that names a file of stages, from {(start or Path.cwd()).resolve()} upwards\n"
            'help: write stages = "testing/stages.py" under [tool.tilelang-tt] of pyproject.toml, '
            "and STAGES = (Stage(...), ...) into that file",
        )
    stages = read_objects(project, "stages", Stage, "TT955")
    tests = (test for file in _test_files(project) for test in _read_tests(file, project.root))
    return StageMap(project, stages, tuple(tests))


def check_tests(tests: Sequence[StagedTest], stages: Sequence[Stage], project: Project) -> None:
    """Refuse tests without a stage, and stages that do not exist.

    Raises:
        SuiteError: There is one.
    """
    known = [stage.name for stage in stages]
    expected = f"expected one of {project.files['stages']}: {', '.join(known)}"
    if unknown := [test for test in tests if test.stage and test.stage not in known]:
        lines = [f"{test.file}:{test.line}: {test.name} has the stage {test.stage}" for test in unknown]
        raise refusal("TT953", f"found a stage that does not exist; {expected}{_listed(lines)}")
    if unmarked := [test for test in tests if not test.stage]:
        lines = [f"{test.file}:{test.line}: {test.name}" for test in unmarked]
        raise refusal(
            "TT952",
            f"found {len(lines)} test{'s' * (len(lines) > 1)} without a stage; {expected}{_listed(lines)}\n"
            f'help: write pytestmark = pytest.mark.stage("NAME") below the imports of {unmarked[0].file}',
        )


def select_stages(names: Sequence[str], stages: Sequence[Stage]) -> list[Stage]:
    """The stages of these names.

    Raises:
        SuiteError: There is none of a name.
    """
    from difflib import get_close_matches

    by_name = {stage.name: stage for stage in stages}
    for name in names:
        if name not in by_name:
            nearest = "".join(f"\nhelp: the nearest is {near}" for near in get_close_matches(name, by_name, 1))
            raise refusal("TT953", f'found the stage "{name}"; expected one of: {", ".join(by_name)}{nearest}')
    return [by_name[name] for name in dict.fromkeys(names)]


def _listed(lines: list[str]) -> str:
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "".join(f"\n    {line}" for line in [*lines[:_SHOWN], *more])


def _test_files(project: Project) -> list[Path]:
    found: set[Path] = set()
    for pattern in project.testpaths or (".",):
        for path in project.root.glob(pattern) if pattern != "." else [project.root]:
            found.update(files_of_tests(path) if path.is_dir() else [path])
    return sorted(found)


def _read_tests(path: Path, root: Path) -> list[StagedTest]:
    file = path.relative_to(root).as_posix()
    try:
        tree = ast.parse(path.read_bytes(), file)
    except (SyntaxError, ValueError) as error:
        raise refusal("TT955", f"cannot read the tests of {path}: {error}") from error
    return [StagedTest(file, line, name, stage) for line, name, stage in _tests_in(tree.body, "", "")]


def _tests_in(body: list[ast.stmt], prefix: str, outer: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and stage of the tests in the body of a module or a class."""
    stage = _assigned(body) or outer
    for node in _statements(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield node.lineno, prefix + node.name, _decorated(node) or stage
        elif isinstance(node, ast.ClassDef) and _holds_tests(node):
            # The list of a class comes before what decorates it.
            yield from _tests_in(node.body, f"{prefix}{node.name}::", _decorated(node) or stage)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements of a body, also of those that run only on some hosts."""
    for node in body:
        yield node
        for name in ("body", "orelse", "finalbody"):
            if isinstance(node, (ast.If, ast.Try, ast.With, ast.For)):
                yield from _statements(getattr(node, name, []))


def _holds_tests(node: ast.ClassDef) -> bool:
    return node.name.startswith("Test") or any(ast.unparse(base).endswith("TestCase") for base in node.bases)


def _assigned(body: list[ast.stmt]) -> str:
    """The stage of ``pytestmark``."""
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return next((stage for part in ast.walk(node.value) if (stage := _marked(part))), "")
    return ""


def _decorated(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The stage of the decorators; the lowest is the closest."""
    return next((stage for part in reversed(node.decorator_list) if (stage := _marked(part))), "")


def _marked(node: ast.AST) -> str:
    """The stage of a mark; what is no text is given as it is written, and refused as no stage."""
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("mark.stage"):
        return ""
    argument = next(iter([*node.args, *(keyword.value for keyword in node.keywords)]), None)
    return str(argument.value) if isinstance(argument, ast.Constant) else ast.unparse(argument or node)
