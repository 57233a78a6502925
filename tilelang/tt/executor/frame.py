"""What translated functions run on: the values of all variables and buffers, each in its slot."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .memory import Box, Mask

Frame: TypeAlias = list[Any]
"""The slots ``CORE`` and ``MASK`` are fixed: the core that runs, and which lanes are executed (None: all)."""
Expression: TypeAlias = Callable[[Frame], Any]
"""Gives a numpy scalar of the expression's dtype, or an array that broadcasts against the lanes."""
Statement: TypeAlias = Callable[[Frame], None]
Boxes: TypeAlias = Callable[[Frame], Box]
Integers: TypeAlias = Callable[[Frame], tuple[int, ...]]
Indices: TypeAlias = Callable[[Frame], tuple[Any, ...]]
Filling: TypeAlias = Callable[[Frame, Any], None]
"""Puts an argument, or memory, into the slots that it belongs to."""

CORE, MASK, FIRST = 0, 1, 2


def narrowed(mask: Mask, chosen: Any) -> "Mask | bool":
    """The lanes of a mask that are also chosen; False where there are none, None where that is all of them."""
    both = chosen if mask is None else mask & chosen
    if not both.any():
        return False
    return None if both.all() else both


def where(frame: Frame, chosen: Any, yes: Expression, no: Expression) -> Any:
    """One of two values for each lane; each is evaluated for the lanes only that choose it."""
    if not isinstance(chosen, np.ndarray):
        return yes(frame) if chosen else no(frame)
    mask = frame[MASK]
    values = []
    for lanes, value in ((chosen, yes), (~chosen, no)):
        narrow = narrowed(mask, lanes)
        if narrow is not False:
            frame[MASK] = narrow
            values.append(value(frame))
            frame[MASK] = mask
    return values[0] if len(values) == 1 else np.where(chosen, *values)
