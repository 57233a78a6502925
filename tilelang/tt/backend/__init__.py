"""Target "tenstorrent": kernels compiled and called as those of every other back end of TileLang and TVM.

Nothing here runs on a chip: what is compiled executes on the CPU, by the reference executor.
"""

import sys
from typing import TYPE_CHECKING, Any

from . import tilelang, tvm
from .target import make_target, register_tags
from .tvm import plan_of, source_of

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    from ..device import Device

__all__ = ["make_target", "plan_of", "register", "source_of"]


def register() -> None:
    """Make the host that has been imported know the target; importing both it and ``tilelang.tt`` does so."""
    register_tags()
    _of_host().register()


def build(func: "PrimFunc", device: "Device", **how: Any) -> Any:
    """The host's executable of a kernel that carries its inputs, for a device."""
    return _of_host().build(func, make_target(device), **how)


def _of_host() -> Any:
    return tilelang if getattr(sys.modules.get("tilelang"), "__file__", None) is not None else tvm
