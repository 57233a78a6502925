"""What one run of tests has given, and what two runs differ in, as values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["passed", "failed", "error", "skipped", "crashed", "timed_out", "uncollected"]
# How the process that ran a file came to its end.
Ending = Literal["finished", "crashed", "timed_out", "uncollected"]
# A regression passed in the baseline and does not in the candidate, or only there the process of its file did not come
# to its end; what is flaky does so, but not always; what has vanished ran in the baseline and is not in the candidate;
# what is lost ran in the baseline and is skipped in the candidate; what is new runs in the candidate, and was skipped
# or not there in the baseline; what is fixed passes in the candidate and did not in the baseline.
Kind = Literal["regression", "flaky", "vanished", "lost", "new", "fixed"]
# Why a test differs, as a person has found out.
Category = Literal["codegen", "runtime", "infrastructure", "flaky", "platform"]

# What a comparison is for: until somebody has said why, each of them is a failure.
BREAKING: frozenset[Kind] = frozenset({"regression", "vanished", "lost"})

# Of these all tests of a file have the same.
UNFINISHED: frozenset[Outcome] = frozenset({"crashed", "timed_out", "uncollected"})
BAD: frozenset[Outcome] = UNFINISHED | {"failed", "error"}


def outcome_name(outcome: Outcome | None) -> str:
    """An outcome in words."""
    return "not there" if outcome is None else outcome.replace("_", " ").replace("uncollected", "not collected")


@dataclass(frozen=True)
class Result:
    """What became of one test.

    Attributes:
        test: The node id of pytest, such as ``tests/test_a.py::TestB::test_c[1]``.
        outcome: As Junit has it; of a file whose process did not finish, the same for every test in it.
        seconds: How long it ran, with its set-up and tear-down.
        message: Of one that did not pass, what the report says of it in full, such as why it was skipped.
        expected: Whether it counts as skipped because it failed as it should, by ``xfail``.
        passes: How many results say that it passed, where several files speak of a test of this name.
    """

    test: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    expected: bool = False
    passes: int = 0


@dataclass(frozen=True)
class FileRun:
    """One test file in one environment, in a process of its own.

    Attributes:
        file: Its path as it was selected, with slashes.
        ending: How the process ended.
        detail: What there is to say of an ending other than ``finished``, such as ``SIGSEGV`` or ``300 s``.
        running: The node id of the test that was running when the process ended otherwise; empty where none was.
        seconds: How long the process ran.
        peak_bytes: The most memory that the process and its children had at a time; None where that was not measured.
        reported: Where it did not finish, what had come of tests before, by node id.
        results: By node id. One of the file's own path holds for each test of the file, such as a module that is
            skipped as a whole.
        loaded: Modules that were asked for, and from where each was loaded when the process ended; None where it was
            not. Empty where the process did not come to its end.
    """

    file: str
    ending: Ending
    detail: str = ""
    running: str = ""
    seconds: float = 0.0
    peak_bytes: int | None = None
    reported: Mapping[str, Outcome] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)
    loaded: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Leg:
    """One environment that tests run in.

    Attributes:
        name: ``baseline``, ``candidate`` or ``diagnostic``.
        python: The interpreter.
        variables: Environment variables that are set for it.
        arguments: Further arguments of pytest.
        absent: Modules that may not be importable in it.
        present: Modules that must be.
        unloaded: Modules that may not be loaded when a process of tests ends.
        loaded: Modules that must be.
        versions: Of Python and of distributions, by name.
    """

    name: str
    python: str
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    unloaded: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One test that differs between the legs.

    Attributes:
        kind: What the difference is.
        test: The node id.
        file: Its file.
        baseline: The outcome there; None where it has no such test.
        candidate: The outcome there; None where it has no such test.
        diagnostic: The outcome there; None where it has no such test, or where there is no such leg.
        message: What the candidate's report says in full, and how its process ended where it did not finish.
        reruns: Outcomes in the candidate when it was run again.
        baseline_reruns: Outcomes in the baseline when it was run again.
        culprit: Of one that passes without it, the test that ended the process of the whole file.
        category: Why it differs, None as long as nobody has said.
        reason: What that person has written.
        link: Where there is more of it, such as the issue that was filed.
    """

    kind: Kind
    test: str
    file: str
    baseline: Outcome | None
    candidate: Outcome | None
    diagnostic: Outcome | None = None
    message: str = ""
    reruns: tuple[Outcome, ...] = ()
    baseline_reruns: tuple[Outcome, ...] = ()
    culprit: str = ""
    category: Category | None = None
    reason: str = ""
    link: str = ""

    @property
    def breaks(self) -> bool:
        """Whether the comparison fails for it, as for every bug of generated code, or what nobody accounts for."""
        return self.category == "codegen" or (self.category is None and self.kind in BREAKING)


@dataclass(frozen=True)
class FileCounts:
    """The tests of one file, counted.

    Attributes:
        file: Its path.
        baseline: How many there are of each outcome.
        candidate: How many there are of each outcome.
        missing: How many the candidate does not have.
        new: How many only the candidate has.
        skipped_in_both: How many take no part in the comparison.
    """

    file: str
    baseline: Counter[Outcome]
    candidate: Counter[Outcome]
    missing: int
    new: int
    skipped_in_both: int


@dataclass(frozen=True)
class Report:
    """A comparison as it is read, written and drawn.

    Attributes:
        selection: What was asked to run.
        legs: The environments: baseline, candidate and, where there is one, diagnostic.
        files: In the order of their paths.
        findings: By kind, then by test.
        seconds: How long each leg ran, by name.
        notes: What a reader should know of how the comparison was made.
        stale: The tests, or patterns of them, of entries of the classification that no finding needs any more.
    """

    selection: tuple[str, ...]
    legs: tuple[Leg, ...]
    files: tuple[FileCounts, ...]
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        """Whether the candidate has broken anything."""
        return any(finding.breaks for finding in self.findings)
