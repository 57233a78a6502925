"""Atomic operations on tiles."""

from typing import Any

import numpy as np

from ..memory import Box, Core
from .copy import as_dtype

ATOMICS: dict[str, np.ufunc] = {"add": np.add, "max": np.fmax, "min": np.fmin}
"""What an element becomes of itself and a value."""


def atomic(core: Core, target: Box, combine: np.ufunc, values: Any) -> None:
    """Combine each element of a box with its value, atomically, in the dtype of the elements.

    Args:
        core: Who does it.
        target: The elements.
        combine: What each of them becomes.
        values: One for all, or an array whose axes of more than one element are those of the box.
    """
    values = as_dtype(values, target.memory.dtype)
    values = values.reshape(target.extent) if values.ndim else np.broadcast_to(values, target.extent)
    target.combine(core, combine, values)
