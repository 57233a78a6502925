"""``tilelang-tt test run``: suites by name, and a table of what became of them."""

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ...errors import TTError, refusal
from ...plan.text import Column, Line, Piece, table
from ...testing._extra import extra
from .. import output
from ..options import Command, parsed

if TYPE_CHECKING:
    from ...testing.runner import SuiteRun
    from ...testing.suite import Suite, Suites

_ROLES = {"passed": "good", "skipped": "note", "not run": "note"}
_VARIABLE = "TEST_CONFIG"
_NONE = """\
found no suites, neither by a pyproject.toml from here upwards nor in packages that are installed
help: write suites = "testing/suites.py" under [tool.tilelang-tt] of pyproject.toml, and SUITES = (Suite(...), ...) \
into that file"""


def _shard(text: str) -> Any:
    from ...testing.suite import Shard

    return Shard.parse(text)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ...testing.suite import Suites

    try:
        suites = Suites.find().by_name.values()
    except TTError:
        return []
    return [CompletionItem(suite.name, help=suite.does) for suite in suites if suite.name.startswith(incomplete)]


@click.command(cls=Command)
@click.argument("names", nargs=-1, metavar="[SUITE]...", shell_complete=_complete)
@click.option("--list", "is_list", is_flag=True, help="Say which suites there are, and run none.")
@click.option("--dry-run", is_flag=True, help="Write the commands, for a shell, and run none.")
@click.option("--shard", metavar="I/N", callback=parsed(_shard), help="Run part I of N of each suite.")
@click.option("--store-durations", is_flag=True, help="Record how long each test takes, for --shard.")
@click.option("--out", metavar="DIR", help="Folder for logs, JUnit XML and suites.json.  [default: test-results]")
@click.option("--skip-unmet", is_flag=True, help="Skip suites that cannot run here, instead of refusing them.")
def run(
    names: tuple[str, ...],
    is_list: bool,
    dry_run: bool,
    shard: Any,
    store_durations: bool,
    out: str | None,
    skip_unmet: bool,
) -> None:
    """Run suites of tests by their names, or those that TEST_CONFIG names.

    Exit codes are those of pytest, or of a suite's command, and the worst of all suites is this command's: 130 if it
    was interrupted, 128 and the number of a signal that ended a suite, 124 if one took too long, 126 and 127 if one
    could not be started, then 3, 2, 4, 1 and 5 as pytest has them.
    """
    with extra():
        from ...testing import git
        from ...testing.process import interruptible
        from ...testing.runner import INTERRUPTED, RESULTS, Runner, worst
        from ...testing.suite import Suites
    if shard and store_durations:
        raise click.UsageError("--store-durations is for a run without --shard: later shards would split otherwise")
    suites = Suites.find()
    for message in suites.unreadable:
        output.warning(message)
    if not suites.by_name:
        raise refusal("TT994", _NONE)
    if is_list:
        output.write(_described(suites))
        return
    wanted = suites.select(names or [os.environ.get(_VARIABLE, "")])
    if not wanted:
        output.write(_described(suites))
        raise click.UsageError(f"name the suites to run, or set {_VARIABLE}")
    runner = Runner(suites.root, Path(out or suites.root / RESULTS).absolute(), shard, store_durations, echo=True)
    if dry_run:
        output.write((Piece(runner.shell(suite)),) for suite in wanted)
        return
    if not skip_unmet:
        _require(wanted)
    if git.state(suites.root) is None:
        output.warning(f"{suites.root} is in no git tree: nobody looks for what suites leave there")
    done: list[SuiteRun] = []
    with interruptible(), suppress(KeyboardInterrupt):  # one that comes between two suites
        for each in runner.run(wanted, lambda suite: _announce(runner.shell(suite))):
            _tell(each)
            done.append(each)
    output.write(_summary(done))
    if code := worst(done) if len(done) == len(wanted) else INTERRUPTED:
        raise click.exceptions.Exit(code)


def _require(wanted: "tuple[Suite, ...]") -> None:
    unmet = [f"{suite.name} {reason}" for suite in wanted for reason in suite.unmet(os.environ)]
    if unmet:
        raise refusal("TT995", "; ".join(unmet) + "\nhelp: --skip-unmet runs the others")


def _announce(command: str) -> None:
    output.write([(), (Piece(f"== {command}", "title"),)])


def _tell(each: "SuiteRun") -> None:
    """What a suite has left behind, right below what it has printed."""
    lines = [*each.changed, *(f"left running, and ended: {command}" for command in each.left)]
    for line in lines:
        output.write([(Piece(f"== {each.suite}: {line}", "warning"),)])


def _described(suites: "Suites") -> Iterator[Line]:
    columns = [Column("suite"), Column("limit", right=True), Column("what it tests")]
    rows = [
        [suite.name, "" if suite.time_limit is None else f"{suite.time_limit:g} s", suite.does or _target(suite)]
        for suite in suites.by_name.values()
    ]
    return table(columns, rows, output.width())


def _target(suite: "Suite") -> str:
    keyword = ("-k", suite.keyword) if suite.keyword else ()
    return shlex.join([*suite.command, *suite.paths, *keyword, *suite.arguments]) or "all tests"


def _summary(done: "list[SuiteRun]") -> Iterator[Line]:
    columns = [
        Column("suite"),
        Column("state"),
        Column("time", right=True),
        Column("peak memory", right=True, rank=2),
        Column("exit", right=True),
        Column("log", rank=1),
    ]
    yield ()
    yield from table(columns, [_cells(each) for each in done], output.width())
    for each in done:
        if each.reason:
            yield (Piece(f"{each.suite}: ", "label"), Piece(each.reason))


def _cells(each: "SuiteRun") -> list[str | Piece]:
    has_run = each.exit_code is not None
    return [
        each.suite,
        Piece(each.state, _ROLES.get(each.state, "error")),
        f"{each.seconds:.1f} s" if has_run else "",
        "" if each.peak_bytes is None else f"{each.peak_bytes / 2**20:,.0f} MiB",
        str(each.exit_code) if has_run else "",
        os.path.relpath(each.log) if each.log else "",
    ]
