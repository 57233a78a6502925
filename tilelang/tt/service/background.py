"""Work in the background of this process, in threads that end with it.

The threads are daemons, so that nobody waits for what is queued; and as a daemon that is inside of TVM when the
interpreter is taken down would take the process down, all work is cancelled and its threads are joined before that.
"""

import atexit
import os
from collections.abc import Callable
from functools import cache
from logging import getLogger
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from ..errors import InternalError, TTError, WorkerError, refusal
from .artifact import Artifact
from .cache import cache as results
from .compiled import Work
from .entry import Entry
from .pool import WorkerPool, shared_pool
from .request import Request

if TYPE_CHECKING:
    from .proof import Proof

log = getLogger("tilelang.tt.compile")

Found: TypeAlias = tuple[Artifact, str | None]
"""A result, and the cache that had it."""

Task: TypeAlias = tuple[Work, Callable[[], None]]

# They wait for worker processes most of the time.
_MOST_THREADS = 4
# Seconds that a process waits at its end for what has been cancelled.
_PATIENCE = 5.0


class Background:
    """Threads that begin when they are needed first, and do one task after the other."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: WeakSet[Thread] = WeakSet()
        self._shared = 0
        self._unfinished: set[Work] = set()
        self._lock = Lock()

    def submit(self, work: Work, task: Callable[[], None], *, alone: bool = False) -> None:
        """Do a task when a thread is free, or in a thread of its own. It raises nothing, and ends the work."""
        _close_at_exit()
        with self._lock:
            self._unfinished.add(work)
            try:
                if alone:
                    self._start(self._do, work, task)
                    return
                if self._shared < min(_MOST_THREADS, len(self._unfinished)):
                    self._start(self._do_all)
                    self._shared += 1
            except RuntimeError:  # there can be no more threads
                if alone or not self._shared:
                    self._unfinished.discard(work)
                    raise
            self._tasks.put((work, task))

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = Thread(target=target, args=arguments, name="tilelang.tt.background", daemon=True)
        thread.start()
        self._threads.add(thread)

    def _do_all(self) -> None:
        while (item := self._tasks.get()) is not None:
            self._do(*item)
            del item  # nothing is kept while there is nothing to do

    def _do(self, work: Work, task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            work.end()
            with self._lock:
                self._unfinished.discard(work)

    def leave(self) -> None:
        """In a process that was forked off: let nobody there wait for threads that it does not have."""
        for work in self._unfinished:
            work.leave(
                refusal(
                    "TT981",
                    "the compilation goes on in the process that this one was forked off, and not here; calls run the "
                    "kernel as it came\nhelp: compile it again",
                )
            )

    def close(self) -> None:
        """Cancel all work and wait until it has ended."""
        with self._lock:
            for work in self._unfinished:
                work.cancelled.set()
            for _ in range(self._shared):
                self._tasks.put(None)
            threads = list(self._threads)
        latest = monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, latest - monotonic()))


_background = Background()


@cache
def _close_at_exit() -> None:
    """Before the pools, which have been made by now, or will be made, are closed: their end is no fault of a worker."""
    atexit.register(lambda: _background.close())


def _begin_again() -> None:
    """A child that has been forked off has none of the threads."""
    global _background
    _background.leave()
    _background = Background()


os.register_at_fork(after_in_child=_begin_again)


class Compiler:
    """What compiles for one kernel in the background: it counts, asks the cache, and ends early when it is cancelled.

    Attributes:
        work: Of the kernel.
    """

    def __init__(self, work: Work, pool: WorkerPool | None, timeout: float | None, cached: bool) -> None:
        self.work = work
        self._pool = pool
        self._timeout = timeout
        self._cached = cached

    def fetch(self, request: Request, seconds: float | None = None) -> Found:
        """What a request gives.

        Args:
            request: What to compile.
            seconds: How long it may take at most.

        Raises:
            Exception: What the kernel is refused with, or what befell the compiler.
        """

        def compile_counted(request: Request) -> Entry:
            self.work.stats.count("background_started")
            try:
                return self._compile(request, seconds)
            finally:
                self.work.stats.count("background_finished")

        if self._cached:
            return results.fetch(request, compile_counted)
        return Artifact(compile_counted(request)), None

    def look_up(self, request: Request) -> Artifact | None:
        """What the cache has of a request."""
        found = results.lookup(request, _not_again) if self._cached else None
        return found and found[0]

    def store(self, entry: Entry) -> None:
        """Let :meth:`look_up` find an entry."""
        if self._cached:
            results.store(entry)

    def prove(self, reference: Entry, candidate: Entry, seed: int, seconds: float | None = None) -> "Proof":
        """Execute two kernels on the same arrays, and say what that has shown; see :mod:`tilelang.tt.service.proof`.

        Raises:
            Exception: What befell the worker.
        """
        from .proof import Proof, request_of

        limit = self._at_most(seconds)
        payload = request_of(reference, candidate, seed=seed, **({} if limit is None else {"time_limit_s": limit}))
        pool = self._pool or shared_pool()
        return Proof.from_bytes(pool.call("prove", payload, timeout=limit, cancelled=self.work.cancelled))

    def _compile(self, request: Request, seconds: float | None) -> Entry:
        pool = self._pool or shared_pool()
        return pool.compile(request, timeout=self._at_most(seconds), cancelled=self.work.cancelled)

    def _at_most(self, seconds: float | None) -> float | None:
        limits = [limit for limit in (self._timeout, seconds) if limit is not None]
        return min(limits, default=None)


def _not_again(request: Request) -> Entry:
    raise LookupError(f"what the cache has of {request.name} cannot be read")


def compile_in_background(
    compiler: Compiler, request: Request, then: Callable[[Artifact], None], *, alone: bool = False
) -> None:
    """Give a kernel its first result, as soon as there is one.

    Args:
        compiler: Of the kernel.
        request: What to compile.
        then: What to do with the result, in the same thread.
        alone: Whether that takes long, so that it needs a thread of its own.
    """

    def task() -> None:
        artifact = _first(compiler, request)
        if artifact is not None:
            then(artifact)

    _background.submit(compiler.work, task, alone=alone)


def _first(compiler: Compiler, request: Request) -> Artifact | None:
    work = compiler.work
    try:
        if work.cancelled.is_set():
            raise _cancelled(request)
        artifact, work.found_in = compiler.fetch(request)
        work.upgrade(artifact)
    except BaseException as error:
        if work.cancelled.is_set():
            work.fail(_cancelled(request), refused=False)
        else:
            refused = is_refusal(error)
            if not refused:
                log.warning("%s has not been compiled and runs as it came: %s", request.name, error)
            work.fail(error, refused=refused)
        return None
    return artifact


def is_refusal(error: BaseException) -> bool:
    """Whether the kernel is refused; else it is the compiler that has failed."""
    return isinstance(error, TTError) and not isinstance(error, (InternalError, WorkerError))


def _cancelled(request: Request) -> TTError:
    return refusal(
        "TT981",
        f"the compilation of {request.name} was cancelled before there was a result; calls run the kernel as it came"
        "\nhelp: compile it again",
    )
