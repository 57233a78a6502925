"""What compiling gives its caller, in every mode: a kernel that can be called, with all that is known of it."""

import os
import weakref
from collections.abc import Generator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from .._counters import counters
from ..errors import TTError, refusal
from ..plan import Plan
from .artifact import Artifact
from .history import Step, explained
from .request import Request

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    from ..executor import Execution


_counting = Lock()


def _renew_lock() -> None:
    """In a child process, a thread that holds the lock is not there."""
    global _counting
    _counting = Lock()


os.register_at_fork(after_in_child=_renew_lock)


@dataclass
class Stats:
    """What a compiled kernel has done. The same is summed over all kernels in ``counters["compile"]``.

    Attributes:
        compiled_runs: Calls that ran what had been compiled.
        eager_runs: Calls that ran the kernel as it came, with the default schedule, since nothing was ready.
        background_started: Compilations that were begun in the background, candidates of a search included; what is
            found in the cache is not compiled.
        background_finished: Those of them that have ended, in whatever way.
        optimized_runs: Of ``compiled_runs``, those that ran a plan better than the first.
    """

    compiled_runs: int = 0
    eager_runs: int = 0
    background_started: int = 0
    background_finished: int = 0
    optimized_runs: int = 0

    def count(self, event: str) -> None:
        """Something has happened once more; calls of several threads are all counted."""
        with _counting:
            setattr(self, event, getattr(self, event) + 1)
        counters.count("compile", event)


def _pending() -> "Future[None]":
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()  # an asyncio time-out of one who waits must not cancel it for all
    return future


_ENDED: "Future[None]" = Future()
_ENDED.set_result(None)


class Work:
    """What a compiled kernel has in common with the background.

    The background holds this and never the kernel, so that a kernel which nobody holds any more is collected, and its
    work cancelled.

    Attributes:
        current: What calls run; None until something has been compiled. It is replaced as a whole, so that a call,
            which reads it once, never mixes two.
        first: What ``current`` was first.
        found_in: Which cache had it; None where it was compiled.
        error: Why there is nothing compiled, and will not be.
        refused: The same, where it is the kernel that is refused and not the compiler that failed.
        stats: Of the kernel.
        ready: Ends with the first result, or with an error.
        history: The steps of a search.
        ending: Why it has ended.
        done: Ends with the last thing that is done in the background.
        cancelled: Whether to end as soon as possible.
    """

    def __init__(self, artifact: Artifact | None = None, found_in: str | None = None) -> None:
        self.current = self.first = artifact
        self.found_in = found_in
        self.error: BaseException | None = None
        self.refused = False
        self.stats = Stats()
        self.history: tuple[Step, ...] = ()
        self.ending = ""
        self.ready = _pending() if artifact is None else _ENDED
        self.done = _pending() if artifact is None else _ENDED
        self.cancelled = Event()

    def upgrade(self, artifact: Artifact) -> None:
        """Let calls run this from now on."""
        with suppress(TTError):  # a kernel that can be planned and not executed says so when it is called
            artifact.executable.interpreted()  # prepared here, and not in the first call
        if self.first is None:
            self.first = artifact
        self.current = artifact
        if not self.ready.done():
            self.ready.set_result(None)

    def fail(self, error: BaseException, *, refused: bool) -> None:
        """Nothing has been compiled, and nothing will be."""
        self.refused = refused
        self.error = error
        self.ready.set_result(None)

    def end(self) -> None:
        """Nothing more is done."""
        self.done.set_result(None)

    def leave(self, error: BaseException) -> None:
        """End in a process that was forked off: those who work on it, and who hold its locks, are not there."""
        if self.current is None and self.error is None:
            self.error = error
        self.ready = self.done = _ENDED


class CompiledKernel:
    """A kernel that can be called like the original, on arrays of numpy or tensors of torch.

    Of ``mode="async"`` it can be called from the first moment: until something has been compiled, calls execute the
    kernel as it came, and none ever waits for the compiler. All else that is known of the kernel, such as ``plan``,
    waits until it has been compiled. All modes give the same class; what is compiled at once is ready and done.

    Attributes:
        mode: ``"inline"``, ``"subprocess"``, ``"async"``, or ``"many"`` of :func:`compile_many`.
    """

    def __init__(self, request: Request, mode: str, work: Work) -> None:
        self._request = request
        self._work = work
        self.mode = mode
        if not work.done.done():
            weakref.finalize(self, work.cancelled.set).atexit = False

    def __repr__(self) -> str:
        state = "not compiled" if self.error else "ready" if self.ready else "being compiled"
        return f"<CompiledKernel {self._request.name}, {self.mode}, {state}>"

    def __call__(self, *arrays: Any) -> Any:
        """Execute the kernel as :func:`tilelang.tt.execute` does.

        Args:
            *arrays: One for each parameter, or for each that is not only written.

        Returns:
            An array of what the kernel writes, or a tuple of them in parameter order.

        Raises:
            TTError: The kernel has been refused, or as :func:`tilelang.tt.execute`.
        """
        return self.run(*arrays).result

    def run(self, *arrays: Any, **how: Any) -> "Execution":
        """Execute the kernel as :meth:`tilelang.tt.executor.Executable.run` does, and give all that is known of it.

        Raises:
            TTError: The kernel has been refused, or as there.
        """
        work = self._work
        artifact = work.current
        if artifact is not None:
            work.stats.count("compiled_runs")
            if artifact is not work.first:
                work.stats.count("optimized_runs")
            return artifact.executable.run(*arrays, **how)
        if work.refused and work.error is not None:
            raise work.error
        from ..executor import Executable

        work.stats.count("eager_runs")
        return Executable.of(self._request.func, **self._request.inputs).run(*arrays, **how)

    @property
    def stats(self) -> Stats:
        """What it has done; the numbers go on."""
        return self._work.stats

    @property
    def ready(self) -> bool:
        """Whether calls run what has been compiled."""
        return self._work.current is not None

    @property
    def done(self) -> bool:
        """Whether nothing more is done in the background, where better plans may have been looked for."""
        return self._work.done.done()

    @property
    def error(self) -> BaseException | None:
        """What the kernel is refused with, or what befell the compiler, so that nothing will be compiled; else None.

        Calls of a refused kernel raise it. Where it is the compiler that failed, they go on with the kernel as it came.
        """
        return self._work.error

    @property
    def history(self) -> tuple[Step, ...]:
        """The steps of its search so far, the default plan first; empty without a search."""
        return self._work.history

    def explain(self) -> str:
        """Why it is on its plan: in lines for people, which steps made it better, and what the others came to."""
        return explained(self._request.name, self._work.history, self._work.ending)

    def wait(self, timeout: float | None = None) -> "CompiledKernel":
        """Wait until all is done; ``await kernel`` does the same in a coroutine.

        Args:
            timeout: The longest time to wait, in seconds.

        Returns:
            The kernel itself.

        Raises:
            WaitTimeoutError: It takes longer; the work goes on.
            TTError: What :attr:`error` is.
        """
        self._wait_for(self._work.done, timeout)
        return self

    def __await__(self) -> Generator[Any, None, "CompiledKernel"]:
        import asyncio

        yield from asyncio.wrap_future(self._work.done).__await__()
        return self.wait(0)

    def cancel(self) -> None:
        """Give up what is done in the background; what has been compiled stays.

        It returns at once, and does nothing where all is done. A kernel of which nothing has been compiled goes on
        with the kernel as it came, and :attr:`error` says so.
        """
        self._work.cancelled.set()

    def _wait_for(self, event: "Future[None]", timeout: float | None = None) -> None:
        try:
            event.result(timeout)
        except FutureTimeoutError:
            raise refusal(
                "TT980",
                f"the compilation of {self._request.name} is not done after {timeout:g} s, which were the longest to "
                "wait; it goes on, and the kernel can be called\nhelp: wait longer, or end it with cancel()",
            ) from None
        if self._work.error is not None:
            raise self._work.error

    @property
    def _artifact(self) -> Artifact:
        self._wait_for(self._work.ready)
        assert self._work.current is not None
        return self._work.current

    @property
    def key(self) -> str:
        """What the cache has its first result under; those of a search stand in :attr:`history`."""
        return self._request.key

    @property
    def found_in(self) -> str | None:
        """Which cache had it, ``"memory"`` or ``"disk"``; None where it was compiled. It waits until it is ready.

        Of :func:`compile_many` over an executor it may be the cache of the worker's machine.
        """
        self._wait_for(self._work.ready)
        return self._work.found_in

    @property
    def plan(self) -> Plan:
        """Every decision about the kernel. It waits until there is one."""
        return self._artifact.plan

    @property
    def func(self) -> "PrimFunc":
        """The kernel with all results of inference. It waits until there is one."""
        return self._artifact.func

    @property
    def program(self) -> "PrimFunc":
        """What one core runs. It waits until there is one."""
        return self._artifact.program

    def build(self, **how: Any) -> Any:
        """The host's own executable of target "tenstorrent", of what has been compiled: for these decisions.

        It waits until there is something. Kernels that are upgraded later do not change it.

        Args:
            **how: The other keyword arguments of ``tilelang.compile``, or of ``tvm.compile``.

        Returns:
            What ``tilelang.compile`` gives on TileLang, and ``tvm.compile`` on apache-tvm.

        Raises:
            TTError: As the host's compiler for the target.
        """
        from ..backend import build

        artifact = self._artifact
        return build(artifact.func, artifact.plan.kernel().device, **how)

    @property
    def seconds(self) -> dict[str, float]:
        """What each stage took, and each pass in it, as ``"shard/tt.InferDefaultTTShard"``. It waits for them.

        What comes from a cache has those of its compilation.
        """
        return dict(self._artifact.entry.seconds)
