"""The key of a compilation: a digest of all that its result depends on, and of nothing else.

In the key are

- the kernel: its structure, and every name, attribute, annotation and constant in it. Left out are places in files, and
  which objects of the process it is made of;
- its name in the module, the device with all its fields, and the options;
- the host and the tvm-ffi beside it, by name and version, as what they make of a kernel is a part of the result;
- the version of this package and a digest of its code, so that a rebuilt one never takes results of another one.

Not in the key are paths, times, the environment, and the version of Python, except that the native modules are built
for one: the same wheel gives the same keys on every machine.
"""

import json
import os
from collections import OrderedDict
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING

from .. import _host, _native
from ..device import Device
from .origin import origin

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


def key_of(name: str, func: "PrimFunc", device: Device | None, options: str) -> str:
    """The key of one compilation, as 64 hexadecimal digits.

    Args:
        name: Of the kernel.
        func: The kernel.
        device: None for the one that the kernel carries, else the default one: naming that is no difference.
        options: As JSON with sorted keys.

    Raises:
        OpaqueKernelError: The kernel holds something that cannot be compared, such as a function in an attribute.
    """
    if device is None and not (func.attrs and "tt_device" in func.attrs):
        device = _default_device()
    parts = [name, _digest_of(func), _text_of(device), options, origin()]
    return sha256(json.dumps(parts).encode()).hexdigest()


# Digests of the kernels that were asked about last, by their addresses: an object that is kept is never another one.
_recent: "OrderedDict[int, tuple[PrimFunc, str]]" = OrderedDict()
_recent_lock = Lock()
_MOST_RECENT = 64


def _renew_lock() -> None:
    """In a child process, a thread that holds the lock is not there."""
    global _recent_lock
    _recent_lock = Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _digest_of(func: "PrimFunc") -> str:
    address = func.__chandle__()
    with _recent_lock:
        if address in _recent:
            _recent.move_to_end(address)
            return _recent[address][1]
    digest = sha256(fingerprint(func)).hexdigest()
    with _recent_lock:
        _recent[address] = (func, digest)
        while len(_recent) > _MOST_RECENT:
            _recent.popitem(last=False)
    return digest


def fingerprint(func: "PrimFunc") -> bytes:
    """The kernel's part of a key before it is digested; see ``src/tt/ir/fingerprint.h``."""
    import tvm_ffi

    _host.require_host()
    return bytes(tvm_ffi.get_global_func("tilelang.tt.fingerprint")(func))


@cache
def _default_device() -> Device:
    return Device.from_name(_native.default_device)


@cache
def _text_of(device: Device | None) -> str:
    return json.dumps(None if device is None else device.to_dict(), sort_keys=True)
