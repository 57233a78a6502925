"""The key of a compilation: a digest of all that its result depends on."""

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from .. import _host
from .._version import __version__
from ..device import Device
from .transport import encode

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


def key_of(name: str, func: "PrimFunc", device: Device | None, options: str) -> str:
    """64 hexadecimal digits."""
    parts = [
        name,
        encode(func),
        None if device is None else device.to_dict(),
        options,
        str(_host.require_host()),
        __version__,
    ]
    return sha256(json.dumps(parts).encode()).hexdigest()
