"""The commands ``tilelang-tt test``: one file for each, which says what it takes and prints what comes of it."""

import click

from ..options import Command
from .compare import compare
from .run import run as run_suites
from .stage import stage as run_stage


@click.group()
def test() -> None:
    """Run suites of tests or one stage alone, and compare the same tests in two environments."""


test.command_class = Command
test.add_command(run_suites)
test.add_command(run_stage)
test.add_command(compare)
