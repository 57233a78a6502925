"""What helps to test kernels and compilers: suites, stages, comparisons of two environments, and checks of passes."""

import importlib
from typing import TYPE_CHECKING, Any

from ._extra import extra

if TYPE_CHECKING:
    from .checks import check_pass, check_rejects
    from .git import assert_git_not_dirty
    from .hosts import requires_host
    from .stage import Stage, StagedTest, StageMap, read_stages
    from .suite import Suite, Suites

__all__ = [
    "Stage",
    "StageMap",
    "StagedTest",
    "Suite",
    "Suites",
    "assert_git_not_dirty",
    "check_pass",
    "check_rejects",
    "read_stages",
    "requires_host",
]

# What needs TVM, or a package of the extra `testing`, is imported when it is asked for.
_LAZY = {
    "Stage": "stage",
    "StageMap": "stage",
    "StagedTest": "stage",
    "Suite": "suite",
    "Suites": "suite",
    "assert_git_not_dirty": "git",
    "check_pass": "checks",
    "check_rejects": "checks",
    "read_stages": "stage",
    "requires_host": "hosts",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        with extra():
            return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
