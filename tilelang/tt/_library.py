"""Loading the passes' shared library and tying its errors and warnings to Python."""

import contextlib
import importlib.util
import sys
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from . import errors
from ._imports import when_imported

if TYPE_CHECKING:
    import ctypes

# When this process began to read the package, in seconds since the epoch.
READ_AT = time.time()
_INTERNAL = ("tilelang.", "tvm.", "tvm_ffi.")

_handle: "ctypes.CDLL | None" = None
_collected: ContextVar[list[errors.TTWarning] | None] = ContextVar("collected", default=None)


def load_beside_ffi() -> None:
    """Register the passes as soon as tvm-ffi is there: now, or when somebody imports it.

    Importing it takes longer than all else that a command line does which only reads plans. Where the passes do not
    load, the first call that needs one tells why.
    """
    when_imported("tvm_ffi", _try_to_load)


def _try_to_load() -> None:
    with contextlib.suppress(errors.HostError):
        load()


def load() -> None:
    """Register the passes with tvm-ffi; a second call does nothing.

    Raises:
        HostError: tvm-ffi is missing, or this library does not load beside it.
    """
    global _handle
    import ctypes

    try:
        import tvm_ffi
    except ImportError as error:
        raise errors.refusal("TT122", f"apache-tvm-ffi cannot be imported: {error}") from error
    if _handle is not None:
        return
    # Warnings too: a filter may turn one into an error, which then passes through the host.
    for error_class in vars(errors).values():
        if isinstance(error_class, type) and issubclass(error_class, (errors.TTError, Warning)):
            tvm_ffi.register_error(f"tilelang.tt.{error_class.__name__}", error_class)
    tvm_ffi.register_global_func("tilelang.tt.warn", _warn, override=True)
    try:
        _handle = ctypes.CDLL(str(passes_path()))
    except OSError as error:
        raise errors.refusal(
            "TT123", f"the passes of tilelang.tt do not load beside apache-tvm-ffi {tvm_ffi.__version__}: {error}"
        ) from error


def passes_path() -> Path:
    """Where the library lies: beside _native, wherever an editable install has put that."""
    spec = importlib.util.find_spec("tilelang.tt._native")
    if spec is None or spec.origin is None:
        raise errors.refusal("TT124", "tilelang.tt is not installed: its native modules are missing; pip install it")
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    return Path(spec.origin).with_name(f"libtilelang_tt_passes{suffix}")


@contextlib.contextmanager
def collect_warnings() -> Iterator[list[errors.TTWarning]]:
    """What the passes warn of goes into a list; of this thread only, unlike with the filters of ``warnings``."""
    warned: list[errors.TTWarning] = []
    token = _collected.set(warned)
    try:
        yield warned
    finally:
        _collected.reset(token)


def _warn(code: str, message: str) -> None:
    warned = _collected.get()
    if warned is not None:
        warned.append(errors.warning(code, message))
        return
    # Point at the line of the user's that ran the pass, beyond the frames of the host and of ours.
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INTERNAL):
        frame, level = frame.f_back, level + 1
    warnings.warn(errors.warning(code, message), stacklevel=level)
