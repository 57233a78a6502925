"""What all reports of a comparison say in the same words, and texts as they can be shown anywhere."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias, get_args

from ..model import BAD, UNFINISHED, FileCounts, Finding, Kind, Leg, Outcome, Report, outcome_name

KINDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "regression": ("Regressions", "These pass in the baseline and not in the candidate, or break off there."),
    "vanished": ("Vanished", "These ran in the baseline, and are not in the candidate."),
    "lost": ("Lost", "These ran in the baseline, and are skipped in the candidate."),
    "flaky": ("Flaky", "These pass in the baseline, and in the candidate now and then."),
    "fixed": ("Fixed", "These pass in the candidate, and not in the baseline."),
    "new": ("New", "These run in the candidate only."),
}
"""The kinds of findings, the worst first, with a title and what is to be said of them."""

STALE: Final = "Entries of the classification that nothing needs any more"

# Colours and other orders to a terminal; pytest writes the character that begins one as text into its XML.
_ANSI = re.compile(r"(?:\x1b|#x1B)(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# Control characters, halves of characters, and what cannot be seen or turns the direction of a text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\uffff]"
)
_TO = "\N{RIGHTWARDS ARROW}"
_EXCERPT_LINES = 12
_EXCERPT_WIDTH = 300


Group: TypeAlias = tuple[Finding, ...]
"""Findings that differ in their test alone."""


class Row(NamedTuple):
    """Something that every leg has, in words."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether legs have different ones."""
        return len(set(self.values)) > 1


def verdict(report: Report) -> str:
    """The sentence to read if one reads nothing else."""
    broken = sum(finding.breaks for finding in report.findings)
    if broken:
        return f"The candidate breaks {counted(broken, 'test')}"
    known = sum(finding.category is not None for finding in report.findings)
    return "The candidate breaks nothing" + (f", with {counted(known, 'test')} accounted for" if known else "")


def scope(report: Report) -> str:
    """How much was compared, and how long it took."""
    total = total_of(report)
    took = ", ".join(f"{duration(seconds)} in the {line(name)}" for name, seconds in report.seconds.items())
    both = f", {total.skipped_in_both:,} of them skipped in both" if total.skipped_in_both else ""
    tests = counted(total.baseline.total() + total.new, "test")
    return f"{tests} in {counted(len(report.files), 'file')}{both}" + (f"; {took}" if took else "")


def total_of(report: Report) -> FileCounts:
    """The counts of all files together."""
    baseline: Counter[Outcome] = Counter()
    candidate: Counter[Outcome] = Counter()
    for each in report.files:
        baseline.update(each.baseline)
        candidate.update(each.candidate)
    missing, new, skipped = (
        sum(getattr(each, name) for each in report.files) for name in ("missing", "new", "skipped_in_both")
    )
    return FileCounts("All files", baseline, candidate, missing, new, skipped)


def changed(report: Report) -> list[FileCounts]:
    """The files in which something differs."""
    found = {finding.file for finding in report.findings}
    return [each for each in report.files if each.file in found or each.baseline != each.candidate]


def columns(report: Report) -> list[Outcome]:
    """The outcomes that there are."""
    total = total_of(report)
    return [outcome for outcome in get_args(Outcome) if total.baseline[outcome] or total.candidate[outcome]]


def cells(counts: FileCounts, outcomes: Sequence[Outcome]) -> list[str]:
    """How many tests have each outcome, are missing and are new: two numbers where the legs differ, none for 0."""
    pairs = [(counts.baseline[outcome], counts.candidate[outcome]) for outcome in outcomes]
    numbers = [f"{before:,} {_TO} {after:,}" if before != after else _number_of(after) for before, after in pairs]
    return [*numbers, _number_of(counts.missing), _number_of(counts.new)]


def _number_of(count: int) -> str:
    return f"{count:,}" if count else ""


def names(report: Report) -> list[str]:
    """Of the legs."""
    return [line(leg.name) for leg in report.legs]


def titles(outcomes: Sequence[Outcome]) -> list[str]:
    """Of the columns with :func:`cells`."""
    return [*(outcome_name(outcome).capitalize() for outcome in outcomes), "Missing", "New"]


def change(finding: Finding) -> str:
    """From which outcome to which."""
    third = f"; diagnostic: {outcome_name(finding.diagnostic)}" if finding.diagnostic else ""
    return f"{outcome_name(finding.baseline)} {_TO} {outcome_name(finding.candidate)}{third}"


def reruns(finding: Finding) -> str:
    """What came of running it again; nothing where nobody did."""
    candidate, baseline = (
        f"{sum(outcome in BAD for outcome in outcomes)} of {len(outcomes)}"
        for outcomes in (finding.reruns, finding.baseline_reruns)
    )
    told = [f"{candidate} reruns bad"] if finding.reruns else []
    return ", ".join([*told, *([f"{baseline} in the baseline"] if finding.baseline_reruns else [])])


def environment(report: Report) -> list[Row]:
    """What runs where, and the versions of each leg."""
    legs = report.legs
    rows = [
        _row("Selection", (shlex.join(report.selection) for _ in legs)),
        _row("Interpreter", (leg.python for leg in legs)),
        _row("Variables", (shlex.join(f"{name}={value}" for name, value in leg.variables.items()) for leg in legs)),
        _row("Arguments", (shlex.join(leg.arguments) for leg in legs)),
    ]
    names = dict.fromkeys(name for leg in legs for name in leg.versions)
    versions = [_row(name, (leg.versions.get(name, "") for leg in legs)) for name in names]
    return [row for row in rows if any(row.values)] + versions


def _row(name: str, values: Iterable[str]) -> Row:
    return Row(line(name), tuple(map(line, values)))


def command(leg: Leg, test: str) -> str:
    """What runs a test by itself in a leg; from Python 3.11 on without the current folder on the path, as it ran."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in {"PYTHONSAFEPATH": "1", **leg.variables}.items()]
    return " ".join([*variables, shlex.join([leg.python, "-m", "pytest", *leg.arguments, test])])


def excerpt(message: str) -> str:
    """The lines of a message that say most: those that pytest marks with an E, else the first."""
    lines = [line for line in shown(message).split("\n") if line.strip()]
    telling = [line for line in lines if line.startswith("E  ")] or lines
    cut = [line if len(line) <= _EXCERPT_WIDTH else f"{line[:_EXCERPT_WIDTH]}..." for line in telling[:_EXCERPT_LINES]]
    rest = len(telling) - len(cut)
    return "\n".join([*cut, *([f"... and {counted(rest, 'line')} more"] if rest else [])])


def shown(text: str) -> str:
    """A text without orders to a terminal, in which what cannot be seen is written by its number."""
    return _HIDDEN.sub(_number, _ANSI.sub("", text).replace("\r\n", "\n"))


def line(text: str) -> str:
    """The same on one line."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def _number(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds in the largest units that they fill."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def by_kind(report: Report) -> Iterator[tuple[Kind, int, list[Group]]]:
    """Each kind of findings that there is, how many there are, and they, the worst first.

    The tests of a file whose process has not finished are together, as far as nothing else differs.
    """

    def alike(finding: Finding) -> Finding:
        return replace(finding, test="") if finding.candidate in UNFINISHED else finding

    for kind in KINDS:
        found = sorted((each for each in report.findings if each.kind == kind), key=lambda finding: not finding.breaks)
        if found:
            yield kind, len(found), [tuple(group) for _, group in groupby(found, alike)]


def name_of(group: Group) -> str:
    """A test, or how many of which file."""
    return line(group[0].test) if len(group) == 1 else f"{counted(len(group), 'test')} of {line(group[0].file)}"


def facts(finding: Finding) -> list[str]:
    """What a line about a finding says beside its name."""
    return [each for each in (change(finding), reruns(finding), finding.category) if each]
