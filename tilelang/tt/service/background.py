"""Work in the background of this process, in threads that end with it.

The threads are daemons, so that nobody waits for what is queued; and as a daemon that is inside of TVM when the
interpreter is taken down would take the process down, all work is cancelled and its threads are joined before that.
"""

import atexit
import os
from collections.abc import Callable
from logging import getLogger
from queue import SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import TypeAlias

from ..errors import InternalError, TTError, WorkerError, refusal
from .artifact import Artifact
from .compiled import Work
from .request import Request

log = getLogger("tilelang.tt.compile")

Found: TypeAlias = tuple[Artifact, str | None]
"""A result, and the cache that had it."""

# They wait for worker processes most of the time.
_MOST_THREADS = 4
# Seconds that a process waits at its end for what has been cancelled.
_PATIENCE = 5.0


class Background:
    """Threads that begin when they are needed first, and do one task after the other."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Work, Callable[[], None]] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._unfinished: set[Work] = set()
        self._lock = Lock()

    def submit(self, work: Work, task: Callable[[], None]) -> None:
        """Do a task when a thread is free. It raises nothing, and ends the work."""
        with self._lock:
            self._unfinished.add(work)
            self._tasks.put((work, task))
            if len(self._threads) < min(_MOST_THREADS, len(self._unfinished)):
                self._start(self._do_tasks)

    def _start(self, target: Callable[[], None]) -> None:
        thread = Thread(target=target, name="tilelang.tt.background", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _do_tasks(self) -> None:
        while (item := self._tasks.get()) is not None:
            work, task = item
            try:
                task()
            finally:
                with self._lock:
                    self._unfinished.discard(work)
                work.end()
                del item, work, task  # nothing is kept while there is nothing to do

    def close(self) -> None:
        """Cancel all work and wait until it has ended."""
        with self._lock:
            for work in self._unfinished:
                work.cancelled.set()
            for _ in self._threads:
                self._tasks.put(None)
        latest = monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, latest - monotonic()))


_background = Background()
atexit.register(lambda: _background.close())


def _begin_again() -> None:
    """A child that has been forked off has none of the threads."""
    global _background
    _background = Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


def compile_in_background(
    work: Work,
    request: Request,
    compile_: Callable[[Request], Artifact],
    look_up: Callable[[Request], Found | None] = lambda request: None,
    then: Callable[[Artifact], None] | None = None,
) -> None:
    """Give the work its first result, as soon as there is one.

    Args:
        work: Of the compiled kernel.
        request: What to compile.
        compile_: Compiles; it returns or raises soon after ``work.cancelled``.
        look_up: Looks into a cache.
        then: What to do with the result, in the same thread.
    """

    def task() -> None:
        artifact = _first(work, request, compile_, look_up)
        if artifact is not None and then is not None and not work.cancelled.is_set():
            then(artifact)

    _background.submit(work, task)


def _first(
    work: Work,
    request: Request,
    compile_: Callable[[Request], Artifact],
    look_up: Callable[[Request], Found | None],
) -> Artifact | None:
    try:
        if work.cancelled.is_set():
            raise _cancelled(request)
        found = look_up(request)
        artifact, work.found_in = found or (compile_counted(work, request, compile_), None)
        work.upgrade(artifact)
    except BaseException as error:
        if work.cancelled.is_set():
            work.fail(error if getattr(error, "code", "") == "TT981" else _cancelled(request), refused=False)
        else:
            refused = is_refusal(error)
            if not refused:
                log.warning("%s has not been compiled and runs as it came: %s", request.name, error)
            work.fail(error, refused=refused)
        return None
    return artifact


def compile_counted(work: Work, request: Request, compile_: Callable[[Request], Artifact]) -> Artifact:
    """Compile, and count it."""
    work.stats.count("background_started")
    try:
        return compile_(request)
    finally:
        work.stats.count("background_finished")


def is_refusal(error: BaseException) -> bool:
    """Whether the kernel is refused; else it is the compiler that has failed."""
    return isinstance(error, TTError) and not isinstance(error, (InternalError, WorkerError))


def _cancelled(request: Request) -> TTError:
    return refusal(
        "TT981",
        f"the compilation of {request.name} was cancelled before there was a result; calls run the kernel as it came"
        "\nhelp: compile it again",
    )
