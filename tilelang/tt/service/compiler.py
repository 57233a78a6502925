"""One call from a kernel to what runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..device import Device
from .artifact import Artifact
from .compiled import CompiledKernel
from .request import Request
from .stages import compile_request

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc


def compile(
    kernel: "IRModule | PrimFunc",
    device: "str | Device | None" = None,
    options: Mapping[str, Any] | None = None,
    *,
    mode: str = "inline",
    name: str | None = None,
) -> CompiledKernel:
    """Compile a kernel: defaults, schedule, shard, verification, plan, and the program of a core.

    Args:
        kernel: A PrimFunc, or an IRModule with it.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        options: Its other keyword arguments, such as ``{"schedule_policy": "strided"}``.
        mode: ``"inline"``: here and now.
        name: Which kernel of a module that has several.

    Raises:
        TTError: Whatever the passes and the plan refuse.
    """
    request = Request.of(kernel, device, options, name)
    return CompiledKernel(request, mode, Artifact(compile_request(request)))
