"""Which files of tests are compared: found by their names, so that they are the same in every leg."""

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ...errors import refusal

PATTERNS = ("test_*.py", "*_test.py")
"""How files of tests are named, as pytest has it."""

_PASSED_OVER = ("build", "dist", "node_modules", "venv", "__pycache__", "CVS", "_darcs", "*.egg", ".*")


def expand(tests: Sequence[str], patterns: Sequence[str] = PATTERNS) -> dict[str, tuple[str, ...]]:
    """The files that hold tests, and what of each is asked for: the file, or node ids in it.

    Args:
        tests: Folders, files and node ids, from the current folder. Of folders, the files whose names match; folders
            that pytest passes over are passed over.
        patterns: Names of files, with ``*``.

    Raises:
        ComparisonError: One of them is nowhere, or there is no file in a folder.
    """
    found: dict[str, list[str]] = {}
    for test in tests:
        path, separator, rest = test.partition("::")
        if os.path.isdir(path) and not separator:
            inside = sorted(_inside(Path(path), patterns))
            if not inside:
                raise refusal("TT998", f"{test}: found no file like {' or '.join(patterns)}; expected tests")
            for file in inside:
                found.setdefault(file, []).append(file)
        elif os.path.isfile(path):
            file = _name(Path(path))
            found.setdefault(file, []).append(f"{file}{separator}{rest}")
        else:
            raise refusal("TT998", f"{test}: found no such file or folder in {os.getcwd()}")
    return {file: _targets(file, found[file]) for file in sorted(found)}


def _inside(folder: Path, patterns: Sequence[str]) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not _is_passed_over(Path(place, each))]
        yield from (_name(Path(place, file)) for file in files if matches(file, patterns))


def _is_passed_over(folder: Path) -> bool:
    return matches(folder.name, _PASSED_OVER) or (folder / "pyvenv.cfg").exists()


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is that of a name."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _name(path: Path) -> str:
    """A path from the current folder where it lies in it, else an absolute one."""
    absolute, here = os.path.abspath(path), os.getcwd()
    inside = os.path.commonpath([absolute, here]) == here
    return Path(os.path.relpath(absolute, here) if inside else absolute).as_posix()


def _targets(file: str, asked: list[str]) -> tuple[str, ...]:
    return (file,) if file in asked else tuple(dict.fromkeys(asked))
