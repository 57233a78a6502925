"""A worker as its parent sees it: a process that is started, asked, and ended, with what it has printed."""

import fcntl
import math
import os
import re
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import CancelledError
from contextlib import suppress
from logging import getLogger
from threading import Event
from time import monotonic
from typing import IO, Any, cast

from .. import logs
from ..errors import WorkerError, refusal
from .origin import in_words, origin
from .worker import pack, unpack

log = getLogger("tilelang.tt.worker")

# The same code as the caller's: whatever has changed sys.path since Python was started.
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from tilelang.tt.service.worker import main; main(int(sys.argv[1]))"
_START_SECONDS = 120.0  # a host takes seconds to import, and on a busy machine more
_GRACE_SECONDS = 5.0  # by when a worker that ends itself on time is gone
_DEATH_SECONDS = 2.0  # between the end of a connection and that of its process
CANCEL_SECONDS = 0.05  # an Event cannot be waited for together with a socket, so it is looked at this often
_TAIL_BYTES = 64 << 10
_READ_BYTES = 1 << 20
_OUT_OF_MEMORY = re.compile(rb"bad_alloc|MemoryError|[Oo]ut of memory|Cannot allocate memory")


class WorkerProcess:
    """One worker. A method that raises anything but what the task has raised has ended it.

    Attributes:
        tasks: How many it has done.
        growth: How many bytes of memory it has more than when it was started.
    """

    def __init__(self, preload: tuple[str, ...], memory_limit: int, cancelled: Event | None = None) -> None:
        """Start a worker, and wait until it can be asked.

        Raises:
            WorkerError: It does not start, or is not what its parent is.
            CancelledError: ``cancelled`` was set first.
        """
        self.tasks = 0
        self.growth = 0
        self._received = bytearray()
        self._output = bytearray()
        self._socket, theirs = map(_beyond_standard, socket.socketpair())
        self._socket.setblocking(False)
        with theirs, logs.for_child() as (variables, descriptors):
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, str(theirs.fileno()), *_path()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,  # of people, not of the protocol
                    stderr=subprocess.STDOUT,
                    bufsize=0,
                    pass_fds=[theirs.fileno(), *descriptors],
                    env={**os.environ, **variables},
                    start_new_session=True,  # not of the terminal's Ctrl-C, and to be killed with what it starts
                )
            except OSError as error:
                self._socket.close()
                raise refusal(
                    "TT975", f"a worker cannot be started: {error}; expected {sys.executable!r} to run"
                ) from error
        self._printed = cast(IO[bytes], self._process.stdout).fileno()
        os.set_blocking(self._printed, False)
        settings = {"preload": preload, "memory_limit": memory_limit}
        hello, _ = self._ask(settings, b"", _START_SECONDS, cancelled, None)
        self._resident = hello["resident"]
        self._recognize(hello["origin"])
        log.info("worker %d has started", self._process.pid)

    def ask(
        self, task: str, payload: bytes, seconds: float, cancelled: Event | None, doing: str
    ) -> tuple[dict[str, Any], bytes]:
        """Have a task done.

        Args:
            task: Its name.
            payload: What it is about.
            seconds: How long it may take; ``math.inf`` for ever.
            cancelled: Set by whoever does not need it any more.
            doing: The same for a message.

        Returns:
            What it says of itself or of its error, and its result.

        Raises:
            WorkerError: The worker has not survived the task.
            CancelledError: ``cancelled`` was set first.
        """
        self._read_output()
        self._output.clear()
        header = {"task": task, "seconds": None if math.isinf(seconds) else seconds}
        answer, result = self._ask(header, payload, seconds, cancelled, doing)
        self.tasks += 1
        self.growth = answer["resident"] - self._resident
        if answer.get("of_memory"):
            self._output += answer["traceback"].encode()
            self.end()
            raise self._lost("TT974", f"a worker has no memory left {doing}")
        return answer, result

    @property
    def is_idle(self) -> bool:
        """Whether it is there and can be asked: an idle worker sends nothing, not even its end."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def end(self, patience: float = 0.0) -> int | None:
        """End the process with all that it has started, and let go of it.

        Args:
            patience: How many seconds it may take to end by itself.

        Returns:
            Its exit status as :class:`subprocess.Popen` has it; None where it had to be killed.
        """
        if self._socket.fileno() < 0:
            return None  # it was ended before
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
            status = self._process.returncode
            self.kill()
            self._process.wait()
            self._read_output()
        finally:
            self._close()
        log.info("worker %d has ended; tasks: %d", self._process.pid, self.tasks)
        return status

    def kill(self) -> None:
        """Kill the process with all that it has started; another thread may be waiting for its answer."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: of a zombie, on macOS
            os.killpg(self._process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Let go of it in a process that was forked off its parent, which keeps it."""
        self._close()
        self._process.returncode = 0  # nobody here can wait for it

    def _close(self) -> None:
        self._socket.close()
        cast(IO[bytes], self._process.stdout).close()

    def _recognize(self, theirs: dict[str, str]) -> None:
        ours = origin()
        if theirs != ours:
            self.end()
            found, expected = in_words(theirs), in_words(ours)
            raise self._lost("TT975", f"a worker runs {found}; expected {expected}: start this process again")

    def _ask(
        self, header: dict[str, Any], body: bytes, seconds: float, cancelled: Event | None, doing: str | None
    ) -> tuple[dict[str, Any], bytes]:
        began = monotonic()
        deadline = began + seconds + _GRACE_SECONDS
        try:
            return self._exchange(memoryview(pack(header, body)), deadline, cancelled)
        except (EOFError, OSError, ValueError) as cause:
            is_late = monotonic() - began >= seconds
            status = self.end(0.0 if isinstance(cause, (TimeoutError, ValueError)) else _DEATH_SECONDS)
            how = f"more than {seconds:g} s" if is_late else _ending(status, cause)
            raise self._lost(*self._diagnosis(status, is_late, how, doing)) from None
        except BaseException:
            self.end()
            raise

    def _diagnosis(self, status: int | None, is_late: bool, how: str, doing: str | None) -> tuple[str, str]:
        """Code and message for the end of a worker."""
        if doing is None:
            return "TT975", f"a worker cannot be started: {how}; expected it to be ready"
        if is_late:
            return "TT973", f"a worker was ended {doing}: it has taken {how}"
        if status == -signal.SIGKILL:
            return "TT972", f"somebody has killed a worker {doing}; has the system run out of memory?"
        if status != 0 and _OUT_OF_MEMORY.search(self._output):
            return "TT974", f"a worker has no memory left {doing}: {how}"
        return "TT971", f"a worker has crashed {doing}: {how}"

    def _exchange(self, unsent: memoryview, deadline: float, cancelled: Event | None) -> tuple[dict[str, Any], bytes]:
        """Send a frame and return the next one that comes; meanwhile read what is printed, which else would block."""
        poll = select.poll()
        poll.register(self._printed, select.POLLIN)
        while True:
            if unsent:
                with suppress(BlockingIOError):
                    unsent = unsent[self._socket.send(unsent) :]
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            ready = dict(poll.poll(_milliseconds(deadline, cancelled)))
            if self._printed in ready and not self._read_output():
                poll.unregister(self._printed)
            if ready.get(self._socket.fileno(), 0) & ~select.POLLOUT:
                with suppress(BlockingIOError):
                    data = self._socket.recv(_READ_BYTES)
                    if not data:
                        raise EOFError("it has closed its connection")
                    self._received += data
                    frame = unpack(self._received)
                    if frame is not None:
                        return frame
            if cancelled is not None and cancelled.is_set():
                raise CancelledError
            if monotonic() >= deadline:
                raise TimeoutError

    def _read_output(self) -> bool:
        """Keep the end of what has been printed. Whether more can come."""
        try:
            data = os.read(self._printed, _READ_BYTES)
        except BlockingIOError:
            return True
        self._output += data
        del self._output[:-_TAIL_BYTES]
        return bool(data)

    def _lost(self, code: str, message: str) -> WorkerError:
        error = cast(WorkerError, refusal(code, message))
        error.last_output = self._output.decode(errors="replace")
        return error


def _beyond_standard(end: socket.socket) -> socket.socket:
    """The same, where what is printed cannot get into it: a daemon may have closed the standard streams."""
    if end.fileno() > 2:
        return end
    with end:
        return socket.socket(fileno=fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, 3))


def _path() -> list[str]:
    """What of ``sys.path`` is a path: Python passes over the rest, too."""
    return [entry for entry in sys.path if isinstance(entry, str) and "\0" not in entry]


def _milliseconds(deadline: float, cancelled: Event | None) -> float | None:
    """How long to wait before the next look around."""
    seconds = max(0.0, deadline - monotonic())
    if cancelled is not None:
        seconds = min(seconds, CANCEL_SECONDS)
    return None if math.isinf(seconds) else seconds * 1000


def _ending(status: int | None, cause: Exception) -> str:
    """How a process has ended."""
    if status is None:
        return str(cause)
    if status >= 0:
        return f"exit code {status}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"
