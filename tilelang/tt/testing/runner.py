"""Suites that are run: each as a direct subprocess, with its time, its memory, its log, and what it left behind."""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from .._whole_file import whole_file
from . import git
from ._files import make_folder
from .process import SIGNALLED, TIMED_OUT, Ended, run
from .suite import Shard, Suite, pytest_command

State = Literal[
    "passed", "failed", "crashed", "timed out", "no tests", "not started", "skipped", "interrupted", "not run"
]

DURATIONS = ".test_durations"  # as pytest-split calls it
RESULTS = "test-results"
PASSED, FAILED, INTERRUPTED_BY_TEST, INTERNAL_ERROR, USAGE_ERROR, NO_TESTS = range(6)  # as pytest has them
CANNOT_RUN, NOT_FOUND = 126, 127  # as shells have them
INTERRUPTED = SIGNALLED + signal.SIGINT
# From the least bad to the worst; other codes, of commands, are as bad as a test that fails.
_ORDER = (PASSED, NO_TESTS, FAILED, USAGE_ERROR, INTERRUPTED_BY_TEST, INTERNAL_ERROR, NOT_FOUND, CANNOT_RUN, TIMED_OUT)
_MEANINGS = {
    FAILED: "tests failed",
    INTERRUPTED_BY_TEST: "pytest was interrupted, or could not collect the tests",
    INTERNAL_ERROR: "an internal error of pytest",
    USAGE_ERROR: "pytest was called the wrong way",
}


@dataclass(frozen=True)
class SuiteRun:
    """What became of one suite.

    Attributes:
        suite: Its name.
        state: ``passed``, or what else.
        exit_code: pytest's or the command's own; 128 and the number of the signal that ended it, 124 of what timed
            out, 127 and 126 of what is not there and cannot be run, as shells have them; 1 where all passed and the git
            tree was changed, or pytest's results say otherwise; None of what did not run.
        command: What was run.
        variables: Environment variables that were set for it.
        signal: The name of the signal that ended it.
        reason: What there is to say of a suite that did not pass.
        seconds: How long it ran.
        peak_bytes: The most memory at a time, as :class:`~.process.Ended` has it.
        log: The file with what it printed.
        junit: The JUnit XML file of pytest.
        changed: What differs in the git tree, a line for each path.
        left: Processes that it left behind and that were ended.
    """

    suite: str
    state: State
    exit_code: int | None = None
    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    signal: str | None = None
    reason: str = ""
    seconds: float = 0.0
    peak_bytes: int | None = None
    log: str | None = None
    junit: str | None = None
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runner:
    """How suites are run.

    Attributes:
        root: The folder that they run in.
        out: The folder for logs, JUnit XML files and the summary.
        shard: Which part of each suite; None: all.
        store_durations: Whether pytest-split writes how long each test took to ``.test_durations``, by which tests are
            split into shards.
        echo: Whether what suites print is also written to stdout.
    """

    root: Path
    out: Path
    shard: Shard | None = None
    store_durations: bool = False
    echo: bool = False

    def command(self, suite: Suite) -> tuple[str, ...]:
        """The program of a suite and its arguments."""
        if suite.command:
            return tuple(suite.command)
        keyword = ["-k", suite.keyword] if suite.keyword else []
        own = [f"--junitxml={self._file(suite, 'xml')}", *self._splitting(suite)]
        return (*pytest_command(), *suite.paths, *keyword, *suite.arguments, *own)

    def shell(self, suite: Suite) -> str:
        """The same as a line of a shell, from any folder."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in suite.variables.items()]
        # `env` takes also names that a shell would not.
        words = [*(["env", *variables] if variables else []), shlex.join(self.command(suite))]
        return f"(cd {shlex.quote(str(self.root))} && {' '.join(words)})"

    def run(
        self, suites: Iterable[Suite], announce: Callable[[Suite], None] = lambda suite: None
    ) -> Iterator[SuiteRun]:
        """Run suites one after the other; after an interrupt the others are not run.

        The summary in ``out`` is written after each.

        Args:
            suites: Those that cannot run here are skipped.
            announce: Called before a suite is started.
        """
        make_folder(self.out)
        done: list[SuiteRun] = []
        for suite in suites:
            is_over = bool(done) and done[-1].state in ("interrupted", "not run")
            done.append(SuiteRun(suite.name, "not run") if is_over else self._run(suite, announce))
            self._summarize(done)
            yield done[-1]

    def _run(self, suite: Suite, announce: Callable[[Suite], None]) -> SuiteRun:
        if self.shard is not None and self.shard.of(suite) is None:
            return SuiteRun(suite.name, "skipped", reason="all of it is in the shards before this one")
        if unmet := suite.unmet(os.environ):
            return SuiteRun(suite.name, "skipped", reason="; ".join(unmet))
        log, junit = self._file(suite, "log"), None if suite.command else self._file(suite, "xml")
        begun = SuiteRun(
            suite.name,
            "not run",
            command=self.command(suite),
            variables=tuple(suite.variables.items()),
            log=str(log),
            junit=None if junit is None else str(junit),
        )
        if junit is not None:
            junit.unlink(missing_ok=True)  # that of an earlier run would be taken for this one's
        started = time.monotonic()
        ignored = (self.out, self.root / DURATIONS)
        try:
            announce(suite)
            before = git.state(self.root, ignored)
            ended = run(
                begun.command,
                cwd=self.root,
                env={**os.environ, **suite.variables},
                time_limit=suite.time_limit,
                log=log,
                echo=self.echo,
            )
            after = git.state(self.root, ignored)
        except KeyboardInterrupt:
            seconds = time.monotonic() - started
            return replace(begun, state="interrupted", exit_code=INTERRUPTED, seconds=seconds, reason="interrupted")
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
            return replace(begun, state="not started", exit_code=code, reason=f"cannot be started: {error}")
        return _judge(replace(begun, changed=git.changes(before, after), left=ended.left), suite, self.shard, ended)

    def _splitting(self, suite: Suite) -> list[str]:
        part = self.shard.of(suite) if self.shard else None
        durations = f"--durations-path={self.root / DURATIONS}"
        if part is not None and part.count > 1:
            # The other algorithm of pytest-split leaves parts empty, and fails where nothing takes any time.
            return [
                f"--splits={part.count}",
                f"--group={part.index}",
                "--splitting-algorithm=least_duration",
                durations,
            ]
        return ["--store-durations", durations] if self.store_durations else []

    def _file(self, suite: Suite, suffix: str) -> Path:
        return self.out / f"{suite.name}{self._part()}.{suffix}"

    def _part(self) -> str:
        return f".{self.shard.index}-of-{self.shard.count}" if self.shard else ""

    def _summarize(self, done: Sequence[SuiteRun]) -> None:
        shard = f"{self.shard.index}/{self.shard.count}" if self.shard else None
        summary: dict[str, Any] = {"root": str(self.root), "shard": shard, "exit_code": worst(done)}
        summary["suites"] = [{**asdict(each), "variables": dict(each.variables)} for each in done]
        with whole_file(self.out / f"suites{self._part()}.json") as file:
            file.write(json.dumps(summary, indent=2).encode() + b"\n")


def worst(runs: Iterable[SuiteRun]) -> int:
    """The exit code that stands for all: of those that ran the worst, and 5 where none did.

    An interrupt is worse than a crash, which is worse than a time-out; then come what cannot be started, an internal
    error of pytest, an interruption, a wrong call, tests that failed, and no tests.
    """
    codes = [each.exit_code for each in runs if each.exit_code is not None]
    return max(codes, key=_badness, default=NO_TESTS)


def _badness(code: int) -> tuple[int, int]:
    if code == INTERRUPTED:
        return len(_ORDER) + 1, code
    if code > SIGNALLED:
        return len(_ORDER), code
    return _ORDER.index(code if code in _ORDER else FAILED), code


def _judge(begun: SuiteRun, suite: Suite, shard: Shard | None, ended: Ended) -> SuiteRun:
    code = ended.exit_code
    state, reason = _verdict(suite, shard, ended)
    if state == "passed":
        reason = _flaw(begun, may_be_empty=code == NO_TESTS)
        state, code = ("failed", FAILED) if reason else ("passed", PASSED)
    return replace(
        begun,
        state=state,
        exit_code=code,
        signal=ended.signal,
        reason=reason,
        seconds=ended.seconds,
        peak_bytes=ended.peak_bytes,
    )


def _flaw(begun: SuiteRun, *, may_be_empty: bool) -> str:
    """What is wrong with a suite whose exit code says that nothing is."""
    if begun.junit is not None and (flaw := _flaw_of_results(begun.junit, may_be_empty)):
        return flaw
    return "it has changed the git tree" if begun.changed else ""


def _flaw_of_results(junit: str, may_be_empty: bool) -> str:
    """What pytest's results say against its exit code, which a test, a plugin or PYTEST_ADDOPTS may have made 0."""
    try:
        suites = list(ElementTree.parse(junit).iter("testsuite"))
    except (OSError, ElementTree.ParseError):  # such as by os._exit(0) in a test
        return "pytest ended before it had written its results"
    tests, failures, errors = (sum(int(one.get(key, 0)) for one in suites) for key in ("tests", "failures", "errors"))
    if failures or errors:
        return f"its exit code is 0, but its results have {failures} failures and {errors} errors"
    return "" if tests or may_be_empty else "its exit code is 0, but no test has run"


def _verdict(suite: Suite, shard: Shard | None, ended: Ended) -> tuple[State, str]:
    code = ended.exit_code
    if ended.timed_out:
        return "timed out", f"it took more than {suite.time_limit:g} s"
    if ended.signal is not None:
        return "crashed", f"killed by {ended.signal}"
    if code == PASSED:
        return "passed", ""
    if suite.command:
        return "failed", ""
    if code == NO_TESTS:
        # A test goes to the first shard first: later ones without tests are small suites, and no mistake.
        return ("passed", "") if shard is not None and shard.index > 1 else ("no tests", "pytest has found no tests")
    return "failed", _MEANINGS.get(code, "")
