"""Which files of tests are compared: found by their names, so that they are the same in every leg."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import refusal
from .._files import PATTERNS, files_of_tests


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
            inside = sorted(map(_name, files_of_tests(Path(path), patterns)))
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


def _name(path: Path) -> str:
    """A path from the current folder where it lies in it, else an absolute one."""
    absolute, here = os.path.abspath(path), os.getcwd()
    inside = os.path.commonpath([absolute, here]) == here
    return Path(os.path.relpath(absolute, here) if inside else absolute).as_posix()


def _targets(file: str, asked: list[str]) -> tuple[str, ...]:
    return (file,) if file in asked else tuple(dict.fromkeys(asked))
