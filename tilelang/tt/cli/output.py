"""Results on stdout, all else on stderr; colours where the stream is a terminal that wants them."""

import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

import click

from ..errors import TTWarning
from ..plan.text import WIDTH, Line, Piece, plain

# What the roles of pieces look like, in rich's words; a terminal's own colours suit its background.
_STYLES = {
    "title": "bold",
    "head": "bold",
    "label": "cyan",
    "good": "green",
    "note": "cyan",
    "warning": "yellow",
    "error": "bold red",
    "idle": "dim",
    "unused": "dim",
    "heat1": "blue",
    "heat2": "cyan",
    "heat3": "green",
    "heat4": "bold green",
}
_LEVEL = "tilelang.tt.cli.level"


def width() -> int:
    """Characters of a line: those of the terminal, else what ``COLUMNS`` says, else a page's."""
    columns = 0  # as a terminal says that does not know, such as that of a container
    with suppress(OSError, ValueError):
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return columns or int(os.environ.get("COLUMNS") or WIDTH)


def has_colour(stream: TextIO) -> bool:
    """Whether colours may be written: by https://no-color.org and https://force-color.org first."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def write(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Lines of text on stdout, or on another stream."""
    stream = stream or sys.stdout
    if not has_colour(stream):
        click.echo(plain(lines), file=stream)
        return
    from rich.text import Text

    styled = [Text.assemble(*((piece.text, _STYLES.get(piece.role, "")) for piece in line)) for line in lines]
    for text in styled:
        text.rstrip()
    console(stream).print(Text("\n").join(styled), soft_wrap=True)


def console(stream: TextIO) -> Any:
    """Of rich, for a stream that has colours."""
    from rich.console import Console

    return Console(file=stream, force_terminal=True, highlight=False, width=width())


def write_code(text: str, language: str) -> None:
    """Source text on stdout."""
    if not has_colour(sys.stdout):
        click.echo(text)
        return
    from rich.syntax import Syntax

    highlighted = Syntax(text, language, theme="ansi_dark", background_color="default").highlight(text)
    highlighted.rstrip()
    console(sys.stdout).print(highlighted, soft_wrap=True)


def write_markdown(text: str) -> None:
    """A page on stdout."""
    if not has_colour(sys.stdout):
        click.echo(text, nl=False)
        return
    from rich.markdown import Markdown

    console(sys.stdout).print(Markdown(text, code_theme="ansi_dark"))


def progress(items: list[Any], what: str) -> Iterable[Any]:
    """The items, with a bar on stderr while they are worked on, where that is a terminal."""
    if _level() < 0 or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, console=Console(stderr=True), transient=True)


def set_level(level: int) -> None:
    """How much is said on stderr: below 0 only errors, above 0 also details."""
    click.get_current_context().meta[_LEVEL] = level


def _level() -> int:
    context = click.get_current_context(silent=True)
    return 0 if context is None else context.meta.get(_LEVEL, 0)


def error(text: str) -> None:
    """What keeps a command from what it was asked for."""
    _say("error", text)


def warning(text: str) -> None:
    """What a user should know."""
    if _level() >= 0:
        _say("warning", text)


def note(text: str) -> None:
    """What was done."""
    if _level() >= 0:
        _say("note", text)


def detail(text: str) -> None:
    """What was done, for who asks."""
    if _level() > 0:
        _say("note", text)


def say(text: str) -> None:
    """What a user has asked for beside the result."""
    click.echo(text.rstrip(), err=True)


def _say(kind: str, text: str) -> None:
    first, *more = text.splitlines() or [""]
    write([(Piece(f"{kind}: ", kind), Piece(first)), *((Piece(line),) for line in more)], sys.stderr)


def show_warnings() -> None:
    """Have Python's warnings, such as those of the passes, told like the command line's own."""
    warnings.simplefilter("always", TTWarning)

    def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        warning(str(message))

    warnings.showwarning = show
