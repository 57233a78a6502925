"""Writes the table of all codes into docs/errors/index.md; with --check it only says whether it is up to date."""

import re
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_CPP = ROOT / "src" / "tt" / "core" / "error_codes.inc"
OF_PYTHON = ROOT / "tilelang" / "tt" / "_error_codes.py"
INDEX = ROOT / "docs" / "errors" / "index.md"
BEGIN, END = "<!-- begin: written by tools/error_index.py -->\n", "<!-- end -->\n"

GROUP = re.compile(r"^// ((\d)xx: .*)$", re.MULTILINE)
IN_CPP = re.compile(r'^TT_ERROR\((\d{3}), \w+, (\w+), "(.*)"\)$', re.MULTILINE)
IN_PYTHON = re.compile(r'^    \("TT(\d{3})", "(\w+)", "(.*)"\),$', re.MULTILINE)


def class_of(kind: str) -> str:
    name = {"Overflow": "IntegerOverflow"}.get(kind, kind)
    return name if name.endswith("Warning") else f"{name}Error"


def entries() -> list[tuple[str, str, str]]:
    """Number, class and title of every code, in ascending order."""
    of_cpp = [(number, class_of(kind), title) for number, kind, title in IN_CPP.findall(read(OF_CPP))]
    return sorted(of_cpp + IN_PYTHON.findall(read(OF_PYTHON)))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def table() -> str:
    """All codes as MyST, one table for each group."""
    lines: list[str] = []
    groups = {digit: title for title, digit in GROUP.findall(read(OF_CPP))}
    for digit, codes in groupby(entries(), key=lambda entry: entry[0][0]):
        lines += ["", f"**{groups[digit]}**", "", "| code | class | mistake |", "|---|---|---|"]
        for number, name, title in codes:
            lines.append(f"| [TT{number}](TT{number}.md) | [{name}](#{name.lower()}) | {title} |")
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
