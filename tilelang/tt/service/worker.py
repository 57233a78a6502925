"""The child of a pool: it takes one task after the other from a socket, and ends when the socket does."""

import builtins
import faulthandler
import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

from .. import _host, errors
from .origin import origin

_PREFIX = struct.Struct("<4sIQ")  # what it is, and the sizes of a header in JSON and of a body
_MAGIC = b"TTW1"
_SCALARS = (str, int, float, type(None))


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """A frame: what parent and child send each other."""
    text = json.dumps(header).encode()
    return _PREFIX.pack(_MAGIC, len(text), len(body)) + text + body


def unpack(received: bytearray) -> tuple[dict[str, Any], bytes] | None:
    """Take the first frame out of what has been received; None as long as it is not all there.

    Raises:
        ValueError: It is no frame.
    """
    if not _MAGIC.startswith(received[: len(_MAGIC)]):
        raise ValueError(f"found {bytes(received[: len(_MAGIC)])!r} where a frame begins")
    if len(received) < _PREFIX.size:
        return None
    _, header_size, body_size = _PREFIX.unpack_from(received)
    begin = _PREFIX.size + header_size
    end = begin + body_size
    if len(received) < end:
        return None
    header = json.loads(received[_PREFIX.size : begin])
    body = bytes(memoryview(received)[begin:end])
    del received[:end]
    return header, body


def _compile(payload: bytes) -> bytes:
    from .request import Request
    from .stages import compile_request

    return compile_request(Request.from_bytes(payload, trusted=True)).to_bytes()


def _prove(payload: bytes) -> bytes:
    from .proof import prove_bytes

    return prove_bytes(payload)


# What a worker can be asked for.
TASKS: dict[str, Callable[[bytes], bytes]] = {"compile": _compile, "prove": _prove}


def main(descriptor: int) -> NoReturn:
    """Serve the parent at the other end of a socket."""
    os.set_inheritable(descriptor, False)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    faulthandler.enable(file=2)
    connection = socket.socket(fileno=descriptor)
    os.register_at_fork(after_in_child=connection.close)  # else the parent would not see this process end
    frames: SimpleQueue[tuple[dict[str, Any], bytes]] = SimpleQueue()
    Thread(target=_receive, args=(connection, frames), daemon=True).start()
    settings, _ = frames.get()
    _prepare(settings["preload"])
    _limit_memory(settings["memory_limit"])
    connection.sendall(pack({"origin": origin(), "resident": _resident()}))
    while True:
        header, payload = frames.get()
        connection.sendall(_answer(header["task"], header["seconds"], payload))


def _receive(connection: socket.socket, frames: "SimpleQueue[tuple[dict[str, Any], bytes]]") -> None:
    """Hand over what the parent sends. Once it has let go of this worker, or has died, end, whatever is being done."""
    received = bytearray()
    try:
        while data := connection.recv(1 << 20):
            received += data
            while (frame := unpack(received)) is not None:
                frames.put(frame)
    finally:
        with suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)  # with what the compiler has started
        os._exit(1)


def _prepare(preload: list[str]) -> None:
    _host.require_host()
    from . import stages  # noqa: F401  # not at the cost of the first task

    for name in preload:
        importlib.import_module(name)
    # A host sets handlers of its own for signals; ours print the Python stack.
    faulthandler.disable()
    faulthandler.enable(file=2)
    gc.freeze()  # what has been imported stays, and need not be looked at again and again


def _limit_memory(limit: int) -> None:
    """Let this process have so many bytes more than it has now, on Linux; nobody else has this limit."""
    if sys.platform != "linux":
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    has = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = min(has + limit, sys.maxsize if hard == resource.RLIM_INFINITY else hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _resident() -> int:
    """How many bytes of memory this process has; where the system does not tell, the most that it has had."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _answer(task: str, seconds: float | None, payload: bytes) -> bytes:
    try:
        if seconds is not None:
            # A thread in C: it ends this process also where the parent is dead and the GIL is held.
            faulthandler.dump_traceback_later(seconds, exit=True, file=2)
        if task not in TASKS:
            raise errors.refusal("TT970", f'task is "{task}"; expected any of: {", ".join(sorted(TASKS))}')
        result = TASKS[task](payload)
    except Exception as error:
        return pack(described(error))
    finally:
        faulthandler.cancel_dump_traceback_later()
    return pack({"resident": _resident()}, result)


def described(error: Exception) -> dict[str, Any]:
    """An error as data; :func:`revived` makes one of it again."""
    is_plain = all(isinstance(argument, _SCALARS) for argument in error.args)
    return {
        "error": _name_of(type(error)),
        "args": list(error.args) if is_plain else [str(error)],
        "traceback": "".join(traceback.format_exception(error)),
        "of_memory": _is_of_memory(error),
        "resident": _resident(),
    }


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether it is, or comes of, a want of memory."""
    if error is None:
        return False
    return isinstance(error, MemoryError) or "bad_alloc" in str(error) or _is_of_memory(error.__cause__)


def _name_of(error_class: type) -> str:
    """The name of a class, or of its nearest base, that every process knows."""
    return next(str(base.__name__) for base in error_class.__mro__ if _class_of(base.__name__) is base)


def _class_of(name: str) -> Any:
    return getattr(errors, name, None) or getattr(builtins, name, None)


def revived(described: dict[str, Any]) -> Exception:
    """The error that a worker has described: one of this package or a builtin, with what it said."""
    try:
        error: Exception = _class_of(described["error"])(*described["args"])
    except TypeError:  # one that is made of more than its text
        error = RuntimeError(f"{described['error']}: {described['args'][0]}")
    if not isinstance(error, errors.TTError):
        error.__cause__ = RuntimeError(f"in a worker:\n{described['traceback']}")
    return error
