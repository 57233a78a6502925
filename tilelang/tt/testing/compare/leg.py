"""Tests in one environment: each file in a process of its own."""

import json
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from ...errors import TTError
from .. import process
from ..process import Ended
from . import results
from .model import Ending, FileRun, Leg, Result
from .pattern import pattern
from .priorities import REST, Priorities, Priority

_INSIDE = Path(__file__).with_name("inside.py")
_USAGE_ERROR = 4  # of pytest
_TAIL = 4096  # bytes of what a process has printed, where it ended badly
_OPTIONS = ("-p", "no:cacheprovider", "-o", "junit_family=xunit1", "--maxfail=0")


@dataclass(frozen=True)
class Process:
    """A process inside of a leg that has ended.

    Attributes:
        ended: How.
        noted: What it has noted, later lines over earlier ones, and what has been reported of all tests.
        output: The end of what it has printed.
    """

    ended: Ended
    noted: Mapping[str, Any]
    output: str


def variables(leg: Leg) -> dict[str, str]:
    """The environment variables of a leg: those of this process, a fixed seed of hashes, and its own."""
    return {"PYTHONHASHSEED": "0", **os.environ, **leg.variables}


def inside(
    leg: Leg,
    folder: Path,
    request: Mapping[str, Any],
    time_limit: float | None = None,
    cancelled: Event | None = None,
) -> Process:
    """Have :mod:`.inside` do something in the interpreter of a leg.

    Args:
        leg: Where.
        folder: An empty one for the files of this process.
        request: What, and its arguments.
        time_limit: Seconds that it may take.
        cancelled: Ends it, and raises KeyboardInterrupt, when it is set.

    Raises:
        OSError: The interpreter cannot be started.
    """
    asked, journal, log = folder / "request.json", folder / "journal", folder / "log"
    asked.write_text(json.dumps({**request, "journal": str(journal)}), encoding="utf-8")
    command = [leg.python, str(_INSIDE), str(asked)]
    ended = process.run(command, env=variables(leg), time_limit=time_limit, log=log, cancelled=cancelled)
    return Process(ended, _noted(journal), _end_of(log))


def _noted(journal: Path) -> dict[str, Any]:
    noted: dict[str, Any] = {"reported": {}}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        with suppress(ValueError):  # half a line is what is left of a process that was killed while it wrote
            found = json.loads(line)
            noted["reported"].update(found.pop("reported", {}))
            noted.update(found)
    return noted


def _end_of(log: Path) -> str:
    """The end of what may be a gigabyte."""
    with open(log, "rb") as file:
        file.seek(-min(_TAIL, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return file.read().decode("utf-8", errors="replace")


def run_file(
    leg: Leg,
    file: str,
    targets: Sequence[str],
    *,
    time_limit: float | None = None,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    priorities: Priorities | None = None,
    priority: Collection[Priority] = (),
    cancelled: Event | None = None,
) -> FileRun:
    """Run the tests of a file, and say what has come of it, however its process ends.

    Args:
        leg: Where they run.
        file: The file.
        targets: What of it pytest is asked for: the file, or node ids in it.
        time_limit: Seconds that the process may take.
        only: Node ids of the tests that run; None: all.
        without: Node ids of tests that do not run.
        priorities: Which priority each test has; None: all run.
        priority: Those that run.
        cancelled: Ends the process, and raises KeyboardInterrupt, when it is set.
    """
    with tempfile.TemporaryDirectory(prefix="tilelang-tt-", ignore_cleanup_errors=True) as folder:
        report = Path(folder, "report.xml")
        request = {
            "action": "run",
            "arguments": [*leg.arguments, *_OPTIONS, f"--junitxml={report}", *map(_argument, targets)],
            "modules": sorted({*leg.loaded, *leg.unloaded}),
            "only": None if only is None else [_rest(test) for test in only],
            "without": [_rest(test) for test in without],
            "file": file,
            "property": results.TEST,
            "priorities": None if priorities is None else _rules(priorities, priority),
        }
        done = inside(leg, Path(folder), request, time_limit, cancelled)
        return _file_run(file, done, _read(report, file), time_limit)


def _rules(priorities: Priorities, priority: Collection[Priority]) -> dict[str, Any]:
    rules = [(f"(?s:{pattern(text).pattern})", each) for text, each in priorities.rules]
    return {"rules": rules, "rest": REST, "chosen": list(priority)}


def _argument(target: str) -> str:
    return f"./{target}" if target.startswith("-") else target


def _rest(test: str) -> str:
    return test.partition("::")[2]


def _read(report: Path, file: str) -> dict[str, Result] | None:
    """The results in a report; None where it has not been written, or not to its end."""
    try:
        return results.read_report(report, file)
    except (OSError, TTError):
        return None


def _file_run(file: str, done: Process, found: dict[str, Result] | None, time_limit: float | None) -> FileRun:
    collected = [results.node_id(file, test) for test in done.noted.get("collected", ())]
    ending, detail = _ending(done, collected, found, time_limit)
    if ending != "finished":
        found = {test: Result(test, ending) for test in collected} if ending != "uncollected" else {}
    running = done.noted.get("running")
    return FileRun(
        file=file,
        ending=ending,
        detail=detail,
        running=results.node_id(file, running) if running and ending != "finished" else "",
        reported={results.node_id(file, test): outcome for test, outcome in done.noted["reported"].items()}
        if ending != "finished"
        else {},
        seconds=round(done.ended.seconds, 3),
        peak_bytes=done.ended.peak_bytes,
        results=found or {},
        loaded=done.noted.get("loaded", {}),
    )


def _ending(
    done: Process, collected: list[str], found: dict[str, Result] | None, time_limit: float | None
) -> tuple[Ending, str]:
    """How a process ended, and what there is to say of that."""
    ended, noted, output = done.ended, done.noted, f"\n{done.output}".rstrip()
    if ended.timed_out:
        return "timed_out", f"{time_limit:g} s{output}"
    if ended.signal:
        return "crashed", f"{ended.signal}{output}"
    if noted.get("code") != ended.code:
        return "crashed", f"exit code {ended.code} before the end of pytest{output}"
    if "collected" not in noted or ended.code == _USAGE_ERROR:  # also a conftest.py that fails
        return "uncollected", f"exit code {ended.code}{output}"
    if found is None:
        return "crashed", f"exit code {ended.code} without a report{output}"
    if noted["errors"]:
        of_files = (result.message for test, result in found.items() if test not in collected and result.message)
        return "uncollected", "\n\n".join(of_files) or f"exit code {ended.code}{output}"
    if missing := [test for test in collected if test not in found]:
        return "crashed", f"exit code {ended.code}, and {len(missing)} of {len(collected)} tests did not run{output}"
    return "finished", ""
