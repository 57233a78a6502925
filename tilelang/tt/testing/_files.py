"""Files of tests as pytest finds them, and folders for what comes of tests."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

PATTERNS = ("test_*.py", "*_test.py")
"""How files of tests are named, as pytest has it."""

# As pytest's `norecursedirs` has it; it passes over virtual environments as well.
_PASSED_OVER = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}")


def files_of_tests(folder: Path, patterns: Iterable[str] = PATTERNS) -> Iterator[Path]:
    """The files below a folder whose names match, in any order, without folders that pytest passes over."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_passed_over(Path(parent, name))]
        yield from (Path(parent, name) for name in files if matches(name, patterns))


def make_folder(path: Path) -> None:
    """Make a folder that git leaves alone; one that is there stays as it is."""
    with suppress(FileExistsError):
        path.mkdir(parents=True)
        (path / ".gitignore").write_text("*\n")


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is that of a name."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def _is_passed_over(folder: Path) -> bool:
    return matches(folder.name, _PASSED_OVER) or (folder / "pyvenv.cfg").exists()
