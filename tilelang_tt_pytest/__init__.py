"""The pytest plugin of tilelang.tt, as far as pytest loads it: an option, a fixture and lines at the end.

pytest imports the plugins of all packages at every start, in every project of an environment. Importing a module of
``tilelang.tt`` runs TileLang's own ``__init__`` first where that is installed, which takes seconds and prints. So what
pytest imports is a package of its own, and ``tilelang.tt`` comes in with the first test that asks for ``tt_plan``.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tilelang.tt.pytest_plugin import Planner

pytest_plugins = ["tilelang_tt_pytest.stages"]

_NO = ("", "0", "false")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("tilelang-tt").addoption(
        "--update-golden",
        dest="tt_update_golden",
        action="store_true",
        help="write the golden files of tt_plan that are missing or differ, instead of failing",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Where nobody looks at what was written, every plan would pass.
    if config.getoption("tt_update_golden") and os.environ.get("CI", "").lower() not in _NO:
        raise pytest.UsageError(
            f"--update-golden is refused where CI is set, and it is {os.environ['CI']!r}; "
            "update on your machine and commit the files, or unset CI"
        )


@pytest.fixture
def tt_plan(request: pytest.FixtureRequest) -> "Planner":
    """Plan a kernel, and compare the plan with a golden file: ``tt_plan(kernel, device=...).matches()``."""
    from tilelang.tt.pytest_plugin import Planner

    return Planner(request.node, request.config.getoption("tt_update_golden"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was written, and what no test needs any more."""
    notes = set(_notes(terminalreporter))
    written = {file for what, file in notes if what == "tt_golden_written"}
    used = {file for what, file in notes if what == "tt_golden_used"}
    unused = set() if _is_partial(terminalreporter, config) else _beside(used, config.rootpath) - used
    if written or unused:
        terminalreporter.section("golden plans")
    for what, files in (("written", written), ("used by no test", unused)):
        for file in sorted(files):
            terminalreporter.line(f"{what}: {file}")


def _notes(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, str]]:
    """What tests have noted, in this process or in another one of pytest-xdist."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                yield str(name), str(value)


def _is_partial(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> bool:
    """Whether tests of the files that ran did not run, or not to their end."""
    outcomes = ("deselected", "skipped", "xfailed", "failed", "error")
    return any("::" in argument for argument in config.args) or any(map(terminalreporter.stats.get, outcomes))


def _beside(used: set[str], root: Path) -> set[str]:
    """All golden files of the folders that belong to one test file each."""
    folders = {(root / file).parent for file in used}
    found = (file for folder in folders if folder.parent.name == "golden" for file in folder.glob("*.plan.json"))
    return {os.path.relpath(file, root) for file in found}
