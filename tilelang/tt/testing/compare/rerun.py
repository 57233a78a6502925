"""Regressions, run again: which of them are flaky, and which test it was that ended the process of a file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from .findings import in_order, kind_of, outcome_of
from .model import BAD, BREAKING, UNFINISHED, FileRun, Finding, Outcome, Report


class Again(Protocol):
    """Runs tests of a file once more.

    Args:
        leg: ``baseline`` or ``candidate``.
        file: The file.
        number: Which time it is, from 1.
        only: The test that runs; empty: all.
        without: A test that does not run; empty: none is left out.
    """

    def __call__(self, leg: str, file: str, number: int, *, only: str = "", without: str = "") -> FileRun: ...


def rerun(report: Report, candidate: Mapping[str, FileRun], again: Again, *, times: int, limit: int) -> Report:
    """The report with what comes of its regressions when they are run again: what passes then is flaky.

    A test runs alone; where it then never fails, or fails in the baseline, its file runs, as the test may need those
    before it, or be broken by them. Of a file whose process did not finish, the test that was running then runs alone;
    if it ends its process each time, the others run once without it. Otherwise the file runs as a whole.

    Args:
        report: The findings.
        candidate: The runs of the candidate, by file.
        again: Runs tests.
        times: How often the candidate is asked; the baseline is asked once.
        limit: How many regressions, or files whose process did not finish, are run again at most.
    """
    units = list(_units(report, candidate)) if times else []
    seen: dict[str, Finding] = {}
    for run, regressions in units[:limit]:
        for finding in _run_again(run, regressions, again, times):
            seen[finding.test] = finding
    findings = in_order(seen.get(finding.test, finding) for finding in report.findings)
    left = len(units) - limit
    notes = (f"{left} of {len(units)} regressions were not run again, as the limit is {limit}",) if left > 0 else ()
    return replace(report, findings=findings, notes=(*report.notes, *notes))


def _units(report: Report, candidate: Mapping[str, FileRun]) -> Iterator[tuple[FileRun, list[Finding]]]:
    """What is run again together: each regression, or all of a file whose process did not finish."""
    ended: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.kind == "regression":
            run = candidate[finding.file]
            if run.ending == "finished":
                yield run, [finding]
            else:
                ended.setdefault(finding.file, []).append(finding)
    yield from ((candidate[file], findings) for file, findings in ended.items())


def _run_again(run: FileRun, regressions: list[Finding], again: Again, times: int) -> Iterator[Finding]:
    numbers = range(1, times + 1)
    if run.ending == "finished":
        (finding,) = regressions
        alone = [again("candidate", run.file, number, only=finding.test) for number in numbers]
        judged = _judged(finding, alone, again("baseline", run.file, 1, only=finding.test))
        if not _depends_on_others(judged):
            yield judged
            return
    elif run.running:
        alone = [again("candidate", run.file, number, only=run.running) for number in numbers]
        if all(each.ending != "finished" for each in alone):
            yield from _by_culprit(run, regressions, again, alone)
            return
    whole = [again("candidate", run.file, number) for number in numbers]
    before = again("baseline", run.file, 1)
    yield from (_judged(finding, whole, before) for finding in regressions)


def _by_culprit(run: FileRun, regressions: list[Finding], again: Again, alone: list[FileRun]) -> Iterator[Finding]:
    """The test that ends the process each time, and the others, which have yet to show what they do."""
    culprit = run.running
    is_alone = all(finding.test == culprit for finding in regressions)
    others = None if is_alone else again("candidate", run.file, 1, without=culprit)
    before = again("baseline", run.file, 1)
    for finding in regressions:
        if finding.test == culprit:
            yield _judged(finding, alone, before)
        else:
            outcomes = _known([outcome_of(others, finding.test, partly=_is_partly(finding))])
            yield replace(
                finding,
                reruns=outcomes,
                baseline_reruns=_known([outcome_of(before, finding.test, partly=True)]),
                culprit=culprit if outcomes and not _breaks(finding, outcomes[0]) else "",
            )


def _depends_on_others(finding: Finding) -> bool:
    """Whether what came of a test alone may be due to that, and says nothing of the regression."""
    return _fails_before(finding) or bool(finding.reruns and not any(_breaks(finding, each) for each in finding.reruns))


def _judged(finding: Finding, runs: Iterable[FileRun], before: FileRun) -> Finding:
    again = [outcome_of(run, finding.test, partly=_is_partly(finding)) for run in runs]
    in_baseline = outcome_of(before, finding.test, partly=True)
    found = replace(finding, reruns=_known(again), baseline_reruns=_known([in_baseline]))
    is_flaky = _fails_before(found) or not all(_breaks(finding, each) for each in again)
    return replace(found, kind="flaky") if is_flaky else found


def _is_partly(finding: Finding) -> bool:
    """Whether it is about a test itself, even where the process of its file then broke off."""
    return finding.candidate not in UNFINISHED


def _breaks(finding: Finding, outcome: Outcome | None) -> bool:
    """Whether this outcome in the candidate fails the comparison, too: of a test that failed once, it is as bad."""
    return (_is_partly(finding) and outcome in BAD) or kind_of(finding.baseline, outcome) in BREAKING


def _fails_before(finding: Finding) -> bool:
    """Whether the baseline, run again, regresses from itself."""
    return any(kind_of(finding.baseline, each) == "regression" for each in finding.baseline_reruns)


def _known(outcomes: Iterable[Outcome | None]) -> tuple[Outcome, ...]:
    return tuple(outcome for outcome in outcomes if outcome is not None)
