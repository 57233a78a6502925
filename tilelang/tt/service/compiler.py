"""One call from a kernel to what runs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..device import Device
from .artifact import Artifact
from .background import compile_in_background
from .cache import cache as results
from .cache.memory import Call
from .compiled import CompiledKernel
from .entry import Entry
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
    cache: bool = True,
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
        cache: Whether to take the result from ``tilelang.tt.cache`` where it is there, and to store it where it is not.
        pool: What compiles for ``"async"``; default this process.

    Raises:
        TTError: Whatever the passes and the plan refuse; of ``"async"``, what is wrong with the arguments, and all else
            when the kernel is called. Nothing of it is cached.
    """
    call = Call.of(kernel, device, options, name) if cache else None
    recalled = results.recall(call) if call else None
    if recalled:
        return CompiledKernel(recalled[0], mode, recalled[1], "memory")
    request = Request.of(kernel, device, options, name)

    def remember(artifact: Artifact) -> Artifact:
        if call:
            results.remember(call, request, artifact)
        return artifact

    def keep(entry: Entry) -> Artifact:
        return remember(results.store(entry)) if cache else Artifact(entry)

    if mode == "async":
        handle = CompiledKernel(request, mode)
        cancelled = handle._work.cancelled

        def compile_artifact(request: Request) -> Artifact:
            return keep(compile_request(request) if pool is None else pool.compile(request, cancelled=cancelled))

        def look_up(request: Request) -> tuple[Artifact, str] | None:
            found = results.lookup(request) if cache else None
            return found and (remember(found[0]), found[1])

        compile_in_background(handle._work, request, compile_artifact, look_up)
        return handle
    if not cache:
        return CompiledKernel(request, mode, keep(compile_request(request)))
    artifact, found_in = results.fetch(request, compile_request)
    return CompiledKernel(request, mode, remember(artifact), found_in)
