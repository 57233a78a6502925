"""One call from a kernel to what runs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..device import Device
from ..errors import refusal
from .artifact import Artifact
from .background import Compiler, compile_in_background
from .cache import cache as results
from .cache.memory import Call
from .compiled import CompiledKernel, Work
from .entry import Entry
from .pool import WorkerPool, shared_pool
from .request import Request
from .stages import compile_request

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    from .history import Step
    from .search import Search


def compile(
    kernel: "IRModule | PrimFunc | Callable[..., IRModule | PrimFunc]",
    device: "str | Device | None" = None,
    options: Mapping[str, Any] | None = None,
    *,
    mode: str = "inline",
    name: str | None = None,
    cache: bool = True,
    timeout: float | None = None,
    pool: WorkerPool | None = None,
    search: "Search | bool | None" = None,
    progress: bool | None = None,
    on_step: "Callable[[Step], Any] | None" = None,
) -> CompiledKernel:
    """Compile a kernel: defaults, schedule, shard, verification, plan, and the program of a core.

    Args:
        kernel: A PrimFunc, or an IRModule with it; for a search also a function that builds it of keyword arguments.
        device: As of :func:`tilelang.tt.apply_tt_defaults`.
        options: Its other keyword arguments, such as ``{"schedule_policy": "strided"}``.
        mode: ``"inline"``: here and now. ``"subprocess"``: now, in a worker process, whatever happens to it.
            ``"async"``: in the background, by a worker process; what is returned, at once, can be called from the first
            moment.
        name: Which kernel of a module that has several.
        cache: Whether to take the result from ``tilelang.tt.cache`` where it is there, and to store it where it is not.
        timeout: Seconds that a worker may take; default those of its pool.
        pool: The workers of ``"subprocess"`` and ``"async"``; default those that all such calls share.
        search: Of ``"async"``: a :class:`~tilelang.tt.Search`, or True for its defaults. Better plans are looked for,
            and calls switch to each that is proven.
        progress: Of a search: whether to draw a bar; None draws one on a terminal where rich is installed.
        on_step: Of a search: called in the background with each :class:`~tilelang.tt.Step`.

    Raises:
        TTError: Whatever the passes and the plan refuse; of ``"async"``, what is wrong with the arguments, and all else
            when the kernel is called. Nothing of it is cached.
        WorkerError: The compiler has crashed, was killed, or took too much time or memory, in a worker.
        OptionError: There is no such mode, or it has no workers for ``timeout`` or ``pool``, or no search.
        HostError: A bar is wanted, and rich is not installed.
    """
    _check(mode, timeout, pool, search, progress, on_step)
    background = partial(Compiler, pool=pool, timeout=timeout, cached=cache)
    if search:
        return _search(kernel, partial(_request, device, options, name), search, background, on_step, progress)
    call = Call.of(kernel, device, options, name) if cache else None
    recalled = results.recall(call) if call else None
    if recalled:
        return CompiledKernel(recalled[0], mode, Work(recalled[1], "memory"))
    request = Request.of(kernel, device, options, name)

    def remember(artifact: Artifact) -> None:
        if call:
            results.remember(call, request, artifact)

    if mode == "async":
        work = Work()
        compile_in_background(background(work), request, remember)
        return CompiledKernel(request, mode, work)
    compiler = partial(_compile, timeout=timeout, pool=(pool or shared_pool()) if mode == "subprocess" else None)
    if not cache:
        return CompiledKernel(request, mode, Work(Artifact(compiler(request))))
    artifact, found_in = results.fetch(request, compiler)
    remember(artifact)
    return CompiledKernel(request, mode, Work(artifact, found_in))


def _compile(request: Request, timeout: float | None, pool: WorkerPool | None) -> Entry:
    """In a worker, or without a pool in this process."""
    return compile_request(request) if pool is None else pool.compile(request, timeout=timeout)


def _request(
    device: "str | Device | None",
    options: Mapping[str, Any] | None,
    name: str | None,
    kernel: Any,
    changed: Mapping[str, Any],
) -> Request:
    return Request.of(kernel, device, {**(options or {}), **changed}, name)


def _search(
    kernel: Any,
    request_of: Callable[[Any, Mapping[str, Any]], Request],
    search: "Search | bool",
    background: Callable[[Work], Compiler],
    on_step: "Callable[[Step], Any] | None",
    progress: bool | None,
) -> CompiledKernel:
    """A kernel that begins with its default plan and becomes better."""
    from .progress import is_wanted
    from .search import Search, Searcher, subject_of

    if not isinstance(search, Search | bool):
        raise refusal("TT983", f"search is {search!r:.60}; expected a tilelang.tt.Search, or True for its defaults")
    space = search if isinstance(search, Search) else Search()
    drawn = is_wanted(progress)
    subject = subject_of(kernel, space, request_of)
    request = subject.variant(None, {})
    work = Work()
    searcher = Searcher(space, subject, background(work), request, on_step, drawn)
    compile_in_background(searcher.compiler, request, searcher.run, alone=True)
    return CompiledKernel(request, "async", work)


def _check(mode: str, timeout: float | None, pool: WorkerPool | None, search: Any, progress: Any, on_step: Any) -> None:
    if mode not in _MODES:
        raise refusal("TT970", f"mode is {mode!r:.40}; expected any of: {', '.join(_MODES)}")
    if pool is not None and not hasattr(pool, "compile"):
        raise refusal("TT970", f"pool is {pool!r:.40}; expected a WorkerPool")
    if mode == "inline" and pool is not None:
        raise refusal("TT970", 'found a pool with mode="inline"; expected it with "subprocess" or "async"')
    if mode == "inline" and timeout is not None:
        raise refusal("TT970", 'found a timeout with mode="inline"; expected it with "subprocess" or "async"')
    if search and mode != "async":
        raise refusal("TT983", f'found a search with mode="{mode}"; expected mode="async"')
    for given, value in (("progress", progress), ("on_step", on_step)):
        if value is not None and not search:
            raise refusal("TT983", f"found {given} without a search; expected it with search=True, or a Search")


_MODES = ("inline", "subprocess", "async")
