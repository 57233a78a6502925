"""One call from a kernel to what runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..device import Device
from .artifact import Artifact
from .background import compile_in_background
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
    pool: Any = None,
) -> CompiledKernel:
    """Compile a kernel: defaults, schedule, shard, verification, plan, and the program of a core.

    Args:
        kernel: A PrimFunc, or an IRModule with it.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        options: Its other keyword arguments, such as ``{"schedule_policy": "strided"}``.
        mode: ``"inline"``: here and now. ``"async"``: in the background; what is returned, at once, can be called from
            the first moment.
        name: Which kernel of a module that has several.
        pool: What compiles for ``"async"``; default this process.

    Raises:
        TTError: Whatever the passes and the plan refuse; of ``"async"``, what is wrong with the arguments, and all else
            when the kernel is called.
    """
    request = Request.of(kernel, device, options, name)
    if mode == "async":
        handle = CompiledKernel(request, mode)
        cancelled = handle._work.cancelled

        def compile_artifact(request: Request) -> Artifact:
            return Artifact(compile_request(request) if pool is None else pool.compile(request, cancelled=cancelled))

        compile_in_background(handle._work, request, compile_artifact)
        return handle
    return CompiledKernel(request, mode, Artifact(compile_request(request)))
