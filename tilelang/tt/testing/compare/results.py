"""Results as JUnit XML, read and written by junitparser."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..._whole_file import whole_file
from ...errors import refusal
from .._extra import extra
from .model import FileRun, Outcome, Result

with extra():
    from junitparser import (
        Attr,
        Error,
        Failure,
        JUnitXml,
        JUnitXmlError,
        Properties,
        Property,
        Skipped,
        TestCase,
        TestSuite,
    )
    from junitparser.junitparser import FinalResult

# Properties, as JSON, in which every character has its place in XML: the node id of a test, and what a comparison knows
# of the run of a file beside its tests.
TEST = "tilelang_tt.test"
_RUN = "tilelang_tt.run"
_KEY = "key"
_XFAIL = "pytest.xfail"  # as pytest has it

_ELEMENTS: dict[Outcome, type[FinalResult]] = {"failed": Failure, "skipped": Skipped}  # of all else that is bad, Error
_WORST: tuple[Outcome, ...] = ("crashed", "timed_out", "uncollected", "error", "failed", "skipped", "passed")
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Case(TestCase):
    file = Attr()  # of xunit1


def read_folder(folder: "str | PathLike[str]") -> dict[str, FileRun]:
    """What all files of JUnit XML in a folder and the folders in it say, by test file.

    Where several speak of one test, as of shards that overlap or projects with files of one name, the worst outcome
    holds, and how many of them say that it passed is counted.

    Raises:
        ComparisonError: There is no such folder, no such file in it, or one that is no JUnit XML.
        OSError: A file cannot be read.
    """
    paths = sorted(Path(folder).rglob("*.xml"))
    if not paths:
        raise refusal("TT999", f"{folder}: found no .xml file; expected JUnit XML, as pytest writes it with --junitxml")
    runs: dict[str, FileRun] = {}
    for path in paths:
        for run in read(path):
            runs[run.file] = _merged(runs[run.file], run) if run.file in runs else run
    return runs


def read(path: "str | PathLike[str]") -> list[FileRun]:
    """What a file of JUnit XML says of each test file.

    Unless pytest runs with ``-o junit_family=xunit1``, it does not write which file a test is of: then its class name,
    which is the module with dots and the class, stands for the file.

    Raises:
        ComparisonError: It is no JUnit XML.
        OSError: The file cannot be read.
    """
    with _expected(path):
        suites = list(JUnitXml.fromfile(str(path)))
        return [run for suite in suites for run in (_own(suite) or _foreign(suite))]


def read_report(path: "str | PathLike[str]", file: str) -> dict[str, Result]:
    """The results that the process of one test file has written, by node id.

    Raises:
        ComparisonError: It is no JUnit XML.
        OSError: The file cannot be read.
    """
    with _expected(path):
        cases = (case for suite in JUnitXml.fromfile(str(path)) for case in suite)
        return _by_test(_result(case, node_id(file, _property(case, TEST) or _named(case)[1])) for case in cases)


def key_of(path: Path) -> str | None:
    """What :func:`write` was told of the circumstances; None where there is no file that it has written whole."""
    try:
        suite = next(iter(JUnitXml.fromfile(str(path))))
    except (OSError, StopIteration, ElementTree.ParseError, JUnitXmlError):
        return None
    return (_stated(suite) or {}).get(_KEY)


def write(path: Path, run: FileRun, key: str = "") -> None:
    """Write what has come of a file, whole or not at all.

    Args:
        path: The file to write; folders on the way are made.
        run: What is written, and read again.
        key: The circumstances, for :func:`key_of`.
    """
    suite = TestSuite(_text(run.file))
    stated = {name: value for name, value in asdict(run).items() if name != "results"}
    suite.add_property(_RUN, json.dumps({**stated, _KEY: key}))
    cases = [_case(result, is_known=True) for result in run.results.values()]
    if run.ending != "finished" and not cases:  # for other readers
        cases = [_case(Result(run.file, run.ending, message=run.detail), is_known=False)]
    suite.add_testcases(cases)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    xml.update_statistics()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        xml.write(file)


def node_id(file: str, found: str) -> str:
    """A node id of pytest's, which begins with a path from its root folder, with the path of the file instead."""
    _, separator, rest = found.partition("::")
    return f"{file}{separator}{rest}"


@contextmanager
def _expected(path: "str | PathLike[str]") -> Iterator[None]:
    try:
        yield
    except (ElementTree.ParseError, JUnitXmlError, ValueError, KeyError, TypeError) as error:
        raise refusal("TT999", f"{path}: {error}; expected JUnit XML, as pytest writes it with --junitxml") from error


def _stated(suite: TestSuite) -> dict[str, Any] | None:
    return next((json.loads(each.value) for each in suite.properties() if each.name == _RUN), None)


def _own(suite: TestSuite) -> list[FileRun]:
    """What :func:`write` has written; nothing of a suite that others have."""
    stated = _stated(suite)
    if stated is None:
        return []
    del stated[_KEY]
    run = FileRun(**stated)
    known = ((case, test) for case in suite if (test := _property(case, TEST)) is not None)
    results = _by_test(_result(case, test) for case, test in known)
    if run.ending != "finished":
        results = {test: replace(result, outcome=run.ending) for test, result in results.items()}
    return [replace(run, results=results)]


def _foreign(suite: TestSuite) -> list[FileRun]:
    files: dict[str, list[Result]] = {}
    for case in suite:
        file, test = _named(case)
        files.setdefault(file, []).append(_result(case, test))
    return [_foreign_run(file, results) for file, results in files.items()]


def _foreign_run(file: str, results: list[Result]) -> FileRun:
    seconds = sum(result.seconds for result in results)
    for result in results:
        if result.test == file and result.outcome == "error":
            return FileRun(file, "uncollected", detail=result.message, seconds=seconds)
    return FileRun(file, "finished", seconds=seconds, results=_by_test(results))


def _named(case: TestCase) -> tuple[str, str]:
    """The file of a test and its node id; of a file that could not be collected, or was skipped, the file twice."""
    name, class_name = case.name or "", case.classname or ""
    file = _Case.fromelem(case).file  # type: ignore[no-untyped-call]
    if not class_name:
        return file or name, file or name
    if not file:
        return class_name, f"{class_name}::{name}"
    module = file.removesuffix(".py").replace("/", ".")
    classes = class_name.removeprefix(module).strip(".").replace(".", "::")
    return file, "::".join(part for part in (file, classes, name) if part)


def _result(case: TestCase, test: str) -> Result:
    found = case.result
    outcome: Outcome = min(map(_outcome, found), key=_WORST.index, default="passed")
    texts = (each.text or each.message or "" for each in found)
    expected = outcome == "skipped" and any(each.type == _XFAIL for each in found)
    return Result(test, outcome, case.time or 0.0, "\n\n".join(filter(None, texts)), expected)


def _outcome(element: FinalResult) -> Outcome:
    return next((outcome for outcome, kind in _ELEMENTS.items() if isinstance(element, kind)), "error")


def _by_test(results: Iterable[Result]) -> dict[str, Result]:
    """By node id; pytest reports a test that fails and whose tear-down fails, too, twice."""
    found: dict[str, Result] = {}
    for result in results:
        other = found.get(result.test)
        found[result.test] = result if other is None else min(other, result, key=_badness)
    return found


def _badness(result: Result) -> int:
    return _WORST.index(result.outcome)


def _merged(one: FileRun, other: FileRun) -> FileRun:
    worse = min(one, other, key=lambda run: _WORST.index("passed" if run.ending == "finished" else run.ending))
    results = _by_test([*one.results.values(), *other.results.values()])
    for test in one.results.keys() & other.results.keys():
        passes = sum(run.results[test].passes or run.results[test].outcome == "passed" for run in (one, other))
        results[test] = replace(results[test], passes=passes)
    return replace(worse, seconds=one.seconds + other.seconds, results=results)


def _property(case: TestCase, name: str) -> Any:
    properties = case.child(Properties) or ()
    return next((json.loads(each.value) for each in properties if each.name == name), None)


def _case(result: Result, *, is_known: bool) -> TestCase:
    """A result as XML, with the names that pytest gives it."""
    file, _, rest = result.test.partition("::")
    head, bracket, parameters = rest.partition("[")
    module = file.removesuffix(".py").replace("/", ".")
    *around, name = [module, *filter(None, head.split("::"))]
    case = _Case(_text(name + bracket + parameters), _text(".".join(around)), result.seconds)
    case.file = _text(file)
    if result.outcome != "passed":
        element = _ELEMENTS.get(result.outcome, Error)(_text(result.message.partition("\n")[0] or result.outcome))
        element.text = _text(result.message)
        if result.expected:
            element.type = _XFAIL
        case.append(element)  # type: ignore[no-untyped-call]
    if is_known:
        properties = Properties()
        properties.add_property(Property(TEST, json.dumps(result.test)))
        case.append(properties)  # type: ignore[no-untyped-call]
    return case


def _text(text: str) -> str:
    """What XML can hold, the rest by its number, as pytest writes it."""
    return _NOT_IN_XML.sub(lambda found: f"#x{ord(found[0]):02X}", text)
