"""What tests leave behind in a git tree: files that they have changed, made or removed."""

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

Path_ = str | os.PathLike[str]
# By path relative to the top of the tree: what git says of it, and its content.
State: TypeAlias = Mapping[str, tuple[str, str]]

# How many fields stand before the path in a record of `git status --porcelain=v2`.
_FIELDS = {"1": 8, "u": 10, "?": 1}
_HEAD = "# branch.oid"


def state(folder: Path_, ignored: Sequence[Path_] = ()) -> State | None:
    """What is not as the last commit has it, and which commit that is.

    Args:
        folder: In the tree.
        ignored: Files and folders that do not count.

    Returns:
        None outside of a git tree, and where there is no git.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    root = top.rstrip("\n")
    options = ["--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames"]
    skipped = [os.path.realpath(path) for path in ignored]
    found = {}
    for record in (_git(folder, "status", *options) or "").split("\0"):
        if record.startswith(_HEAD):
            found[_HEAD] = (record, "")
        elif record[:1] in _FIELDS:
            path = record.split(" ", _FIELDS[record[0]])[-1]
            if record[0] == "?" and "__pycache__" in path.split("/"):  # what Python leaves wherever it imports
                continue
            if not any(_is_within(os.path.join(root, path), each) for each in skipped):
                found[path] = (record, _content(os.path.join(root, path)))
    return found


def changes(before: State | None, after: State | None) -> tuple[str, ...]:
    """What differs between two states: one line for each path; nothing where there was no git tree."""
    if before is None:
        return ()
    after = after or {}  # also where nothing is left of it
    paths = sorted(path for path in {*before, *after} - {_HEAD} if before.get(path) != after.get(path))
    moved = ["a commit was made or checked out"] if before.get(_HEAD) != after.get(_HEAD) else []
    return (*moved, *(f"{_verb(path, before, after)}: {path}" for path in paths))


@contextmanager
def assert_git_not_dirty(folder: Path_ = ".") -> Iterator[None]:
    """Fail where what runs in this block changes the git tree; what was changed before may stay as it is.

    Raises:
        AssertionError: It has changed, made or removed files; outside of a git tree nothing is raised.
    """
    before = state(folder)
    yield
    if changed := changes(before, state(folder)):
        raise AssertionError("the git tree was changed:\n    " + "\n    ".join(changed))


def _verb(path: str, before: State, after: State) -> str:
    if path not in after:
        return "removed or reverted"
    if path in before:
        return "changed further"
    return "new" if after[path][0].startswith("?") else "changed"


def _git(folder: Path_, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", os.fspath(folder), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:
        return None
    return os.fsdecode(done.stdout) if done.returncode == 0 else None


def _content(path: str) -> str:
    try:
        if os.path.islink(path):
            return os.readlink(path)
        return f"{os.stat(path).st_mode:o} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    except OSError:  # removed, a folder, or not to be read
        return ""


def _is_within(path: str, folder: str) -> bool:
    path = os.path.realpath(path)
    return path == folder or path.startswith(folder + os.sep)
