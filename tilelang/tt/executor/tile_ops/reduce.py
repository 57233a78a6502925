"""Reductions and scans of tiles along one of their axes."""

from typing import Any, NamedTuple

import numpy as np

from ..memory import Array, Box, Core
from .copy import as_dtype


class Reduction(NamedTuple):
    """How elements become one.

    Attributes:
        combine: Two of them, as one.
        absolute: Whether it is their magnitudes that are combined.
    """

    combine: np.ufunc
    absolute: bool = False


REDUCTIONS = {
    "sum": Reduction(np.add),
    "abssum": Reduction(np.add, absolute=True),
    "max": Reduction(np.fmax),
    "min": Reduction(np.fmin),
    "absmax": Reduction(np.fmax, absolute=True),
    "bitand": Reduction(np.bitwise_and),
    "bitor": Reduction(np.bitwise_or),
    "bitxor": Reduction(np.bitwise_xor),
}
"""By the names of T.reduce. Of a number and a NaN, the greatest and the least are the number."""

NAN_KEEPING: dict[np.ufunc, np.ufunc] = {np.fmax: np.maximum, np.fmin: np.minimum}
"""What takes the NaN instead."""


def neutral(kind: str, dtype: np.dtype[Any]) -> Array:
    """What a reduction of nothing gives, of those that a reducer can have."""
    if kind in ("max", "min"):
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            return as_dtype(limits.min if kind == "max" else limits.max, dtype)
        return as_dtype(-np.inf if kind == "max" else np.inf, dtype)
    return np.invert(np.zeros((), dtype)) if kind == "bitand" else np.zeros((), dtype)


def reduce(core: Core, source: Box, target: Box, reduction: Reduction, axis: int, clear: bool) -> None:
    """Combine the elements along an axis, in the dtype of the target.

    Floats of 8 and 16 bits are combined in float32 and rounded once; integers wrap around.

    Args:
        core: Who does it.
        source: The elements.
        target: Of the source's extents but for the axis, which has gone or is one element long.
        reduction: How they become one.
        axis: Which axis of the source.
        clear: Whether what the target holds does not count.
    """
    dtype = target.memory.dtype
    values = as_dtype(source.read(core), computed_in(dtype))
    values = np.abs(values) if reduction.absolute else values
    reduced = reduction.combine.reduce(values, axis, dtype=values.dtype).reshape(target.extent)
    if not clear:
        reduced = reduction.combine(target.read(core).astype(reduced.dtype), reduced)
    target.write(core, as_dtype(reduced, dtype))


def scan(core: Core, source: Box, target: Box, combine: np.ufunc, axis: int, reverse: bool) -> None:
    """Combine each element with those before it along an axis, or with those behind it where it goes in reverse.

    Floats of 8 and 16 bits are combined in float32, and each result is rounded once.
    """
    values = as_dtype(source.read(core), computed_in(source.memory.dtype))
    values = np.flip(values, axis) if reverse else values
    combined = combine.accumulate(values, axis, dtype=values.dtype)
    combined = np.flip(combined, axis) if reverse else combined
    target.write(core, as_dtype(as_dtype(combined, source.memory.dtype), target.memory.dtype).reshape(target.extent))


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which numbers of a dtype are combined: float32 for floats of 8 and 16 bits, else their own."""
    return dtype if dtype.kind in "iub" or dtype.itemsize >= 4 else np.dtype(np.float32)
