"""A command in a session of its own: its output as it comes, its limits of time, its memory, and all that it starts.

Needs psutil, of the extra ``testing``.
"""

import codecs
import math
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, cast

from ._extra import extra

with extra():
    import psutil

GRACE_SECONDS = 4.0  # from each signal that lets processes clean up to the next one, which they can refuse less
LINGER_SECONDS = 1.0  # by when helpers of a command, such as those of multiprocessing, have gone after it
_KILL_SECONDS = 10.0  # by when what was killed is gone, unless the system holds it
_LOOK_SECONDS = 0.1
_READ_BYTES = 64 << 10
_PIPE_BYTES = 1 << 20  # what a pipe holds at most
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
TIMED_OUT = 124  # as timeout(1) says it
SIGNALLED = 128  # and shells, with the number of the signal


@dataclass(frozen=True)
class Ended:
    """How a command came to its end.

    Attributes:
        code: Its exit code, None where a signal ended it.
        signal: The name of that signal, such as ``SIGSEGV``.
        timed_out: Whether it had to be ended; ``code`` and ``signal`` then say how it went.
        seconds: How long it ran.
        peak_bytes: The most resident memory that all its processes had at a time, pages that they share counted for
            each, by samples, and no less than the largest of them had; None where neither could be seen.
        left: What it had started and left behind, and was ended after it, as command lines.
    """

    code: int | None
    signal: str | None
    timed_out: bool
    seconds: float
    peak_bytes: int | None
    left: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """What shells make of it, 128 and the number of the signal, and 124 of what timed out."""
        if self.timed_out:
            return TIMED_OUT
        if self.code is None:
            return SIGNALLED + _signal_number(cast(str, self.signal))
        return self.code


def run(
    command: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    time_limit: float | None = None,
    log: Path | None = None,
    echo: bool = False,
    cancelled: Event | None = None,
) -> Ended:
    """Run a command to its end, without a shell and without input.

    At the time limit, and when this process is interrupted, all processes of the command get SIGINT, as Ctrl-C in a
    terminal would send it, since pytest then says what has run and where it was. 4 seconds later what the command has
    started gets SIGTERM, as the workers of pytest-xdist refuse SIGINT and pytest waits for them, and after another 4
    whoever is there is killed. What a command leaves behind has a second to go, and is ended likewise.

    Args:
        command: The program and its arguments.
        cwd: The folder that it runs in; None: this process's.
        env: All of its environment variables; None: those of this process.
        time_limit: Seconds that it may take; None: any time.
        log: A file for what it prints, stdout and stderr in the order in which they come.
        echo: Whether that is also written to this process's stdout, as it comes.
        cancelled: What another thread interrupts this one by.

    Raises:
        KeyboardInterrupt: This process was interrupted, or ``cancelled`` is set.
        OSError: The command cannot be started, or the log cannot be written.
    """
    with open(log or os.devnull, "wb", buffering=0) as file:
        running = _Running(command, cwd, env, [cast(IO[bytes], file), *([_stdout()] if echo else [])])
        try:
            running.follow(lambda: running.has_ended() or (cancelled is not None and cancelled.is_set()), time_limit)
            if cancelled is not None and cancelled.is_set():
                raise KeyboardInterrupt
            timed_out = not running.has_ended()
            if not timed_out:
                running.follow(running.is_gone, LINGER_SECONDS)
            left = () if timed_out else tuple(map(_command_line, running.living()))
        finally:
            running.end()
    return running.ended(timed_out, left)


class _Running:
    """A command that runs, and every process that was seen to belong to it, as their parents may be gone."""

    def __init__(
        self,
        command: Sequence[str],
        cwd: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        sinks: list[IO[bytes]],
    ) -> None:
        # A child has the most memory that its parent ever had as its own, by what the kernel says.
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self._sinks = sinks
        self._pipe = cast(IO[bytes], self._process.stdout)
        os.set_blocking(self._pipe.fileno(), False)
        self._has_output = True
        self._pause = 0.001
        self._status: int | None = None
        self._seconds = 0.0
        self._peak = 0
        self._looked = -math.inf
        self._seen = {psutil.Process(self._process.pid)}

    def follow(self, is_over: Callable[[], bool], seconds: float | None) -> None:
        """Pass on what is printed, and look at the processes, until something holds or the time is over."""
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        while not is_over():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._wait(min(remaining, _LOOK_SECONDS))
            if time.monotonic() - self._looked >= _LOOK_SECONDS:
                self._look()
            self._reap()

    def has_ended(self) -> bool:
        """Whether the command itself has."""
        return self._status is not None

    def is_gone(self) -> bool:
        """Whether it and all that it has started have."""
        return self.has_ended() and not self.living()

    def living(self) -> list[psutil.Process]:
        """Its processes that run."""
        self._look()
        return [each for each in self._seen if _is_running(each)]

    def end(self) -> None:
        """End all processes: first so that they can clean up, and then so that they cannot refuse."""
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                if not self.is_gone():
                    self._signal(number)
                    self.follow(self.is_gone, GRACE_SECONDS)
        finally:
            deadline = time.monotonic() + _KILL_SECONDS
            while not self.is_gone() and time.monotonic() < deadline:
                self._signal(signal.SIGKILL)
                self.follow(self.is_gone, _LOOK_SECONDS)
            self._drain()
            self._pipe.close()

    def ended(self, timed_out: bool, left: tuple[str, ...]) -> Ended:
        """What there is to say of it."""
        status = self._status
        is_signal = status is not None and status < 0
        return Ended(
            code=None if is_signal else status,
            signal=_signal_name(-cast(int, status)) if is_signal else None,
            timed_out=timed_out,
            seconds=self._seconds,
            peak_bytes=self._peak or None,
            left=left,
        )

    def _signal(self, number: signal.Signals) -> None:
        for each in self.living():
            if number == signal.SIGTERM and each.pid == self._process.pid:
                continue  # it has heard SIGINT, and its helpers are what it may be waiting for
            with suppress(psutil.Error):
                each.send_signal(number)

    def _wait(self, seconds: float) -> None:
        """Read what comes within this time. A command that has closed its output lives on, or is about to end."""
        if not self._has_output:
            time.sleep(min(self._pause, seconds))
            self._pause *= 2
        elif _is_readable(self._pipe, seconds):
            self._read()

    def _read(self) -> int:
        """How many bytes there were."""
        try:
            data = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return 0
        self._has_output = bool(data)
        try:
            for sink in self._sinks:
                sink.write(data)
                sink.flush()
        except OSError:
            self._sinks.clear()  # what is still to come has nowhere to go, and must not keep the command from its end
            raise
        return len(data)

    def _drain(self) -> None:
        """Read what is still in the pipe, and not for ever: somebody unseen may hold its other end."""
        remaining = _PIPE_BYTES
        while remaining > 0 and self._has_output and (count := self._read()):
            remaining -= count

    def _reap(self) -> None:
        if self._status is not None:
            return
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid:
            self._seconds = time.monotonic() - self._started
            self._status = self._process.returncode = os.waitstatus_to_exitcode(status)
            if usage.ru_maxrss > self._inherited:
                self._peak = max(self._peak, usage.ru_maxrss * _RSS_UNIT)

    def _look(self) -> None:
        """Remember new processes: children of those that are known, and members of the session."""
        self._looked = time.monotonic()
        family = {each.pid for each in self._seen if _is_running(each)}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid not in family and (process.ppid() in family or self._is_of_session(process.pid)):
                    family.add(process.pid)
                    self._seen.add(process)
        self._peak = max(self._peak, sum(map(_resident, self._seen)))

    def _is_of_session(self, pid: int) -> bool:
        return os.getsid(pid) == self._process.pid


@contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGINT and SIGTERM interrupt this thread, whatever a shell has made of them, and SIGHUP unless ignored.

    A shell that starts a command in the background has it ignore SIGINT, and so would all that the command starts. A
    terminal that is closed reaches no session of its own.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt(_signal_name(number))

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in numbers}
    # Where a parent has had them ignored, nobody learns how a command has ended.
    former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Text:
    """Bytes for a stdout that takes text alone, such as that of a notebook."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def write(self, data: bytes) -> None:
        sys.stdout.write(self._decode(data))

    def flush(self) -> None:
        sys.stdout.flush()


def _stdout() -> IO[bytes]:
    sys.stdout.flush()
    return cast(IO[bytes], getattr(sys.stdout, "buffer", None) or _Text())


def _is_readable(pipe: IO[bytes], seconds: float) -> bool:
    poll = select.poll()  # select() takes no descriptors beyond 1023
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


def _is_running(process: psutil.Process) -> bool:
    """Whether it is there, is the same that it was, and is not only waiting to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss) if process.is_running() else 0
    except psutil.Error:
        return 0


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"process {process.pid}"


def _signal_number(name: str) -> int:
    known = signal.Signals.__members__.get(name)
    return int(name.removeprefix("SIG")) if known is None else known


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
