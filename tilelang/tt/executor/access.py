"""Loads and stores of elements: one by one, of all lanes, or as boxes where the lanes lie side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import nodes
from .frame import CORE, MASK, Expression, Frame, Indices, Statement

if TYPE_CHECKING:
    from .program import Translator


class Place(NamedTuple):
    """Elements of a buffer.

    Attributes:
        slot: Of the buffer.
        indices: By dimension.
        axes: For each dimension the axis of the lanes along which its index counts up by one, None where all lanes
            have the same index; no axes at all where some index is neither.
        depth: How many axes the lanes have.
    """

    slot: int
    indices: tuple[Expression, ...]
    axes: "tuple[int | None, ...] | None"
    depth: int

    @property
    def is_box(self) -> bool:
        """Whether the lanes lie side by side, each axis of them in one dimension at most."""
        counted = [axis for axis in self.axes or () if axis is not None]
        return bool(counted) and len(set(counted)) == len(counted)

    def at(self) -> Indices:
        """The indices as memory takes them."""
        indices = self.indices
        if len(indices) == 1:
            (only,) = indices
            return lambda frame: (only(frame),)
        return lambda frame: tuple([index(frame) for index in indices])


def place(buffer: Any, indices: Sequence[Any], to: "Translator") -> Place:
    """Where an access goes; of a buffer that each lane has for itself, to the lane's own."""
    lanes = to.lanes
    private = lanes.private.get(nodes.key(buffer), ())
    axes = [*range(len(private)), *(lanes.axis(to.vectorizer.form(index)) for index in indices)] if lanes.slots else []
    own = [to.expression(index) for index in indices]
    return Place(
        to.buffer(buffer),
        (*map(_position, private), *own),
        None if lanes.IRREGULAR in axes else tuple(axes),
        lanes.depth,
    )


def _position(slot: int) -> Expression:
    return lambda frame: frame[slot]


def load(place: Place) -> Expression:
    """The elements at a place."""
    slot, at = place.slot, place.at()

    def load(frame: Frame) -> Any:
        return frame[slot].load(frame[CORE], at(frame), frame[MASK])

    if not place.is_box:
        return load
    order, shaped = _order(place), _Shape(place)

    def load_box(frame: Frame) -> Any:
        # What a mask excludes is not to be touched.
        if frame[MASK] is not None:
            return load(frame)
        start, extent = _box(at(frame))
        return frame[slot].load_box(frame[CORE], start, extent).transpose(order).reshape(shaped.of_lanes(extent))

    return load_box


def store(place: Place, value: Expression) -> Statement:
    """Writes values to a place."""
    slot, at = place.slot, place.at()

    def store(frame: Frame) -> None:
        result = value(frame)
        frame[slot].store(frame[CORE], at(frame), result, frame[MASK])

    if not place.is_box:
        return store
    order, shaped = _order(place), _Shape(place)
    back = tuple(np.argsort(order))

    def store_box(frame: Frame) -> None:
        if frame[MASK] is not None:
            store(frame)
            return
        result = value(frame)
        start, extent = _box(at(frame))
        lanes = np.broadcast_to(result, shaped.of_lanes(extent))
        ordered = lanes.reshape([extent[dimension] for dimension in order])
        frame[slot].store_box(frame[CORE], start, ordered.transpose(back))

    return store_box


def _box(indices: tuple[Any, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The box of indices that count up by one along their axes."""
    start, extent = [], []
    for index in indices:
        is_array = isinstance(index, np.ndarray)
        start.append(int(index.flat[0] if is_array else index))
        extent.append(index.size if is_array else 1)
    return tuple(start), tuple(extent)


def _order(place: Place) -> tuple[int, ...]:
    """The dimensions in the order of the axes of the lanes; those of one index for all lanes come first."""
    axes = [-1 if axis is None else axis for axis in place.axes or ()]
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


class _Shape:
    """The shape of the lanes of a box."""

    def __init__(self, place: Place) -> None:
        axes = place.axes or ()
        self._dimensions = [axes.index(axis) if axis in axes else None for axis in range(place.depth)]

    def of_lanes(self, extent: tuple[int, ...]) -> list[int]:
        return [1 if dimension is None else extent[dimension] for dimension in self._dimensions]
