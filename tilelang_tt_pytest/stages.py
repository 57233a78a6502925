"""Stages of tests: their mark, the check that none is forgotten, and ``--stage NAME``, which runs one alone.

Of tilelang.tt this imports something only where the project names a file of stages, and tests of it are collected.
"""

import logging
import re
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tilelang.tt.testing.stage import Stage, StagedTest, StageMap

_SHOWN_RECORDS = 500
_SHOWN_RUNS = 6
_SHOWN_LINES = 150
_FINEST = logging.DEBUG - 1  # which nobody else sets
_FORMATTER = logging.Formatter("%(levelname)-8s %(name)s:%(filename)s:%(lineno)d %(message)s")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tilelang-tt")
    group.addoption(
        "--stage",
        dest="tt_stages",
        action="append",
        default=[],
        metavar="NAME,...",
        help="run the tests of these stages only, with their logs on and the IR around their passes in reports",
    )
    group.addoption(
        "--stage-dump", dest="tt_stage_dump", metavar="DIR", help="with --stage: write that IR to files, uncut"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "stage(name): the stage of the pipeline that the test exercises")
    if _speaks_of_stages(config.rootpath):
        config.pluginmanager.register(_Check(config), "tilelang-tt-check-stages")
    names = [name.strip() for names in config.getoption("tt_stages") for name in names.split(",")]
    dump = config.getoption("tt_stage_dump")
    if names:
        config.pluginmanager.register(
            _Alone(_selected(names, config), dump and config.invocation_params.dir / dump), "tilelang-tt-stages"
        )
    elif dump:
        raise pytest.UsageError("--stage-dump writes the IR of stages; expected --stage NAME beside it")


def _speaks_of_stages(folder: Path) -> bool:
    """Whether it is worth to import what reads a pyproject.toml."""
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return "tilelang-tt" in text and re.search(r"^\s*stages\s*=", text, re.MULTILINE) is not None


def _selected(names: Sequence[str], config: pytest.Config) -> "list[Stage]":
    from tilelang.tt.errors import SuiteError
    from tilelang.tt.testing.stage import read_stages, select_stages

    try:
        return select_stages(names, read_stages(config.rootpath).stages)
    except SuiteError as error:
        raise pytest.UsageError(f"--stage: {error}") from error


class _Check:
    """Refuses tests without a stage: all of them before a run of everything, else those that are collected."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @cached_property
    def _map(self) -> "StageMap":
        from tilelang.tt.testing.stage import read_stages

        return read_stages(self._config.rootpath)

    @cached_property
    def _folders(self) -> list[Path]:
        root = self._config.rootpath
        return [path for name in self._config.getini("testpaths") for path in root.glob(name)] or [root]

    def pytest_sessionstart(self) -> None:
        from_root = self._config.invocation_params.dir == self._config.rootpath
        named = self._config.args_source == self._config.ArgsSource.ARGS
        if named or not from_root or hasattr(self._config, "workerinput"):
            return
        from tilelang.tt.errors import SuiteError

        try:
            self._map.check()
        except SuiteError as error:
            raise pytest.UsageError(str(error)) from error

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        tests = [item for item in report.result or () if isinstance(item, pytest.Function)]
        if tests and any(collector.path.is_relative_to(folder) for folder in self._folders):
            self._refuse(tests, report)
        return report

    def _refuse(self, items: list[pytest.Function], report: pytest.CollectReport) -> None:
        from tilelang.tt.errors import SuiteError
        from tilelang.tt.testing.stage import check_tests

        try:
            tests = dict.fromkeys(_staged(item, self._config.rootpath) for item in items)
            check_tests(list(tests), self._map.stages, self._map.project)
        except SuiteError as error:
            report.outcome, report.longrepr, report.result = "failed", str(error), []


def _staged(item: pytest.Function, root: Path) -> "StagedTest":
    from tilelang.tt.testing.stage import StagedTest

    file, line, name = item.location
    return StagedTest(file, (line or 0) + 1, name.partition("[")[0].replace(".", "::"), _stage_of(item))


def _stage_of(item: pytest.Item) -> str:
    mark = item.get_closest_marker("stage")
    return str(next(iter([*mark.args, *mark.kwargs.values()]), "")) if mark else ""


class _Alone:
    """Runs the tests of some stages only."""

    def __init__(self, stages: "list[Stage]", dump: Path | None) -> None:
        self._names = {stage.name for stage in stages}
        self._log = _Log({stage.channel for stage in stages if stage.channel})
        self._recorder = _Recorder({name for stage in stages for name in stage.passes}, None if dump else _SHOWN_RUNS)
        self._dump = dump

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        others = [item for item in items if _stage_of(item) not in self._names]
        items[:] = [item for item in items if _stage_of(item) in self._names]
        if others:
            config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(wrapper=True, trylast=True)  # within all that others set up
    def pytest_runtest_call(self) -> Iterator[None]:
        with self._log.of_a_test(), self._recorder.of_a_test():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and report.failed:
            report.sections += self._sections(item.nodeid)
        return report

    def _sections(self, nodeid: str) -> Iterator[tuple[str, str]]:
        if self._log.lines:
            yield "log of the stage", "\n".join(self._log.lines)
        folder = self._dump and self._dump / re.sub(r"[^\w.-]+", "_", nodeid)[:200]
        for number, run in enumerate(self._recorder.runs, 1):
            failed = "" if run.after is not None else ", which did not finish"
            for when, module in (("before", run.before), ("after", run.after)):
                if module is None:
                    continue
                title, text = f"IR {when} {run.name}{failed}", _script(module)
                if folder:
                    folder.mkdir(parents=True, exist_ok=True)
                    file = folder / f"{number:03}_{run.name}_{when}.py"
                    file.write_text(text + "\n", encoding="utf-8")
                    title += f": {file}"
                yield title, _cut(text)


class _Log(logging.Filter):
    """Hears all that loggers are told, while their handlers, such as pytest's, get what they would get without it."""

    def __init__(self, channels: set[str]) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_SHOWN_RECORDS)
        self._loggers = {name: logging.getLogger(name) for name in channels}
        self._levels: dict[str, int] = {}

    @contextmanager
    def of_a_test(self) -> Iterator[None]:
        self.lines.clear()
        before = {name: logger.level for name, logger in self._loggers.items()}
        self._levels = {name: logger.getEffectiveLevel() for name, logger in self._loggers.items()}
        for logger in self._loggers.values():
            logger.setLevel(_FINEST)
            logger.addFilter(self)
        try:
            yield
        finally:
            for name, logger in self._loggers.items():
                logger.removeFilter(self)
                logger.setLevel(before[name])

    def filter(self, record: logging.LogRecord) -> bool:
        self.lines.append(_FORMATTER.format(record))
        # A test that sets the level itself wants what it has set.
        return self._loggers[record.name].level != _FINEST or record.levelno >= self._levels[record.name]


@dataclass
class _PassRun:
    """A pass that has run in a test: its module before it, and after it unless it failed."""

    name: str
    before: Any
    after: Any = None


class _Recorder:
    """Keeps the modules around passes, by an instrument of TVM's."""

    def __init__(self, passes: set[str], most: int | None) -> None:
        self._passes = passes
        # The last ones: hypothesis ends with the smallest example that fails.
        self.runs: deque[_PassRun] = deque(maxlen=most)
        self._started: list[_PassRun] = []

    def of_a_test(self) -> Any:
        """The PassContext of the moment, with an instrument more. In others, which a test opens, nothing is kept."""
        self.runs.clear()
        self._started.clear()
        if not self._passes or "tvm" not in sys.modules:
            return nullcontext()
        from tvm.ir.transform import PassContext

        current = PassContext.current()
        # This one would forget what it has measured at the end of any context.
        theirs = [one for one in current.instruments if one.name != "PassTimingInstrument"]
        return PassContext(
            opt_level=current.opt_level,
            required_pass=current.required_pass,
            disabled_pass=current.disabled_pass,
            instruments=[*theirs, self._instrument],
            config=current.config,
        )

    @cached_property  # an instrument and its callbacks keep each other alive for ever
    def _instrument(self) -> Any:
        from tvm.ir.instrument import pass_instrument

        @pass_instrument
        class Instrument:
            def run_before_pass(_, module: Any, info: Any) -> None:  # noqa: N805
                self._begin(str(info.name), module)

            def run_after_pass(_, module: Any, info: Any) -> None:  # noqa: N805
                self._end(str(info.name), module)

        return Instrument()

    def _begin(self, name: str, module: Any) -> None:
        if name in self._passes:
            self._started.append(_PassRun(name, module))
            self.runs.append(self._started[-1])

    def _end(self, name: str, module: Any) -> None:
        while name in self._passes and self._started:  # those that began later have failed
            run = self._started.pop()
            if run.name == name:
                run.after = module
                return


def _script(module: Any) -> str:
    try:
        return str(module.script())
    except Exception as error:  # a broken module is what a failing test may be about
        return f"cannot be printed: {type(error).__name__}: {error}"


def _cut(text: str) -> str:
    lines = text.splitlines()
    more = [f"... and {len(lines) - _SHOWN_LINES} more lines, which --stage-dump DIR writes to a file"]
    return "\n".join(lines[:_SHOWN_LINES] + more * (len(lines) > _SHOWN_LINES))
