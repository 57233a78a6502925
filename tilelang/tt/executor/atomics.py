"""Atomic operations on single elements."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import nodes
from .access import Place, load, place
from .frame import CORE, MASK, Expression, Frame
from .nodes import kind

if TYPE_CHECKING:
    from .program import Translator

POINTERS = ("tl.access_ptr", "tirx.address_of")
"""Operators that point to the element that their first argument loads."""


def pointed(pointer: Any, to: "Translator") -> tuple[Place, np.dtype[Any]]:
    """The element that a pointer, or a load that stands for one, is of."""
    load = pointer.args[0] if kind(pointer) == "Call" and nodes.operation(pointer) in POINTERS else pointer
    if kind(load) != "BufferLoad":
        to.refuse("TT920", f"the pointer {nodes.text(pointer)}")
    buffer = nodes.loaded_buffer(load)
    return place(buffer, load.indices, to), nodes.numpy_dtype(nodes.buffer_facts(buffer).dtype)


def _second(before: Any, value: Any) -> Any:
    return value


def _update(of_integers: Callable[[Any, Any], Any], of_floats: Any = None) -> "Callable[[Any, Translator], Expression]":
    def translate(call: Any, to: "Translator") -> Expression:
        element, dtype = pointed(call.args[0], to)
        value = to.expression(call.args[1])
        function = of_integers if of_floats is None or dtype.kind in "iub" else of_floats
        slot, at, lanes = element.slot, element.at(), to.lanes.slots

        def update(frame: Frame) -> Any:
            mask = frame[MASK]
            if lanes:
                # All lanes take part, even where they have the same element and the same value.
                shape = np.broadcast_shapes(*[frame[numbers].shape for numbers in lanes])
                mask = np.broadcast_to(np.True_ if mask is None else mask, shape)
            return frame[slot].update(frame[CORE], at(frame), function, value(frame).astype(dtype), mask)

        return update

    return translate


def _reducer_update(call: Any, to: "Translator") -> Expression:
    from .tile_ops import REDUCTIONS  # which builds on this module

    return _update(REDUCTIONS[to.reducer(nodes.loaded_buffer(call.args[0]))].combine)(call, to)


def _load(call: Any, to: "Translator") -> Expression:
    return load(pointed(call.args[0], to)[0])


def _add_vector(lanes: int) -> "Callable[[Any, Translator], Expression]":
    """Adds as many elements, which follow each other in the last dimension, to as many others."""

    def translate(call: Any, to: "Translator") -> Expression:
        (target, dtype), (source, _) = (pointed(pointer, to) for pointer in call.args[:2])
        places, sources = target.at(), source.at()
        steps = np.arange(lanes, dtype=np.int32)

        def add(frame: Frame) -> Any:
            *around, first = sources(frame)
            values = frame[source.slot].load(frame[CORE], (*around, first + steps)).astype(dtype)
            *around, first = places(frame)
            return frame[target.slot].update(frame[CORE], (*around, first + steps), np.add, values)

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
