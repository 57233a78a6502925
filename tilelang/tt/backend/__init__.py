"""Target "tenstorrent": kernels compiled and called as those of every other back end of TileLang and TVM.

Nothing here runs on a chip: what is compiled executes on the CPU, by the reference executor.
"""

import sys

from . import tilelang, tvm
from .target import register_tags, target
from .tvm import plan_of

__all__ = ["plan_of", "register", "target"]


def register() -> None:
    """Make the host that has been imported know the target; importing both it and ``tilelang.tt`` does so."""
    register_tags()
    if getattr(sys.modules.get("tilelang"), "__file__", None) is not None:
        tilelang.register()
    else:
        tvm.register()
