"""Writes docs/cli.md from the command line's own help; with --check it only says whether it is up to date.

Needs the package with its extra `cli` installed, and runs outside of the root of the checkout or with `python -P`.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tilelang.tt.cli import options as opts
from tilelang.tt.cli.commands import cli

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
BEGIN, END = "<!-- begin: written by tools/cli_page.py -->\n", "<!-- end -->\n"

INPUTS = [param for param in cli.commands["show"].params if param.name in opts.INPUT_NAMES]
# Told of once on the page.
SHARED = {*opts.INPUT_NAMES, "quiet", "verbose"}


def commands() -> str:
    """Every command with its options, as MyST; the inputs of kernels once."""
    shared = [_row(option) for option in INPUTS]
    sections = [_section(name, command) for name, command in _commands(cli)]
    inputs = ["## Inputs", "", "What is not given has its default, or what the kernel says.", "", *_table(shared), ""]
    return "\n".join(["", *sections, *inputs, ""])


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """The commands of a group and of the groups in it, by the words that call them."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(name: str, command: click.Command) -> str:
    first, *more = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n")
    usage = command.get_usage(click.Context(command, info_name=f"tilelang-tt {name}")).removeprefix("Usage: ")
    own = [param for param in command.params if isinstance(param, click.Option) and param.name not in SHARED]
    inputs = " It takes the [inputs](#inputs)." if "policy" in {param.name for param in command.params} else ""
    blocks = [f"```text\n{block}\n```\n" for block in (usage, *more)]
    rows = [_row(option) for option in own]
    return "\n".join(
        [f"## {name}", "", " ".join(first.split()) + inputs, "", *blocks, *(_table(rows) if rows else []), ""]
    )


def _row(option: click.Parameter) -> tuple[str, str]:
    record = option.get_help_record(click.Context(cli))
    assert record is not None
    return record


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return [
        "| option | |",
        "|---|---|",
        *(f"| `{_cell(option)}` | {_cell(' '.join(help_.split()))} |" for option, help_ in rows),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if text[start:end] == commands():
        return 0
    if "--check" in sys.argv:
        print(f"{PAGE} is out of date; run python tools/cli_page.py", file=sys.stderr)
        return 1
    PAGE.write_text(text[:start] + commands() + text[end:], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
