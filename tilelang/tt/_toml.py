"""Files of TOML that people write: read, and what is wrong in them found again."""

import re
import sys
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from .errors import refusal

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError, loads
else:
    from tomli import TOMLDecodeError, loads


def read_toml(path: "str | PathLike[str]", code: str) -> tuple[str, dict[str, Any]]:
    """The text of a file, and what it states.

    Args:
        path: The file.
        code: Of the refusal of what is no TOML; its message gives line and column.

    Raises:
        OSError: The file cannot be read.
    """
    text = ""
    try:
        text = Path(path).read_bytes().decode()
        return text, loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal(code, f"{path}{_syntax_error(text, error)}; expected TOML") from error


def line_of(text: str, states: Callable[[dict[str, Any]], bool]) -> int:
    """The line where the statement begins with which a text of TOML first states something.

    Args:
        text: As :func:`read_toml` gives it.
        states: True for what the whole text states, and false for what an empty one does.
    """
    lines = text.split("\n")
    without, most = 0, len(lines)  # so many lines do not state it; of more than ``most``, those that parse do
    while without < most:
        middle = end = (without + most) // 2 + 1
        while (stated := parsed("\n".join(lines[:end]))) is None:  # the end of a statement comes later
            end += 1
        if states(stated):
            most = middle - 1
        else:
            without = end
    return without + 1


def parsed(text: str) -> dict[str, Any] | None:
    """What a text states; None where it is no TOML."""
    try:
        return dict(loads(text.rstrip("\r")))
    except TOMLDecodeError:
        return None


def _syntax_error(text: str, error: Exception) -> str:
    """``":line:column: what is wrong"``, of a reader that gives places in words."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    if found is None:
        return ": values are nested too deeply" if isinstance(error, RecursionError) else f": {error}"
    end = (text.count("\n") + 1, len(text) - text.rfind("\n"))
    line, column = (found[2], found[3]) if found[2] else end
    return f":{line}:{column}: {found[1]}"
