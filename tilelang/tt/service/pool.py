"""Workers that compile: processes of their own, so that nothing the compiler does can hurt the caller."""

import math
import os
import weakref
from collections.abc import Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from threading import Condition, Event, Lock, get_ident
from types import TracebackType

from .._counters import counters
from ..errors import WorkerError, refusal
from . import repro
from .entry import Entry
from .process import CANCEL_SECONDS, WorkerProcess
from .request import Request
from .worker import revived

_GROWTH_BYTES = 512 << 20  # of a worker that leaks
_LONGEST = 1e6
_LEAST_LIMIT = 512 << 20


class _Place:
    """Room for one worker, which one thread at a time may use."""

    def __init__(self) -> None:
        self.user: int | None = None
        self.worker: WorkerProcess | None = None

    def end(self) -> None:
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.end()


class WorkerPool:
    """Workers that are started when they are needed, stay warm, and are replaced when they are lost.

    Threads may share it; each call has a worker of its own, and waits for one where all are busy. It belongs to the
    process that has made it: one forked off that begins with an empty pool of the same settings.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        timeout: float = 120.0,
        memory_limit: int | None = None,
        preload: Iterable[str] = (),
        recycle_after: int = 5000,
    ) -> None:
        """Make a pool; no worker is started yet.

        Args:
            workers: How many at most.
            timeout: Seconds that a task may take; ``math.inf`` for any time. Starting a worker is not part of it.
            memory_limit: Bytes that a worker may have beyond what it has once its host is imported, on Linux. None:
                half of the memory of this machine, or of its container, divided by the number of workers, and at least
                512 MiB.
            preload: Names of modules that a worker imports before its first task.
            recycle_after: After how many tasks a worker is replaced. One that has grown by more than 512 MiB, or
                than half of its limit, is replaced sooner.

        Raises:
            OptionError: A value that cannot be.
        """
        _check(isinstance(workers, int) and workers >= 1, "workers", workers, "an integer of at least 1")
        _check(
            memory_limit is None or (isinstance(memory_limit, int) and memory_limit >= 1),
            "memory_limit",
            memory_limit,
            "bytes, at least 1, or None",
        )
        _check(isinstance(recycle_after, int) and recycle_after >= 1, "recycle_after", recycle_after, "at least 1 task")
        preload = (preload,) if isinstance(preload, str) else tuple(preload)
        _check(all(isinstance(name, str) for name in preload), "preload", preload, "names of modules")
        self._timeout = _seconds(timeout)
        self._memory_limit = memory_limit or max(_LEAST_LIMIT, _memory_of_machine() // 2 // workers)
        self._most_growth = min(_GROWTH_BYTES, self._memory_limit // 2)
        self._preload = preload
        self._recycle_after = recycle_after
        self._places = [_Place() for _ in range(workers)]
        self._changed = Condition()
        self._is_closed = False
        self._finalizer = weakref.finalize(self, _end_all, self._places)
        _pools.add(self)

    def call(self, task: str, payload: bytes, *, timeout: float | None = None, cancelled: Event | None = None) -> bytes:
        """Have a task done by a worker.

        Args:
            task: A name that ``tilelang.tt.service.worker`` knows.
            payload: What it is about.
            timeout: Seconds, other than those of the pool.
            cancelled: Once it is set, nobody needs the result, and the worker is ended.

        Raises:
            WorkerError: The worker has not survived, or there is none.
            CancelledError: ``cancelled`` was set first.
            OptionError: There is no such task, or ``timeout`` is no time.
            Exception: What the task has raised, where it is of this package or a builtin; else the nearest builtin.
        """
        return self._call(task, payload, timeout, cancelled, f'in task "{task}"')

    def compile(self, request: Request, *, timeout: float | None = None, cancelled: Event | None = None) -> Entry:
        """Compile a kernel in a worker; as :meth:`call`, and what loses a worker leaves a reproducer."""
        doing = f"while it compiled kernel `{request.name}`"
        try:
            return Entry.from_bytes(self._call("compile", request.to_bytes(), timeout, cancelled, doing))
        except WorkerError as error:
            error.reproducer = _reproducer(request, error)
            raise

    def close(self) -> None:
        """End all workers. What they are doing is lost, and further calls are refused."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._finalizer()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> int:
        """How many workers there are at most."""
        return len(self._places)

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._is_closed

    def _call(self, task: str, payload: bytes, timeout: float | None, cancelled: Event | None, doing: str) -> bytes:
        seconds = self._timeout if timeout is None else _seconds(timeout)
        try:
            place = self._occupy(cancelled)
            try:
                worker = self._worker_of(place, cancelled)
                answer, result = worker.ask(task, payload, seconds, cancelled, doing)
            except BaseException as error:
                place.end()
                counters.count("worker", "lost")
                if isinstance(error, WorkerError):
                    self._refuse_if_closed()
                raise
            if worker.tasks >= self._recycle_after or worker.growth > self._most_growth:
                place.end()
                counters.count("worker", "recycled")
        finally:
            self._vacate()
        if "error" in answer:
            raise revived(answer)
        return result

    def _occupy(self, cancelled: Event | None) -> _Place:
        """A place for this thread, if possible one with a worker."""
        me = get_ident()
        with self._changed:
            while True:
                self._refuse_if_closed()
                # Ctrl-C may have come before this thread gave its place back.
                free = [place for place in self._places if place.user in (None, me)]
                if free:
                    place = next((place for place in free if place.worker is not None), free[0])
                    place.user = me
                    return place
                if cancelled is not None and cancelled.is_set():
                    raise CancelledError
                self._changed.wait(None if cancelled is None else CANCEL_SECONDS)

    def _vacate(self) -> None:
        """Let others have what this thread has occupied, whatever has interrupted it since."""
        with self._changed:
            for place in self._places:
                if place.user == get_ident():
                    place.user = None
            self._changed.notify()

    def _worker_of(self, place: _Place, cancelled: Event | None) -> WorkerProcess:
        if place.worker is not None and not place.worker.is_idle:  # it has died since its last task
            place.end()
        if place.worker is None:
            place.worker = WorkerProcess(self._preload, self._memory_limit, cancelled)
            counters.count("worker", "started")
        self._refuse_if_closed()  # whoever has closed the pool since may not have seen this worker
        return place.worker

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise refusal("TT975", "the pool of workers is closed; expected an open one")

    def _begin_again(self) -> None:
        """In a process that was forked off: the workers and the locks are those of its parent."""
        self._changed = Condition()
        for place in self._places:
            place.user = None
            worker, place.worker = place.worker, None
            if worker is not None:
                worker.forget()


def _end_all(places: list[_Place]) -> None:
    for place in places:
        if place.user is None:
            place.end()
        elif place.worker is not None:
            place.worker.kill()  # the thread that waits for it sees its end


_shared: WorkerPool | None = None
_shared_lock = Lock()
_pools: "weakref.WeakSet[WorkerPool]" = weakref.WeakSet()


def shared_pool() -> WorkerPool:
    """The pool of ``compile(mode="subprocess")`` without another one: a worker for each CPU, at most 4."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared.is_closed:
            _shared = WorkerPool(min(4, _cpus()))
        return _shared


def _begin_again() -> None:
    global _shared_lock
    _shared_lock = Lock()
    for pool in _pools:
        pool._begin_again()


os.register_at_fork(after_in_child=_begin_again)


def _cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_of_machine() -> int:
    """Bytes, or fewer where a container has fewer."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # ValueError: "max"
            sizes.append(int(Path(limit).read_text(encoding="ascii")))
    return min(sizes)


def _seconds(timeout: float) -> float:
    is_time = isinstance(timeout, (int, float)) and (0 < timeout <= _LONGEST or timeout == math.inf)
    _check(is_time, "timeout", timeout, f"seconds above 0 and up to {_LONGEST:g}, or math.inf")
    return float(timeout)


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise refusal("TT970", f"{name} is {value!r:.80}; expected {expected}")


def _reproducer(request: Request, error: WorkerError) -> str | None:
    """Where there now is a program that shows the error."""
    if error.code == "TT975":
        return None  # nothing was compiled
    path = repro.write(request, "compile", error)
    return None if path is None else str(path)
