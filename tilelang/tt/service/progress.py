"""How far long work is, as lines at the bottom of a terminal, drawn by rich."""

import sys
from contextlib import suppress
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from ..errors import refusal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """Says how far something is; this one to nobody."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """So much of the total is done.

        Args:
            done: How much.
            total: Of how much.
            note: What else there is to say, in a few words.
        """

    def close(self) -> None:
        """There is nothing more to say. What was said last stays."""


def is_wanted(progress: bool | None) -> bool:
    """Whether to draw: None means on a terminal, where rich is installed.

    Raises:
        HostError: It is wanted, and rich is not installed.
    """
    if progress is None:
        return sys.stderr is not None and sys.stderr.isatty() and find_spec("rich") is not None
    if progress and find_spec("rich") is None:
        raise refusal(
            "TT984",
            "progress is True, and rich, which draws the bar, is not installed; expected: "
            'pip install "tilelang-tt[cli]"\n'
            "help: install it, or leave progress out for a bar wherever one can be drawn",
        )
    return bool(progress)


def open_bar(title: str, progress: bool | None) -> Bar:
    """A bar for one piece of work, to be closed.

    Args:
        title: What is done.
        progress: As of :func:`is_wanted`.

    Raises:
        HostError: As :func:`is_wanted`.
    """
    return _Line(title) if is_wanted(progress) else Bar()


class _Line(Bar):
    """One line of those that are drawn together."""

    def __init__(self, title: str) -> None:
        self._screen, self._task = _open(title)

    def update(self, done: int, total: int, note: str = "") -> None:
        with suppress(OSError, ValueError):  # nobody reads the stream any more
            self._screen.update(self._task, completed=done, total=total, note=note, refresh=True)

    def close(self) -> None:
        with suppress(OSError, ValueError):
            _close(self._screen, self._task)


# Two drawings at once would write over each other, so that all bars are lines of one.
_lock = Lock()
_drawn: "Progress | None" = None
_open_lines = 0


def _open(title: str) -> "tuple[Progress, TaskID]":
    global _drawn, _open_lines
    with _lock:
        if _drawn is None:
            _drawn = _screen()
            _drawn.start()
        _open_lines += 1
        return _drawn, _drawn.add_task(title, total=None, note="")


def _close(screen: "Progress", task: "TaskID") -> None:
    global _drawn, _open_lines
    with _lock:
        _open_lines -= 1
        screen.stop_task(task)
        if not _open_lines:
            _drawn = None
            screen.stop()


def _screen() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        # The rest of the line: where it is short, the note is what loses its end.
        TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        console=Console(stderr=True),
        auto_refresh=False,
        expand=True,
    )
