"""A comparison from its environments to its report: what has run is kept, so that an interrupted one goes on."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import Event
from typing import Protocol

from ..._whole_file import whole_file
from ...errors import TTError, refusal
from .._files import make_folder, matches
from . import findings, results
from .config import LEGS, Comparison
from .environment import Environment, check_loaded, look_at
from .leg import run_file
from .model import FileRun, Leg, Report
from .priorities import Priorities
from .rerun import rerun
from .selection import expand

_STATE = "comparison.json"
_RESULTS = "results"
_RAN = frozenset({"passed", "failed", "error"})
# Files beside tests that decide how pytest runs them.
_SETTINGS = [
    "conftest.py",
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
]


# Variables that decide what a process imports, and what pytest does.
_VARIABLES = [
    "PYTHONPATH",
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
]


class Progress(Protocol):
    """What is told of each file that has run, or had before the comparison was interrupted.

    Args:
        leg: Where.
        run: What has come of it.
        done: How many of ``total`` runs of files there have been; of a regression that is run again, which time it is.
        total: 0 for a regression that is run again.
    """

    def __call__(self, leg: str, run: FileRun, done: int, total: int) -> None: ...


def _quiet(leg: str, run: FileRun, done: int, total: int) -> None:
    pass


def compare(comparison: Comparison, out: "str | PathLike[str]", progress: Progress = _quiet) -> Report:
    """Run the tests of a comparison in each of its legs, and say what the candidate has broken.

    Args:
        comparison: What is compared.
        out: A folder for JUnit XML and all that has to outlive an interruption; a new one, or that of an earlier
            comparison. One that was interrupted goes on: what has run is not run again, unless its environment or its
            file has changed since. One that was finished begins anew.
        progress: Is called in this thread.

    Raises:
        ComparisonError: The environments cannot be compared or are contaminated; there are no tests, or none has run in
            the baseline; or the folder is another one, or in use.
        KeyboardInterrupt: It was interrupted, and goes on when it is called again.
        OSError: A file cannot be read or written.
    """
    legs = _legs(comparison)
    selected = expand(comparison.tests, comparison.patterns)
    priorities = _priorities(comparison)
    if priorities is not None:
        selected = {file: selected[file] for file in priorities.select(selected, comparison.priority)}
    environments = look_at(legs, package=comparison.package, same=comparison.same)
    folder = _Folder(Path(out))
    with folder.locked():
        folder.open()
        running = _Running(comparison, environments, selected, priorities, folder, progress)
        try:
            runs = running.run()
            _check_something_ran(runs)
        except TTError:
            folder.close()  # what makes it right may be nothing that a digest sees
            raise
        found = findings.compare(comparison.tests, [each.leg for each in environments], runs, running.notes)
        report = rerun(found, runs[1], running.again, times=comparison.reruns, limit=comparison.rerun_limit)
        folder.close()
    return report


def compare_results(folders: Sequence["str | PathLike[str]"]) -> Report:
    """Compare JUnit XML that is there already.

    Args:
        folders: Of the baseline, of the candidate and, where there is one, of the diagnostic leg.

    Raises:
        ComparisonError: A folder has no JUnit XML, or no test has run in the baseline.
        OSError: A file cannot be read.
    """
    baseline, candidate = folders[:2]
    if os.path.realpath(baseline) == os.path.realpath(candidate):
        raise refusal("TT999", f"{baseline} is both baseline and candidate; expected results of two runs")
    legs = [Leg(name, os.fspath(folder)) for name, folder in zip(LEGS, folders, strict=False)]
    runs = [results.read_folder(folder) for folder in folders]
    if not any(map(_has_run, runs[0].values())):
        raise refusal("TT999", f"{legs[0].python}: no test has run there; expected results to compare with")
    return findings.compare([leg.python for leg in legs], legs, runs)


def _legs(comparison: Comparison) -> list[Leg]:
    """Those of the comparison, with the arguments that they share."""
    by_name = {leg.name: leg for leg in comparison.legs}
    for name in ("candidate", "baseline"):
        if name not in by_name:
            how = f"--{name} PYTHON, --{name}-env NAME=VALUE, or [{name}] in a file of TOML"
            raise refusal("TT998", f"found no {name}; expected baseline and candidate\nhelp: {how}, describes it")
    if not comparison.tests:
        raise refusal("TT998", "found no tests; expected folders, files or node ids")
    legs = (by_name[name] for name in LEGS if name in by_name)
    return [replace(leg, arguments=(*comparison.arguments, *leg.arguments)) for leg in legs]


def _priorities(comparison: Comparison) -> Priorities | None:
    if not comparison.priority:
        return None
    if comparison.priorities is None:
        raise refusal("TT998", f"priority {', '.join(comparison.priority)}: found no file of priorities; expected one")
    return Priorities.read(comparison.priorities)


def _has_run(run: FileRun) -> bool:
    return run.ending == "finished" and any(result.outcome in _RAN for result in run.results.values())


def _check_something_ran(runs: Sequence[Mapping[str, FileRun]]) -> None:
    baseline = runs[0].values()
    if any(map(_has_run, baseline)):
        return
    details = [f"\n{run.file}: {run.detail}" for run in baseline if run.detail]
    what = f"{len(baseline)} files of tests: no test has run in the baseline; nothing is compared"
    raise refusal("TT999", what + "".join(details[:1]))


class _Folder:
    """What outlives an interruption."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / _RESULTS
        self._state = path / _STATE

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have it for this comparison alone, until the block or this process ends, however it does.

        Raises:
            ComparisonError: Another comparison has it, or it is no folder of a comparison.
        """
        # Files with a dot are of a comparison that was killed when it had just begun.
        is_other = self.path.exists() and not self._state.exists()
        if is_other and any(each.name[0] != "." for each in self.path.iterdir()):
            raise refusal("TT998", f"{self.path} holds something else than a comparison; expected a new folder")
        make_folder(self.path)
        with open(self.path / ".lock", "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise refusal(
                    "TT998", f"{self.path}: another comparison runs in it; expected its end, or another folder"
                ) from None
            except OSError:
                pass  # a file system without locks
            yield

    def open(self) -> None:
        """Begin anew, unless an interrupted comparison goes on."""
        with suppress(FileNotFoundError, ValueError):  # half a file is what a machine leaves that has crashed
            if json.loads(self._state.read_bytes()) == {"finished": True}:
                shutil.rmtree(self.results)  # what stayed would be taken for results of the comparison that begins
        self._say(finished=False)

    def close(self) -> None:
        self._say(finished=True)

    def _say(self, *, finished: bool) -> None:
        with whole_file(self._state) as file:
            file.write(json.dumps({"finished": finished}).encode() + b"\n")


class _Running:
    """Runs files in legs, unless their results are there."""

    def __init__(
        self,
        comparison: Comparison,
        environments: Sequence[Environment],
        selected: Mapping[str, tuple[str, ...]],
        priorities: Priorities | None,
        folder: _Folder,
        progress: Progress,
    ) -> None:
        self._comparison = comparison
        self._environments = {each.leg.name: each for each in environments}
        self._selected = selected
        self._priorities = priorities
        self._folder = folder
        self._progress = progress
        self._kept = 0
        self._changed: list[str] = []

    @property
    def notes(self) -> list[str]:
        """What of an interrupted comparison was kept, and what was not."""
        kept = [f"{self._kept} runs of files are from before the comparison was interrupted"] if self._kept else []
        return [*kept, *self._changed]

    def run(self) -> list[dict[str, FileRun]]:
        """What has come of each file, of one leg after the other.

        Raises:
            ComparisonError: A process was contaminated.
        """
        tasks = [(name, file) for name in self._environments for file in self._selected]
        found: dict[str, dict[str, FileRun]] = {name: {} for name in self._environments}
        cancelled = Event()
        with ThreadPoolExecutor(self._comparison.jobs) as pool:
            futures = {pool.submit(self._one, *task, cancelled): task for task in tasks}
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    name, file = futures[future]
                    run = found[name][file] = future.result()
                    check_loaded(self._environments[name].leg, run)
                    self._progress(name, run, done, len(tasks))
            except BaseException:
                cancelled.set()
                pool.shutdown(cancel_futures=True)
                raise
        return list(found.values())

    def again(self, leg: str, file: str, number: int, *, only: str = "", without: str = "") -> FileRun:
        """Run tests of a file once more; see :class:`.rerun.Again`."""
        what = hashlib.sha256(json.dumps([file, only, without]).encode()).hexdigest()[:16]
        path = self._folder.results / "reruns" / leg / f"{what}-{number}.xml"
        run = self._kept_or_run(leg, file, path, only=[only] if only else None, without=[without] if without else [])
        self._progress(leg, run, number, 0)
        return run

    def _one(self, leg: str, file: str, cancelled: Event) -> FileRun:
        path = self._folder.results / leg / f"{file.lstrip('/')}.xml"
        return self._kept_or_run(leg, file, path, cancelled=cancelled)

    def _kept_or_run(
        self,
        leg: str,
        file: str,
        path: Path,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
        cancelled: Event | None = None,
    ) -> FileRun:
        environment = self._environments[leg]
        of_leg, of_file = self._of_leg(environment), self._of_file(file)
        before = results.key_of(path)
        if before == f"{of_leg} {of_file}":
            self._kept += 1
            (run,) = results.read(path)
            return run
        if before is not None:
            what = "the environment" if before.partition(" ")[0] != of_leg else "the file, or what is around it,"
            self._changed.append(f"{leg}, {file}: {what} has changed since the interruption, and it was run anew")
        run = run_file(
            environment.leg,
            file,
            self._selected[file],
            time_limit=self._comparison.time_limit,
            only=only,
            without=without,
            priorities=self._priorities,
            priority=self._comparison.priority,
            cancelled=cancelled,
        )
        results.write(path, run, f"{of_leg} {of_file}")
        return run

    def _of_leg(self, environment: Environment) -> str:
        """A digest of what decides how tests run in it, as far as that can be seen."""
        leg = environment.leg
        inherited = {name: os.environ.get(name) for name in _VARIABLES}
        stated = [inherited, dict(leg.variables), leg.arguments, leg.loaded, leg.unloaded, self._comparison.time_limit]
        return _digest(
            json.dumps([environment.prefix, environment.state, leg.python, *stated], sort_keys=True).encode()
        )

    def _of_file(self, file: str) -> str:
        """A digest of the file, of modules beside it, of what is asked for of it, and of the settings around it."""
        folders = [*Path(file).absolute().parents]
        settings = [folder / name for folder in folders for name in _SETTINGS]
        beside = (path for path in folders[0].glob("*.py") if not matches(path.name, self._comparison.patterns))
        asked = json.dumps([self._selected[file], self._comparison.priority])
        contents = [_contents(path) for path in (Path(file), *settings, *sorted(beside))]
        if self._comparison.priorities:
            contents.append(_contents(Path(self._comparison.priorities)))
        return _digest(asked.encode(), *contents)


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _contents(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""
