"""Why tests differ, as people have found out: a file of TOML that they edit, and that every comparison adds to."""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final, cast, get_args

from ..._toml import line_of, parsed, read_toml
from ..._whole_file import whole_file
from ...errors import TTError, refusal
from .model import UNFINISHED, Category, Finding, Kind, Outcome, Report
from .pattern import names

CATEGORIES: Final[Mapping[Category, str]] = {
    "codegen": "the candidate generates wrong code; blocks until it is fixed",
    "runtime": "the candidate's runtime is wrong; passes with an issue filed, which `link` gives",
    "infrastructure": "the test or its set-up is wrong; passes, and the test is to be repaired",
    "flaky": "the test passes now and then; takes no part",
    "platform": "the machine or the system differs; passes with what is written here",
}
UNCLASSIFIED: Final = "unclassified"
# Of these kinds a person has to say why; what is new or fixed needs no reason.
_KINDS: tuple[Kind, ...] = ("regression", "flaky", "vanished", "lost")
_HEADER = f"""\
# Why tests differ. A comparison adds what it finds at the end, as "{UNCLASSIFIED}", which blocks;
# whoever finds out why changes category and reason, and may write `pattern` for `test`, `link` and comments.
#
""" + "".join(f"# {category:14}  {meaning}\n" for category, meaning in CATEGORIES.items())


@dataclass(frozen=True)
class Entry:
    """What is said of a test, or of several. Either ``test`` or ``pattern`` is given.

    Attributes:
        test: The node id, to the letter.
        pattern: Which tests, as :func:`~tilelang.tt.testing.compare.pattern.pattern` takes it.
        kind: Of the findings that it is about; None for all. What is flaky is also a regression, and the other way.
        outcome: Of the candidate, in the findings that it is about; None for all.
        category: Why the tests differ; ``"unclassified"`` as long as nobody has said.
        reason: What has been found out.
        link: Where there is more of it.
        date: When the entry was written.
    """

    category: str
    test: str | None = None
    pattern: str | None = None
    kind: Kind | None = None
    outcome: Outcome | None = None
    reason: str = ""
    link: str = ""
    date: datetime.date | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether it is about a finding."""
        if self.kind is not None and _steady(self.kind) != _steady(finding.kind):
            return False
        if self.outcome is not None and self.outcome != finding.candidate:
            return False
        return self.test == finding.test if self.pattern is None else names(self.pattern, finding.test)


@dataclass(frozen=True)
class Classification:
    """The entries of a file.

    Attributes:
        path: The file.
        text: What it holds; empty where there is none.
        entries: In its order.
    """

    path: Path
    text: str = ""
    entries: tuple[Entry, ...] = ()

    @classmethod
    def read(cls, path: "str | PathLike[str]") -> "Classification":
        """The classification in a file; one without entries where there is no file.

        Raises:
            ComparisonError: The file holds something else; the message gives the line.
            OSError: The file cannot be read.
        """
        path = Path(path)
        if not path.exists():
            return cls(path)
        text, stated = read_toml(path, "TT967")
        _check(path, text, stated)
        return cls(path, text, tuple(Entry(**entry) for entry in stated.get("finding", ())))

    def apply(self, report: Report, *, complete: bool = True) -> Report:
        """The report with what is said of its findings: of several entries by one for a single test, or by the first.

        Args:
            report: The findings.
            complete: Whether all tests of its files have run. Only then can an entry be one that nothing needs.
        """
        findings = tuple(self._classified(finding) for finding in report.findings)
        stale = tuple(self._stale(report)) if complete else ()
        return replace(report, findings=findings, stale=stale)

    def add(self, findings: Iterable[Finding], date: datetime.date) -> int:
        """Add to the file what no entry is about, and say how many entries that were. All else in it stays as it is.

        A file of tests whose process did not finish in the candidate gets one entry.

        Raises:
            ComparisonError: The file has been edited, and is wrong now.
            OSError: The file cannot be read or written.
        """
        now = self.read(self.path)  # the tests may have run for hours
        new = [finding for finding in findings if finding.kind in _KINDS and not now._about(finding)]
        entries = list(dict.fromkeys(_entry_for(finding, date) for finding in new))
        if not entries:
            return 0
        newline = "\r\n" if "\r\n" in now.text else "\n"
        before = now.text or _HEADER
        ended = before if before.endswith("\n") else before + newline
        text = ended + "".join(newline + _written(entry).replace("\n", newline) for entry in entries)
        with whole_file(self.path) as file:
            file.write(text.encode())
        return len(entries)

    @cached_property
    def _of_one_test(self) -> Mapping[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.test is not None:
                found.setdefault(entry.test, []).append(entry)
        return found

    @cached_property
    def _of_several(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.test is None]

    def _about(self, finding: Finding) -> list[Entry]:
        entries = [*self._of_one_test.get(finding.test, ()), *self._of_several]
        return [entry for entry in entries if entry.covers(finding)]

    def _classified(self, finding: Finding) -> Finding:
        entries = self._about(finding) if finding.kind in _KINDS else []
        for entry in entries:
            if entry.category != UNCLASSIFIED:
                return replace(finding, category=cast(Category, entry.category), reason=entry.reason, link=entry.link)
        return finding

    def _stale(self, report: Report) -> Iterator[str]:
        needed = {id(entry) for finding in report.findings for entry in self._about(finding)}
        for entry in self.entries:
            text = entry.test or entry.pattern or ""
            where = text.partition("::")[0]
            if id(entry) not in needed and any(names(where, counts.file) for counts in report.files):
                yield text


def _steady(kind: Kind) -> Kind:
    return "regression" if kind == "flaky" else kind


def _entry_for(finding: Finding, date: datetime.date) -> Entry:
    if finding.candidate in UNFINISHED:
        return Entry(UNCLASSIFIED, None, finding.file, finding.kind, finding.candidate, date=date)
    return Entry(UNCLASSIFIED, finding.test, None, finding.kind, date=date)


def _written(entry: Entry) -> str:
    """An entry as TOML. It has its reason even where that is empty, to be filled in."""
    values = {"test": entry.test, "pattern": entry.pattern, "kind": entry.kind, "outcome": entry.outcome}
    values |= {"category": entry.category, "reason": entry.reason}
    lines = [f"{key} = {_quoted(value)}\n" for key, value in values.items() if value is not None]
    return f"[[finding]]\n{''.join(lines)}date = {entry.date}\n"


def _quoted(text: str) -> str:
    """A string of TOML, which is one of JSON but for the character 127; what is no Unicode keeps its number."""
    unicode = text.encode("utf-8", "backslashreplace").decode()
    return json.dumps(unicode, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check(path: Path, text: str, stated: dict[str, Any]) -> None:
    """Refuse what is no entry, or an entry that cannot be."""
    if unknown := next(iter(stated.keys() - {"finding"}), None):
        where = line_of(text, lambda part: bool(part.keys() - {"finding"}))
        raise _refused(path, where, f'found "{unknown}"; expected [[finding]]')
    if parsed(f"{text}\n[[finding]]\n") is None:  # nothing could be added
        raise _refused(path, line_of(text, bool), "found finding = ...; expected [[finding]] for each")
    seen = set()
    for number, entry in enumerate(stated.get("finding", ())):
        for key, wrong in _mistakes(entry):
            raise _refused(path, _line(text, number, key), wrong)
        about = tuple(entry.get(key) for key in ("test", "pattern", "kind", "outcome"))
        if about in seen:
            raise _refused(path, _line(text, number), "found a second entry for the same findings; expected one")
        seen.add(about)


_TYPES: Final[Mapping[str, type]] = {
    field.name: datetime.date if field.name == "date" else str for field in fields(Entry)
}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "category": (*CATEGORIES, UNCLASSIFIED),
    "kind": _KINDS,
    "outcome": get_args(Outcome),
}


def _mistakes(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys of an entry that are wrong, or its first one, and what is wrong with each."""
    first = next(iter(entry), "")
    for key, value in entry.items():
        if key not in _TYPES:
            yield key, f'found "{key}"; expected {", ".join(_TYPES)}'
        elif type(value) is not _TYPES[key]:
            yield key, f"{key}: found {value!r}; expected {'a date' if key == 'date' else 'a string'}"
        elif key in _WORDS and value not in _WORDS[key]:
            yield key, f'{key}: found "{value}"; expected {", ".join(_WORDS[key])}'
    if bool(entry.get("test")) == bool(entry.get("pattern")):
        found = "both" if entry.get("test") else "neither"
        yield first, f"found {found} of test and pattern; expected one of them"
    if (pattern := entry.get("pattern")) and not str(pattern).strip("*/:."):
        yield "pattern", f'found the pattern "{pattern}", which names every test; expected a folder, a file or a test'
    category = entry.get("category")
    if category is None:
        yield first, f"found no category; expected one of {', '.join(_WORDS['category'])}"
    elif category != UNCLASSIFIED and not entry.get("reason", "").strip():
        yield "category", f'found the category "{category}" without a reason; expected what has been found out'
    elif category == "runtime" and not entry.get("link"):
        yield "category", 'found the category "runtime" without a link; expected that of the issue that was filed'


def _line(text: str, number: int, key: str = "") -> int:
    """Of an entry, or of one of its keys."""

    def states(part: dict[str, Any]) -> bool:
        entries = part.get("finding", ())
        return len(entries) > number and (not key or key in entries[number])

    return line_of(text, states)


def _refused(path: Path, line: int, message: str) -> TTError:
    return refusal("TT967", f"{path}:{line}: {message}")
