"""Suites: what is tested together, where that can be done, and how long it may take.

A project describes its own in a file that pyproject.toml names, ``[tool.tilelang-tt] suites = "testing/suites.py"``,
as a tuple ``SUITES``; installed packages add theirs by entry points of the group ``tilelang_tt.suites``.
"""

import glob
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path

from ..errors import refusal
from .project import find_project, read_objects

GROUP = "tilelang_tt.suites"

# A name is that of a file, and stands in lists with commas or spaces.
_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
_WORDS = ("paths", "command", "arguments", "requires", "hosts", "devices")


@dataclass(frozen=True)
class Suite:
    """What is tested together: tests of pytest, or a command.

    Attributes:
        name: What it is called by.
        paths: Files, folders or node ids for pytest, relative to the project; none: pytest's own ``testpaths``.
        keyword: As pytest's ``-k`` has it.
        arguments: Further ones of pytest.
        command: A program and its arguments, instead of pytest.
        does: What it tests, in one sentence.
        variables: Environment variables that are set for it.
        requires: Environment variables that have to be set.
        hosts: What the host has to be, as :func:`requires_host` takes it; one of them has to hold.
        devices: Paths that have to exist, or patterns of them, such as ``/dev/tenstorrent/*``; all of them.
        time_limit: Seconds that it may take; None: any time.
        shards: Into how many parts it is split at most; None: as many as are asked for. A command is one.

    Raises:
        SuiteError: It is neither a command nor tests, or a value cannot be.
    """

    name: str
    paths: Sequence[str] = ()
    keyword: str = ""
    arguments: Sequence[str] = ()
    command: Sequence[str] = ()
    does: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    requires: Sequence[str] = ()
    hosts: Sequence[str] = ()
    devices: Sequence[str] = ()
    time_limit: float | None = None
    shards: int | None = None

    def __post_init__(self) -> None:
        self._check(isinstance(self.name, str) and _NAME.fullmatch(self.name), "name", "letters, digits and _.+-")
        for key in _WORDS:
            value = getattr(self, key)
            self._check(isinstance(value, (list, tuple)) and _are_texts(value), key, "a list of texts")
            object.__setattr__(self, key, tuple(value))
        self._check(isinstance(self.keyword, str), "keyword", "a text, as of pytest's -k")
        variables = self.variables
        is_mapping = isinstance(variables, Mapping) and _are_texts([*variables, *variables.values()])
        self._check(is_mapping and all(key and "=" not in key for key in variables), "variables", "texts by name")
        self._check(self.time_limit is None or _is_number(self.time_limit), "time_limit", "seconds, more than 0")
        self._check(self.shards is None or _is_count(self.shards), "shards", "at least 1")
        if self.command:
            for key in ("paths", "keyword", "arguments"):
                self._check(not getattr(self, key), key, "nothing beside a command, which is not run by pytest")
            self._check(self.shards in (None, 1), "shards", "1 for a command, which cannot be split")

    def unmet(self, environment: Mapping[str, str]) -> list[str]:
        """What it needs and cannot have here, in words; the host is not imported for it."""
        return [*self._unmet(environment)]

    def _unmet(self, environment: Mapping[str, str]) -> Iterator[str]:
        for name in self.requires:
            if name not in environment and name not in self.variables:
                yield f"requires the environment variable {name}, which is not set"
        for pattern in self.devices:
            if not glob.glob(pattern):
                yield f"requires the device {pattern}, which is not there"
        if self.hosts:
            from .hosts import lacking  # a suite without hosts needs no pytest here

            if reason := lacking(*self.hosts):
                yield reason

    def _check(self, fits: object, key: str, expected: str) -> None:
        if not fits:
            raise refusal("TT993", f"suite {self.name!r} has {key} = {getattr(self, key)!r:.80}; expected {expected}")


@dataclass(frozen=True)
class Suites:
    """All suites that can be run somewhere.

    Attributes:
        root: The folder that they run in: that of the project, or the one that was asked.
        by_name: The project's first, in its order.
        unreadable: What is wrong with packages whose suites cannot be read, which is no matter of those of others.
    """

    root: Path
    by_name: Mapping[str, Suite]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def find(cls, start: Path | None = None) -> "Suites":
        """Those of the nearest project, from a folder upwards, and of the packages that are installed.

        Raises:
            SuiteError: The project's file cannot be read, or two suites have one name.
        """
        project = find_project("TT994", start)
        root = project.root if project else (start or Path.cwd()).resolve()
        own = read_objects(project, "suites", Suite, "TT994") if project and "suites" in project.files else ()
        found: dict[str, Suite] = {}
        origins: dict[str, str] = {}
        unreadable: list[str] = []
        for origin, suites in ((f"the project {root}", own), *_of_packages(unreadable)):
            for suite in suites:
                if suite.name in found:
                    raise refusal(
                        "TT994", f"{origins[suite.name]} and {origin} both have a suite {suite.name}; expected one"
                    )
                found[suite.name] = suite
                origins[suite.name] = origin
        return cls(root, found, tuple(unreadable))

    def select(self, names: Iterable[str]) -> tuple[Suite, ...]:
        """Suites by their names, each once.

        Args:
            names: Each may be several, with commas or spaces between them.

        Raises:
            SuiteError: There is none of a name.
        """
        wanted = dict.fromkeys(name for text in names for name in re.split(r"[\s,]+", text) if name)
        for name in wanted:
            if name not in self.by_name:
                near = get_close_matches(name, self.by_name) or list(self.by_name)
                known = f"expected one of: {', '.join(near)}" if near else "this project describes none"
                raise refusal("TT992", "\n".join([f'no suite is called "{name}"; {known}', *self.unreadable]))
        return tuple(self.by_name[name] for name in wanted)


@dataclass(frozen=True)
class Shard:
    """One of several parts of the tests, which together are all of them.

    Attributes:
        index: From 1.
        count: How many parts there are.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """As a text says it, ``"2/4"``.

        Raises:
            SuiteError: It is no such text, or there is no such part.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise refusal("TT993", f'found the shard "{text}"; expected I/N with I from 1 to N, such as 2/4')
        return cls(int(match[1]), int(match[2]))

    def of(self, suite: Suite) -> "Shard | None":
        """The part of a suite that belongs to it; None where others have all of it."""
        parts = min(self.count, 1 if suite.command else suite.shards or self.count)
        return Shard(self.index, parts) if self.index <= parts else None


def pytest_command() -> list[str]:
    """The pytest of this interpreter; without ``-P``, ``-m`` would put the current folder on the path."""
    if sys.version_info >= (3, 11):
        return [sys.executable, "-P", "-m", "pytest"]
    script = shutil.which("pytest", path=os.path.dirname(sys.executable))
    return [script] if script else [sys.executable, "-m", "pytest"]


def _of_packages(unreadable: list[str]) -> Iterator[tuple[str, Sequence[Suite]]]:
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        origin = f"the entry point {point.name} = {point.value}"
        try:
            found = point.load()
        except (Exception, SystemExit) as error:
            unreadable.append(f"{origin} of {GROUP} cannot be loaded: {type(error).__name__}: {error}")
            continue
        if isinstance(found, (list, tuple)) and all(isinstance(one, Suite) for one in found):
            yield origin, found
        else:
            unreadable.append(f"{origin} of {GROUP} is {found!r:.80}; expected a tuple of Suite")


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) and "\0" not in value for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
