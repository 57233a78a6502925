"""Writes the table of docs/covered.md from those of the executor; with --check it only says whether it is up to date.

Needs the package installed, and runs outside of the root of the checkout or with `python -P`.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tilelang.tt.executor import atomics, expression, intrinsics, statement, tile_ops

PAGE = Path(__file__).parents[1] / "docs" / "covered.md"
BEGIN, END = "<!-- begin: written by tools/covered_operations.py -->\n", "<!-- end -->\n"

TABLES: dict[str, Iterable[str]] = {
    "statements": statement.STATEMENTS,
    "expressions": expression.EXPRESSIONS,
    "functions of floats": intrinsics.FLOAT_FUNCTIONS,
    "functions of floats that say how they round (`rn`)": intrinsics.ROUNDED,
    "functions of any dtype": intrinsics.FUNCTIONS,
    "other operators": intrinsics.OPERATORS,
    "atomic operations on elements": atomics.ATOMICS,
    "leaving a loop or a work tile": statement.LEAVING,
    "checks, and what does nothing": statement.EFFECTS,
    "operations on tiles": tile_ops.TILE_OPS.keys() - tile_ops.REFUSED.keys(),
}


def table() -> str:
    """All operations as MyST."""
    rows = [f"| {title} | {', '.join(f'`{name}`' for name in sorted(names))} |" for title, names in TABLES.items()]
    return "\n".join(["| | |", "|---|---|", *rows, ""])


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if text[start:end] == table():
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE} is out of date; run python tools/covered_operations.py", file=sys.stderr)
        return 1
    PAGE.write_text(text[:start] + table() + text[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
