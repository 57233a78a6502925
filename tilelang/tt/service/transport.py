"""IR as text, for another process or for a file."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


def encode(func: "PrimFunc", *, places: bool = False) -> str:
    """A function as the JSON of its host.

    Args:
        func: The function.
        places: Whether to keep where its statements stand in files of the user's, for messages.
    """
    from tvm.ir import save_json

    return str(save_json(func))


def decode(text: str) -> "PrimFunc":
    """The function of a text that :func:`encode` has given, on the same host."""
    from tvm.ir import load_json

    return load_json(text)
