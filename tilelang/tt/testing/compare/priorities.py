"""How often tests have to run: a file of TOML that gives every test one of four priorities."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from ..._toml import line_of, read_toml
from ...errors import refusal
from .pattern import names

Priority: TypeAlias = Literal["P0", "P1", "P2", "P3"]
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
REST: Final[Priority] = "P2"
"""The priority of what no pattern names."""


@dataclass(frozen=True)
class Priorities:
    """Every test has one priority: that of the first pattern that names it, and P2 where none does.

    Attributes:
        path: The file.
        meanings: What each priority that the file has is for.
        rules: Patterns and their priorities, in the order of the file.
    """

    path: Path
    meanings: Mapping[Priority, str] = field(default_factory=dict)
    rules: tuple[tuple[str, Priority], ...] = ()

    @classmethod
    def read(cls, path: "str | PathLike[str]") -> "Priorities":
        """The priorities of a file.

        Raises:
            ComparisonError: The file holds something else; the message gives the line.
            OSError: The file cannot be read.
        """
        text, stated = read_toml(path, "TT968")
        _check(path, text, stated)
        tables = cast("dict[Priority, dict[str, Any]]", stated)
        meanings = {priority: table["meaning"] for priority, table in tables.items()}
        rules = tuple((test, priority) for priority, table in tables.items() for test in table.get("tests", ()))
        return cls(Path(path), meanings, rules)

    def of(self, test: str) -> Priority:
        """The priority of a test, by its node id."""
        return next((priority for text, priority in self.rules if names(text, test)), REST)

    def select(self, files: Iterable[str], chosen: Collection[Priority]) -> list[str]:
        """The files in which there may be tests of the chosen priorities; of each of their tests, :meth:`of` says more.

        Raises:
            ComparisonError: There is no such file.
        """
        files = list(files)
        selected = [file for file in files if self._possible(file) & set(chosen)]
        if not selected:
            wanted = ", ".join(sorted(chosen))
            raise refusal(
                "TT969", f"{self.path}: found no test of priority {wanted} in {len(files)} files; expected one"
            )
        return selected

    def _possible(self, file: str) -> set[Priority]:
        """The priorities that tests of a file may have."""
        found: set[Priority] = set()
        for text, priority in self.rules:
            if names(text, file):
                return found | {priority}
            where, separator, _ = text.partition("::")
            if separator and names(where, file):
                found.add(priority)
        return found | {REST}


def _check(path: "str | PathLike[str]", text: str, stated: dict[str, Any]) -> None:
    """Refuse the first thing that no file of priorities has."""
    seen: set[str] = set()
    for name, table in stated.items():
        for key, wrong in _mistakes(name, table, seen):
            raise refusal("TT968", f"{path}:{_line(text, name, key)}: {wrong}")


def _line(text: str, name: str, key: str) -> int:
    """Of a table, or of one of its keys."""
    return line_of(text, lambda part: name in part and (not key or key in part[name]))


def _mistakes(name: str, table: Any, seen: set[str]) -> Iterator[tuple[str, str]]:
    """The keys of a table that are wrong, or nothing for the table itself, and what is wrong."""
    if name not in PRIORITIES or not isinstance(table, dict):
        yield "", f'found "{name}"; expected the tables {", ".join(PRIORITIES)}'
        return
    for key in table:
        if key not in ("meaning", "tests"):
            yield key, f'{name}: found "{key}"; expected meaning and tests'
    meaning, tests = table.get("meaning"), table.get("tests", [])
    if not isinstance(meaning, str) or not meaning.strip():
        yield "meaning" if "meaning" in table else "", f"{name}: found no meaning; expected what the priority is for"
    if not isinstance(tests, list) or not all(isinstance(test, str) and test for test in tests):
        yield "tests", f"{name}: found tests that are no list of strings; expected names of files and tests"
        return
    if not tests and name != REST:
        yield "", f"{name}: found no tests; expected names of files and tests, as only {REST} is the rest"
    for test in tests:
        if test in seen:
            yield "tests", f'{name}: found "{test}" a second time; expected one priority for it'
        seen.add(test)
