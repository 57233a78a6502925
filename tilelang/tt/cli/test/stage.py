"""``tilelang-tt test stage``: the tests of one stage alone, by pytest."""

import shlex

import click
from click.shell_completion import CompletionItem

from ...errors import TTError
from ...plan.text import Column, table
from ...testing._extra import extra
from .. import output
from ..options import Command


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from ...testing.stage import read_stages

    try:
        stages = read_stages().stages
    except TTError:
        return []
    return [CompletionItem(stage.name, help=stage.does) for stage in stages if stage.name.startswith(incomplete)]


# Whatever follows the name is for pytest, also options.
@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@click.argument("name", required=False, metavar="[STAGE]", shell_complete=_complete)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENT]...")
def stage(name: str | None, arguments: tuple[str, ...]) -> None:
    """Run the tests of one stage alone, or list the stages.

    A test that fails shows what the stage has logged, and the IR before and after each of its passes. What follows
    STAGE is for pytest, and the exit code is that of pytest.
    """
    from ...testing.stage import read_stages, select_stages

    found = read_stages()
    if name is None:
        found.check()
        columns = [Column("stage"), Column("tests", right=True), Column("what it does")]
        rows = [[each.name, str(found.counts[each.name]), each.does] for each in found.stages]
        output.write(table(columns, rows, output.width()))
        return
    select_stages([name], found.stages)
    with extra():
        from ...testing.process import interruptible, run
        from ...testing.suite import pytest_command
    command = [*pytest_command(), "--stage", name, *arguments]
    output.note(shlex.join(command))
    with interruptible():
        ended = run(command, cwd=found.project.root, echo=True)
    raise click.exceptions.Exit(ended.exit_code)
