"""The Python blocks of README.md and docs/, with what they print.

The ``python`` blocks of a page run in order and share their names. A ``text`` block right
after one is its output, where ``...`` stands for the rest of a line, and on a last line for all the rest. A block whose
first line is ``# TileLang only`` or ``# apache-tvm only`` runs on that host. An error of this package ends a block
and is part of its output; so does a warning, which is raised too.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from tilelang.tt import errors

from .host import ON_TILELANG, tvm

ROOT = Path(__file__).parents[4]
# Blocks that do not run here begin with this.
OTHER_HOST = "# apache-tvm only" if ON_TILELANG else "# TileLang only"
PYTHON_AND_OUTPUT = re.compile(r"^```python\n(.*?)^```$(?:\n*^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    source: str
    output: str
    line: int


def examples(page: Path) -> list[Example]:
    """The Python blocks of a page that run on this host."""
    text = page.read_text(encoding="utf-8")
    found = [Example(m[1], m[2] or "", text.count("\n", 0, m.start(1))) for m in PYTHON_AND_OUTPUT.finditer(text)]
    return [example for example in found if not example.source.startswith(OTHER_HOST)]


def pattern(output: str) -> str:
    """What the printed text must match: ``...`` stands for the rest of a line, and on a last line for all the rest."""
    shown = output.removesuffix("\n...\n")
    lines = ".*".join(re.escape(part) for part in shown.split("..."))
    return lines if shown == output else lines + r"\n(?s:.*)"


def run(example: Example, file: Path, names: dict) -> str:
    # From a file, because TVM's parser reads the source from there, and with the page's line numbers.
    source = "\n" * example.line + example.source
    file.write_text(source, encoding="utf-8")
    printed = io.StringIO()
    # As users run them: hosts' own passes change modules that they are given.
    with contextlib.redirect_stdout(printed), tvm.ir.transform.PassContext():
        try:
            exec(compile(source, str(file), "exec"), names)
        except (errors.TTError, errors.TTWarning) as error:
            print(f"{type(error).__name__}: {error}")
    return printed.getvalue()
