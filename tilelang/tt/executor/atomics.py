"""Atomic operations on single elements."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import nodes
from .frame import CORE, MASK, Expression, Frame
from .nodes import kind

if TYPE_CHECKING:
    from .program import Translator

_POINTERS = ("tl.access_ptr", "tirx.address_of")


class Element(NamedTuple):
    """An element that something points to: the slot of its buffer, and its indices."""

    slot: int
    indices: tuple[Expression, ...]
    dtype: np.dtype[Any]


def pointed(pointer: Any, to: "Translator") -> Element:
    """The element that a pointer, or a load that stands for one, is of."""
    load = pointer.args[0] if kind(pointer) == "Call" and nodes.operation(pointer) in _POINTERS else pointer
    if kind(load) != "BufferLoad":
        to.refuse("TT920", f"the pointer {nodes.text(pointer)}")
    buffer = nodes.loaded_buffer(load)
    dtype = nodes.numpy_dtype(nodes.buffer_facts(buffer).dtype)
    return Element(to.buffer(buffer), tuple(to.expression(index) for index in load.indices), dtype)


def _second(before: Any, value: Any) -> Any:
    return value


def _update(of_integers: Callable[[Any, Any], Any], of_floats: Any = None) -> "Callable[[Any, Translator], Expression]":
    def translate(call: Any, to: "Translator") -> Expression:
        slot, indices, dtype = pointed(call.args[0], to)
        value = to.expression(call.args[1])
        function = of_integers if of_floats is None or dtype.kind in "iub" else of_floats

        def update(frame: Frame) -> Any:
            place = tuple([index(frame) for index in indices])
            return frame[slot].update(frame[CORE], place, function, value(frame).astype(dtype), frame[MASK])

        return update

    return translate


def _reducer_update(call: Any, to: "Translator") -> Expression:
    from .tile_ops import REDUCTIONS  # which builds on this module

    return _update(REDUCTIONS[to.reducer(nodes.loaded_buffer(call.args[0]))].combine)(call, to)


def _load(call: Any, to: "Translator") -> Expression:
    slot, indices, _ = pointed(call.args[0], to)

    def load(frame: Frame) -> Any:
        return frame[slot].load(frame[CORE], tuple([index(frame) for index in indices]), frame[MASK])

    return load


def _add_vector(lanes: int) -> "Callable[[Any, Translator], Expression]":
    """Adds as many elements, which follow each other in the last dimension, to as many others."""

    def translate(call: Any, to: "Translator") -> Expression:
        target, source = (pointed(pointer, to) for pointer in call.args[:2])
        steps = np.arange(lanes, dtype=np.int32)

        def places(frame: Frame, element: Element) -> tuple[Any, ...]:
            *outer, inner = (index(frame) for index in element.indices)
            return (*outer, inner + steps)

        def add(frame: Frame) -> Any:
            values = frame[source.slot].load(frame[CORE], places(frame, source))
            return frame[target.slot].update(frame[CORE], places(frame, target), np.add, values.astype(target.dtype))

        return add

    return translate


ATOMICS: dict[str, "Callable[[Any, Translator], Expression]"] = {
    **{
        f"tl.atomic_{name}{suffix}": translate
        for suffix in ("_elem_op", "_ret_elem_op")
        for name, translate in {
            "add": _update(np.add),
            "addx2": _add_vector(2),
            "addx4": _add_vector(4),
            "max": _update(np.maximum, np.fmax),
            "min": _update(np.minimum, np.fmin),
        }.items()
    },
    "tl.atomic_load_elem_op": _load,
    "tl.atomic_or_elem_op": _update(np.bitwise_or),
    "tl.atomic_store_elem_op": _update(_second),
    "tl.reducer_update": _reducer_update,
}
"""Atomic operations, and updates of reducers, by name; they give what the element was before."""
