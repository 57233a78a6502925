"""TVMScript in messages of tests: two scripts line by line, of which each line can be read."""

import ast
import difflib
from collections.abc import Iterator
from typing import Any

# Characters of a line, and lines of what is shown at all.
_WIDTH, _LINES = 110, 60


def diff(one: Any, other: Any, name: str, other_name: str) -> str:
    """What differs between two modules as they print; nothing where they print alike."""
    for options in ({}, {"syntax_sugar": False}):
        lines = difflib.unified_diff(
            _lines(one, **options), _lines(other, **options), name, other_name, n=2, lineterm=""
        )
        if text := _cut(line for line in lines if not line.startswith("@@ ")):
            return text
    return ""


def excerpt(found: Any) -> str:
    """The start of what something prints."""
    return _cut(_lines(found)) if hasattr(found, "script") else repr(found)


def _cut(lines: Iterator[str] | list[str]) -> str:
    lines = list(lines)
    more = [f"... and {len(lines) - _LINES} more lines"] if len(lines) > _LINES else []
    return "\n".join([*lines[:_LINES], *more])


def _lines(mod: Any, **options: Any) -> list[str]:
    """The script of a module from its first definition on, where long values have a line for each of their parts."""
    lines = mod.script(**options).splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("@")), 0)
    return [part for line in lines[first:] for part in _fold(line)]


def _fold(line: str) -> Iterator[str]:
    code = line.lstrip()
    width = 0 if code.startswith("T.func_attr(") else _WIDTH
    if len(line) <= width:
        yield line
        return
    try:
        value = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):  # no expression, such as the head of a function
        yield line
    else:
        yield from _parts(code, value, width, line[: len(line) - len(code)])


def _parts(code: str, node: ast.expr, width: int, indent: str, before: str = "", after: str = "") -> Iterator[str]:
    """An expression of the code, on one line where it is short enough."""

    def text(part: ast.expr) -> str:
        return ast.get_source_segment(code, part) or ""

    line = f"{indent}{before}{text(node)}{after}"
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords and len(line) > width:
        yield from _parts(code, node.args[0], width, indent, f"{before}{text(node.func)}(", f"){after}")
        return
    if len(line) <= width or not isinstance(node, ast.Dict | ast.List):
        yield line
        return
    if isinstance(node, ast.Dict):
        brackets, parts = "{}", node.values
        names = [f"{text(key)}: " if key else "**" for key in node.keys]
    else:
        brackets, parts, names = "[]", node.elts, [""] * len(node.elts)
    yield f"{indent}{before}{brackets[0]}"
    for name, part in zip(names, parts, strict=True):
        yield from _parts(code, part, _WIDTH, indent + "    ", name, ",")
    yield f"{indent}{brackets[1]}{after}"
