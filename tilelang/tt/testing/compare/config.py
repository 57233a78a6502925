"""What is compared: a file of TOML, and the options that say the same."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

from ..._toml import line_of, read_toml
from ...errors import TTError, refusal
from .._files import PATTERNS
from .model import Leg
from .priorities import PRIORITIES, Priority

LEGS: Final = ("baseline", "candidate", "diagnostic")

_PART = ("-k", "-m", "--deselect")


@dataclass(frozen=True)
class Comparison:
    """The same tests in two environments, or in three.

    All paths are from the current folder, in which the tests run.

    Attributes:
        tests: Folders, files and node ids.
        legs: Baseline, candidate and, where there is one, diagnostic.
        package: A distribution that has to be there in all legs, in one version: the package under test.
        arguments: Of pytest, in all legs, such as ``-k`` and an expression.
        patterns: How files of tests are named.
        reruns: How often a regression is run again in the candidate.
        rerun_limit: How many regressions are run again at most.
        jobs: How many processes run at a time.
        time_limit: Seconds that a file may take.
        classification: A file of why tests differ; None: there is none.
        priorities: A file of how often tests have to run; None: there is none.
        priority: Those of the priorities that are run; all where there are none.
        same: Whether baseline and candidate may be the same in everything.
    """

    tests: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()
    package: str | None = None
    arguments: tuple[str, ...] = ()
    patterns: tuple[str, ...] = PATTERNS
    reruns: int = 3
    rerun_limit: int = 50
    jobs: int = 1
    time_limit: float = 300.0
    classification: str | None = None
    priorities: str | None = None
    priority: tuple[Priority, ...] = ()
    same: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all tests of the files run, as far as can be seen."""
        arguments = [*self.arguments, *(argument for leg in self.legs for argument in leg.arguments)]
        is_part = any("::" in test for test in self.tests) or any(each.startswith(_PART) for each in arguments)
        return not (is_part or self.priority)


def read(path: "str | PathLike[str]") -> Comparison:
    """The comparison that a file describes: its attributes as keys, and a table for each leg.

    A leg without ``python`` is the interpreter that runs the comparison.

    Raises:
        ComparisonError: The file holds something else; the message gives the line.
        OSError: The file cannot be read.
    """
    text, stated = read_toml(path, "TT998")
    for keys, wrong in _mistakes(stated):
        raise _refused(path, line_of(text, lambda part, keys=keys: _has(part, keys)), wrong)  # type: ignore[misc]
    legs = [
        Leg(**{"name": name, "python": sys.executable, **_values(stated.pop(name))}) for name in LEGS if name in stated
    ]
    return Comparison(legs=tuple(legs), **_values(stated))


def _values(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _variable(pair: tuple[str, Any]) -> bool:
    """As a process can have it."""
    name, value = pair
    return name != "" and "=" not in name and _text(name) and _text(value)


def _variables(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_variable, value.items()))


def _positive(value: Any) -> bool:
    return type(value) is int and value > 0


# Of each key: what it may be, and how that is said.
_TEXTS = (_texts, "a list of strings")
_TEXT = (lambda value: _text(value) and value != "", "a string")
_COUNT = (_positive, "a whole number, 1 or more")
_KEYS: Final[Mapping[str, tuple[Any, str]]] = {
    "tests": _TEXTS,
    "package": _TEXT,
    "arguments": _TEXTS,
    "patterns": _TEXTS,
    "reruns": (lambda value: type(value) is int and value >= 0, "a whole number, 0 or more"),
    "rerun_limit": (lambda value: type(value) is int and value >= 0, "a whole number, 0 or more"),
    "jobs": _COUNT,
    "time_limit": (lambda value: type(value) in (int, float) and value > 0, "a number of seconds above 0"),
    "classification": _TEXT,
    "priorities": _TEXT,
    "priority": (lambda value: _texts(value) and set(value) <= set(PRIORITIES), f"a list of {', '.join(PRIORITIES)}"),
    "same": (lambda value: isinstance(value, bool), "true or false"),
    **dict.fromkeys(LEGS, (lambda value: isinstance(value, dict), "a table")),
}
_LEG_KEYS: Final[Mapping[str, tuple[Any, str]]] = {
    "python": _TEXT,
    "variables": (_variables, "a table of strings"),
    **dict.fromkeys(("arguments", "absent", "present", "unloaded", "loaded"), _TEXTS),
}


def _mistakes(stated: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a key is that is wrong, and what is wrong with it."""
    yield from _wrong(stated, _KEYS, ())
    for leg in LEGS:
        yield from _wrong(stated.get(leg, {}), _LEG_KEYS, (leg,))


def _wrong(
    stated: Mapping[str, Any], keys: Mapping[str, tuple[Any, str]], within: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in stated.items():
        name = ".".join((*within, key))
        if key not in keys:
            yield (*within, key), f'found "{name}"; expected {", ".join(keys)}'
        elif not keys[key][0](value):
            yield (*within, key), f"{name}: found {value!r}; expected {keys[key][1]}"


def _has(stated: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    first, *rest = keys
    return first in stated and (not rest or _has(stated[first], tuple(rest)))


def _refused(path: "str | PathLike[str]", line: int, message: str) -> TTError:
    return refusal("TT998", f"{path}:{line}: {message}")
