"""The passes as objects of the host's pass infrastructure.

They are ordinary passes: ``tvm.ir.transform.Sequential``, ``PassContext`` with its instruments, and
IR dumps work on them. They leave functions without a launch grid as they are.
"""

from typing import Any

from . import _host
from .device import as_attribute
from .errors import refusal

_INPUTS = (
    "device",
    "cores",
    "core_order",
    "schedule_policy",
    "schedule_block_size",
    "schedule_order",
    "swizzle_panel",
    "layout_type",
    "tile_height",
    "tile_width",
    "data_format",
)


def ApplyTTDefaults(**inputs: Any) -> Any:
    """The pass ``tt.ApplyTTDefaults``: complete the inputs of every kernel.

    Args:
        **inputs: The keyword arguments of :func:`tilelang.tt.apply_tt_defaults`.

    Raises:
        ArgumentError: An argument of another name.
    """
    unknown = ", ".join(sorted(inputs.keys() - set(_INPUTS)))
    if unknown:
        raise refusal("TT103", f"unknown input {unknown}; expected any of: {', '.join(_INPUTS)}")
    inputs = {**inputs, "device": as_attribute(inputs.get("device"))}
    overrides = {f"tt_{name}": value for name, value in inputs.items() if value is not None}
    return _make("tilelang.tt.transform.ApplyTTDefaults", overrides)


def InferDefaultTTSchedule() -> Any:
    """The pass ``tt.InferDefaultTTSchedule``: which core runs which part of the launch grid."""
    return _make("tir.transform.InferDefaultTTSchedule")


def InferDefaultTTShard() -> Any:
    """The pass ``tt.InferDefaultTTShard``: how every tensor of a kernel lies in memory."""
    return _make("tir.transform.InferDefaultTTShard")


def VerifyTTMetadata() -> Any:
    """The pass ``tt.VerifyTTMetadata``: refuse results that the kernel, its inputs and the device do not give."""
    return _make("tilelang.tt.transform.VerifyTTMetadata")


def GridToPersistent() -> Any:
    """The pass ``tt.GridToPersistent``: make every kernel the loop that one core runs over its work tiles."""
    return _make("tilelang.tt.transform.GridToPersistent")


def ThreadsToLoops() -> Any:
    """The pass ``tt.ThreadsToLoops``: what the threads of a launch do, one thread after the other."""
    return _make("tilelang.tt.transform.ThreadsToLoops")


def _make(name: str, *arguments: Any) -> Any:
    _host.require_host()
    import tvm_ffi

    return tvm_ffi.get_global_func(name)(*arguments)
