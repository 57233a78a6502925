"""Target "tenstorrent": kernels compiled and called as those of every other back end of TileLang and TVM.

Nothing here runs on a chip: what is compiled executes on the CPU, by the reference executor.
"""

import sys

from . import tilelang, tvm
from .target import make_target, register_tags
from .tvm import plan_of, source_of

__all__ = ["make_target", "plan_of", "register", "source_of"]


def register() -> None:
    """Make the host that has been imported know the target; importing both it and ``tilelang.tt`` does so."""
    register_tags()
    if getattr(sys.modules.get("tilelang"), "__file__", None) is not None:
        tilelang.register()
    else:
        tvm.register()
