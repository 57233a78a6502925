"""What a compiler can do to its process.

A worker that preloads this does it to kernels with these names, and as tasks of these names.
"""

import ctypes
import os
import signal
import socket
import sys
import time

from tilelang.tt.service import stages, worker

LEAKED = []
_compile_request = stages.compile_request


def segfault():
    ctypes.string_at(0)


def abort():
    os.abort()


def bug():
    raise ZeroDivisionError("a bug of the compiler")


def strange_bug():
    class OtherError(LookupError):
        pass

    raise OtherError("of a class that nobody else knows", 1)


def exit_3():
    sys.exit(3)


def exit_5_at_once():
    os._exit(5)


def hang():
    while True:
        time.sleep(1)


def interrupt_the_parent_and_hang():
    os.kill(os.getppid(), signal.SIGINT)
    hang()


def hang_with_the_gil():
    ctypes.PyDLL(None).pause()


def close_all_files_and_hang():
    os.closerange(0, 100)
    hang()


def stop():
    """Nothing in the process can end it any more."""
    os.kill(os.getpid(), signal.SIGSTOP)


def allocate():
    held = []
    while True:
        held.append(bytearray(1 << 22))


def bug_of_memory():
    """A stage that says its own of a MemoryError."""
    try:
        allocate()
    except MemoryError as error:
        raise RuntimeError("a stage has failed") from error


def allocate_in_c():
    """As a compiler in C++ does, whose std::bad_alloc nobody catches."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    while malloc(1 << 22):
        pass
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def print_for_ever():
    while True:
        print("again and again " * 100)


def garbage_to_stdout():
    os.write(1, b"TTW1" + bytes(range(256)) * 1000)
    print("\ud800 is no text")


def garbage_to_the_parent():
    socket.socket(fileno=os.dup(int(sys.argv[1]))).sendall(b"no frame")
    hang()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def leave_a_child():
    """A process of the worker's that would outlive it."""
    if os.fork() == 0:
        hang()
    segfault()


def leak():
    LEAKED.append(b"x" * (64 << 20))


FAULTS = {name: fault for name, fault in globals().items() if getattr(fault, "__module__", "") == __name__}


def _task(fault):
    def run(payload):
        print(f"about to {fault.__name__}")
        fault()
        return payload

    return run


def _compile_with_faults(request):
    FAULTS.get(request.name, lambda: None)()
    return _compile_request(request)


stages.compile_request = _compile_with_faults
worker.TASKS |= {name: _task(fault) for name, fault in FAULTS.items()}
worker.TASKS |= {
    "echo": lambda payload: payload,
    "pid": lambda payload: str(os.getpid()).encode(),
}
