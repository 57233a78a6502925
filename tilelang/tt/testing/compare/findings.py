"""What two or three runs of the same tests differ in."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, get_args

from .model import BAD, UNFINISHED, FileCounts, FileRun, Finding, Kind, Leg, Outcome, Report, outcome_name

Runs = Mapping[str, FileRun]  # by file
_Key = TypeVar("_Key")

_ORDER = get_args(Kind)
_SHOWN = 10
_PASSES = "[XPASS(strict)]"  # what pytest says of a test that was to fail, and does not


def kind_of(baseline: Outcome | None, candidate: Outcome | None) -> Kind | None:
    """What the difference is of a test with these outcomes; None where there is none.

    Args:
        baseline: The outcome there, None where there is no such test; ``candidate`` likewise.
    """
    if candidate in UNFINISHED and baseline not in UNFINISHED:  # whatever hides behind it, nobody can see it now
        return "regression"
    if baseline in (None, "skipped"):
        return None if candidate in (None, "skipped") else "new"
    if candidate in (None, "skipped"):
        if baseline == "uncollected":  # it did not run
            return None
        return "lost" if candidate else "vanished"
    if baseline == "passed":
        return "regression" if candidate in BAD else None
    return "fixed" if candidate == "passed" else None


def outcome_of(run: FileRun | None, test: str, *, partly: bool = False) -> Outcome | None:
    """The outcome of a test of a file; None where the file has no such test.

    A process that did not finish is the outcome of every test of its file, as is a result of the file itself.

    Args:
        run: The file.
        test: The test.
        partly: Whether a process that did not finish is the outcome only of what it had not run before.
    """
    if run is None:
        return None
    if run.ending != "finished":
        return run.reported.get(test, run.ending) if partly else run.ending
    result = run.results.get(test) or run.results.get(run.file)
    return None if result is None else result.outcome


def tests_of(runs: Iterable[FileRun | None], file: str) -> list[str]:
    """All tests that are known of a file; the file itself where it has a result and no test is known."""
    present = [run for run in runs if run is not None]
    known = {test for run in present for test in run.results} - {file}
    if not known and any(run.results or run.ending != "finished" for run in present):
        return [file]
    return sorted(known)


def compare(selection: Sequence[str], legs: Sequence[Leg], runs: Sequence[Runs], notes: Sequence[str] = ()) -> Report:
    """The report of two runs of the same tests, or of three.

    Args:
        selection: What was asked to run.
        legs: Baseline, candidate and, where there is one, diagnostic.
        runs: What has come of each file in each of them.
        notes: What a reader should know of how it was made.
    """
    files = sorted({file for each in runs[:2] for file in each})
    counts, findings = [], []
    for file in files:
        baseline, candidate, *diagnostic = (each.get(file) for each in runs)
        partly = _breaks_off(baseline)
        rows = [
            (test, outcome_of(baseline, test, partly=True), outcome_of(candidate, test, partly=partly))
            for test in tests_of((baseline, candidate), file)
        ]
        counts.append(_counts(file, rows))
        for test, before, after in rows:
            if _passes(baseline, test) > _passes(candidate, test):  # one of several of this name
                before = "passed"
            kind = kind_of(before, after)
            if kind == "new" and _fails_otherwise(baseline, candidate, test):
                kind = "regression"
            if kind:
                third = outcome_of(diagnostic[0], test, partly=partly) if diagnostic else None
                message = _message(candidate, test)
                findings.append(Finding(kind, test, file, before, after, diagnostic=third, message=message))
    notes = [
        *notes,
        *_unseen([file for file in files if _breaks_off(runs[0].get(file)) and _breaks_off(runs[1].get(file))]),
    ]
    seconds = {leg.name: sum(run.seconds for run in each.values()) for leg, each in zip(legs, runs, strict=True)}
    return Report(tuple(selection), tuple(legs), tuple(counts), in_order(findings), seconds, notes=tuple(notes))


def _passes(run: FileRun | None, test: str) -> int:
    return run.results[test].passes if run and test in run.results else 0


def _fails_otherwise(baseline: FileRun | None, candidate: FileRun | None, test: str) -> bool:
    """Whether a test that was to fail did, and now fails with something else, and not because it passes."""
    before, after = (run.results.get(test) if run else None for run in (baseline, candidate))
    if before is None or after is None or not before.expected:
        return False
    return after.outcome in BAD and not after.message.startswith(_PASSES)


def _breaks_off(run: FileRun | None) -> bool:
    return run is not None and run.ending != "finished"


def _unseen(files: Sequence[str]) -> list[str]:
    """What nobody may take for compared."""
    if not files:
        return []
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return [f"not compared to the end, as the process ends badly in both: {', '.join(files[:_SHOWN])}{more}"]


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By kind, then by test."""
    return tuple(sorted(findings, key=lambda finding: (_ORDER.index(finding.kind), finding.test)))


def _counts(file: str, rows: Sequence[tuple[str, Outcome | None, Outcome | None]]) -> FileCounts:
    return FileCounts(
        file,
        baseline=_counted(before for _, before, _ in rows),
        candidate=_counted(after for _, _, after in rows),
        missing=sum(before is not None and after is None for _, before, after in rows),
        new=sum(before is None and after is not None for _, before, after in rows),
        skipped_in_both=sum(before == after == "skipped" for _, before, after in rows),
    )


def _counted(outcomes: Iterable[_Key | None]) -> Counter[_Key]:
    return Counter(outcome for outcome in outcomes if outcome is not None)


def _message(run: FileRun | None, test: str) -> str:
    if run is None:
        return ""
    if run.ending != "finished":
        where = f" in {run.running}" if run.running else ""
        return f"{outcome_name(run.ending)}{where}: {run.detail}"
    result = run.results.get(test) or run.results.get(run.file)
    return result.message if result else ""
