"""Writes the table of all codes into docs/errors/index.md; with --check it only says whether it is up to date."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODES = ROOT / "src" / "tt" / "core" / "error_codes.inc"
INDEX = ROOT / "docs" / "errors" / "index.md"
BEGIN, END = "<!-- begin: written by tools/error_index.py -->\n", "<!-- end -->\n"

GROUP = re.compile(r"^// (\dxx: .*)$")
ENTRY = re.compile(r'^TT_ERROR\((\d{3}), (\w+), (\w+), "(.*)"\)$')


def class_of(kind: str) -> str:
    name = {"Overflow": "IntegerOverflow"}.get(kind, kind)
    return name if name.endswith("Warning") else f"{name}Error"


def table() -> str:
    """All codes as MyST, one table for each group that has any."""
    lines: list[str] = []
    for line in CODES.read_text(encoding="utf-8").splitlines():
        if group := GROUP.match(line):
            header = ["", f"**{group[1]}**", "", "| code | class | mistake |", "|---|---|---|"]
        elif entry := ENTRY.match(line):
            number, _, kind, title = entry.groups()
            name = class_of(kind)
            row = f"| [TT{number}](TT{number}.md) | [{name}](#{name.lower()}) | {title} |"
            lines += [*header, row]
            header = []
    return "\n".join([*lines[1:], ""])


def main() -> int:
    text = INDEX.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if text[start:end] == table():
        return 0
    if "--check" in sys.argv:
        print(f"{INDEX} is out of date; run python tools/error_index.py", file=sys.stderr)
        return 1
    INDEX.write_text(text[:start] + table() + text[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
