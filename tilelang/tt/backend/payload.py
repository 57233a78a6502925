"""A kernel as a text that a compiled library can carry, for a launcher in another process."""

import zlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


def pack(kernel: "PrimFunc") -> str:
    """The kernel as plain letters, a tenth of its JSON."""
    from tvm.ir import save_json

    return b64encode(zlib.compress(save_json(kernel).encode())).decode()


def unpack(text: str) -> "PrimFunc":
    """The kernel of a text that :func:`pack` has given, on the same host."""
    from tvm.ir import load_json

    return load_json(zlib.decompress(b64decode(text)).decode())
