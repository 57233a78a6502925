"""One call from a kernel to what runs."""

from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING, Any

from ..device import Device
from ..errors import refusal
from .artifact import Artifact
from .background import compile_in_background
from .cache import cache as results
from .cache.memory import Call
from .compiled import CompiledKernel
from .entry import Entry
from .pool import WorkerPool, shared_pool
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
    timeout: float | None = None,
    pool: WorkerPool | None = None,
) -> CompiledKernel:
    """Compile a kernel: defaults, schedule, shard, verification, plan, and the program of a core.

    Args:
        kernel: A PrimFunc, or an IRModule with it.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        options: Its other keyword arguments, such as ``{"schedule_policy": "strided"}``.
        mode: ``"inline"``: here and now. ``"subprocess"``: now, in a worker process, whatever happens to it.
            ``"async"``: in the background; what is returned, at once, can be called from the first moment.
        name: Which kernel of a module that has several.
        cache: Whether to take the result from ``tilelang.tt.cache`` where it is there, and to store it where it is not.
        timeout: Seconds that a worker may take; default those of its pool.
        pool: The workers of ``"subprocess"``, default those that all such calls share; or of ``"async"``, default none:
            this process compiles in a thread.

    Raises:
        TTError: Whatever the passes and the plan refuse; of ``"async"``, what is wrong with the arguments, and all else
            when the kernel is called. Nothing of it is cached.
        WorkerError: The compiler has crashed, was killed, or took too much time or memory, in a worker.
        OptionError: There is no such mode, or it has no workers for ``timeout`` or ``pool``.
    """
    _check(mode, timeout, pool)
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
            return keep(_compile(request, timeout, pool, cancelled))

        def look_up(request: Request) -> tuple[Artifact, str] | None:
            found = results.lookup(request) if cache else None
            return found and (remember(found[0]), found[1])

        compile_in_background(handle._work, request, compile_artifact, look_up)
        return handle
    if mode == "subprocess" and pool is None:
        pool = shared_pool()
    if not cache:
        return CompiledKernel(request, mode, keep(_compile(request, timeout, pool)))
    artifact, found_in = results.fetch(request, lambda request: _compile(request, timeout, pool))
    return CompiledKernel(request, mode, remember(artifact), found_in)


def _compile(request: Request, timeout: float | None, pool: WorkerPool | None, cancelled: Event | None = None) -> Entry:
    """In a worker, or without a pool in this process."""
    if pool is None:
        return compile_request(request)
    return pool.compile(request, timeout=timeout, cancelled=cancelled)


def _check(mode: str, timeout: float | None, pool: WorkerPool | None) -> None:
    if mode not in _MODES:
        raise refusal("TT970", f"mode is {mode!r:.40}; expected any of: {', '.join(_MODES)}")
    if mode == "inline" and pool is not None:
        raise refusal("TT970", 'found a pool with mode="inline"; expected it with "subprocess" or "async"')
    if mode != "subprocess" and pool is None and timeout is not None:
        raise refusal("TT970", f'found a timeout with mode="{mode}" and no pool; expected it with workers')


_MODES = ("inline", "subprocess", "async")
