"""Tensor parameters as executed kernels see them: padded, aligned to tiles, and rounded to their formats."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from math import prod
from threading import RLock
from typing import Any

import numpy as np

from ..errors import refusal
from ..plan import Buffer
from ..plan.tilize import tilize, untilize
from .ledger import Ledger, Workload
from .memory import Array, Core, Indices, Mask, Memory, Poison, first_lane


@dataclass(frozen=True)
class Edge:
    """What it means to access a tensor outside of its shape.

    Attributes:
        is_defined: Whether it means anything, as it does in kernels of TileLang: reads give a value, and writes are
            dropped.
        value: An array of the one element that reads give beyond the padded tensor; None: nobody can tell.
    """

    is_defined: bool
    value: Array | None


class Tensor(Memory):
    """A parameter, in the padded buffer of the plan: its elements have been in tiles, pages and banks.

    Args:
        buffer: How it lies in memory; no size depends on variables.
        array: Its elements, of the buffer's shape and dtype; it is not changed.
        edge: What accesses outside of it mean.
        workload: The work tiles of the kernel.
        poison: What padding holds of which nothing may be read; None: zeros.

    Attributes:
        padded: The whole buffer.
        elements: The part of it that has the tensor's elements.
        ledger: Who has accessed what.
    """

    def __init__(
        self, buffer: Buffer, array: Array, edge: Edge, workload: Workload, poison: Poison | None = None
    ) -> None:
        self.buffer = buffer
        self.name = buffer.name
        self.dtype = array.dtype
        self.shape = array.shape
        self.edge = edge
        self.ledger = Ledger(buffer, workload)
        self.padded = untilize(replace(buffer, shape=buffer.padded_shape), tilize(buffer, array))
        # Tensors of fewer than two dimensions lie in a matrix, in its first row.
        self._matrix: tuple[Any, ...] = (0,) * (self.padded.ndim - len(self.shape))
        self.elements = self.padded[self._matrix + tuple(map(slice, self.shape))]
        self._lock: AbstractContextManager[Any] = RLock() if self.ledger.is_watched else nullcontext()
        if poison is not None and buffer.padding_value == "any":
            elements = self.elements.copy()
            self.padded[...] = poison.fill(self.padded.shape, self.dtype)
            self.elements[...] = elements

    def result(self) -> Array:
        """The elements as they come back out of banks."""
        return untilize(self.buffer, tilize(self.buffer, self.elements))

    def begin_launch(self) -> None:
        """From here on work tiles of another launch access it."""
        self.ledger.begin(self.elements)

    def end_launch(self) -> None:
        """What was written is rounded as its format stores it."""
        self.ledger.end()
        if self.ledger.is_watched:
            self.elements[...] = self.result()

    def load(self, core: Core, indices: Indices, mask: Mask = None) -> Any:
        outside = self._outside(indices, mask)
        if mask is None and outside is None:
            return self._load_inside(core, indices)
        if outside is not None:
            self._check_edge(core, "read", first_lane(indices, outside))
        inside, places = _split(indices, mask, outside)
        values: Array = np.zeros(inside.shape, self.dtype)
        values[inside] = self._load_inside(core, tuple(place[inside] for place in places))
        if outside is not None:
            beyond = np.broadcast_to(outside, inside.shape)
            values[beyond] = self._beyond(core, tuple(place[beyond] for place in places))
        return values[()]

    def store(self, core: Core, indices: Indices, values: Any, mask: Mask = None) -> None:
        outside = self._outside(indices, mask)
        if outside is not None:
            self._check_edge(core, "write", first_lane(indices, outside))
        if mask is not None or outside is not None:
            inside, (values, *places) = _split((values, *indices), mask, outside)
            indices, values = tuple(place[inside] for place in places), values[inside]
        with self._lock:
            old = self.elements[indices]
            self.elements[indices] = values
            self.ledger.store(core, indices, old, np.broadcast_to(values, np.shape(old)))
        self.ledger.count_elements(core, "written", indices)

    def update(
        self, core: Core, indices: Indices, function: Callable[[Any, Any], Any], values: Any, mask: Mask = None
    ) -> Any:
        outside = self._outside(indices, mask)
        if outside is not None:
            self._check_edge(core, "write", first_lane(indices, outside))
        inside, (values, *places) = _split((values, *indices), mask, outside)
        before: Array = np.zeros(inside.shape, self.dtype)
        with self._lock:
            for lane in zip(*np.nonzero(inside), strict=True) if inside.ndim else [()] * bool(inside):
                element = tuple(int(place[lane]) for place in places)
                old = before[lane] = self.elements[element]
                self.elements[element] = function(old, values[lane])
                self.ledger.update(core, element, old, self.elements[element])
        key = tuple(place[inside] for place in places)
        self.ledger.count_elements(core, "read", key)
        self.ledger.count_elements(core, "written", key)
        return before[()]

    def read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        inside, values = self._read(core, start, extent)
        self.ledger.count_box(core, "read", inside)
        return values

    def load_box(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        self._check_lanes(core, "read", start, extent)
        inside, values = self._read(core, start, extent)
        self.ledger.count_lanes(core, "read", inside)
        return values

    def write(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        inside = self._change(core, start, values.shape, lambda _, part: values[part], self.ledger.store)
        self.ledger.count_box(core, "written", inside)

    def store_box(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        self._check_lanes(core, "write", start, values.shape)
        inside = self._change(core, start, values.shape, lambda _, part: values[part], self.ledger.store)
        self.ledger.count_lanes(core, "written", inside)

    def combine(self, core: Core, start: tuple[int, ...], function: Callable[[Any, Any], Any], values: Array) -> None:
        inside = self._change(
            core, start, values.shape, lambda old, part: function(old, values[part]), self.ledger.update
        )
        self.ledger.count_box(core, "read", inside)
        self.ledger.count_box(core, "written", inside)

    def view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "View":
        return View(self, name, shape, dtype)

    def _load_inside(self, core: Core, indices: Indices) -> Any:
        with self._lock:
            values = self.elements[indices]
            self.ledger.load(core, indices, values)
        self.ledger.count_elements(core, "read", indices)
        return values

    def _read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> tuple[Any, Array]:
        """The part of a box that is inside, and all of its elements."""
        inside, part = _overlap(start, extent, self.shape)
        with self._lock:
            values: Array = self.elements[inside].copy()
            self.ledger.load(core, inside, values)
        if values.shape == extent:
            return inside, values
        self._check_edge(core, "read", start, extent)
        value = self._edge_value(core, start, extent)
        out: Array = np.full(extent, value)
        padded, place = _overlap(start, extent, self.padded.shape[len(self._matrix) :])
        out[place] = self.padded[self._matrix + padded]
        out[part] = values
        return inside, out

    def _change(
        self,
        core: Core,
        start: tuple[int, ...],
        extent: tuple[int, ...],
        function: Callable[[Array, Any], Array],
        note: Callable[[Core, Indices, Array, Array], None],
    ) -> Any:
        """Set the elements of a box by what they were and where in the box they are; gives the part that is inside."""
        inside, part = _overlap(start, extent, self.shape)
        if tuple(at.stop - at.start for at in inside) != extent:
            self._check_edge(core, "write", start, extent)
        with self._lock:
            old = self.elements[inside].copy()
            self.elements[inside] = function(old, part)
            note(core, inside, old, self.elements[inside])
        return inside

    def _outside(self, indices: Indices, mask: Mask) -> Any:
        """Which of the lanes that are executed are outside; None where none is."""
        outside: Any = False
        for index, size in zip(indices, self.shape, strict=True):
            outside = outside | (index < 0) | (index >= size)
        if mask is not None:
            outside = outside & mask
        return outside if np.any(outside) else None

    def _beyond(self, core: Core, indices: Indices) -> Array:
        """What lies at places outside of the tensor: its padding, and beyond that the same value."""
        extents = self.padded.shape[len(self._matrix) :]
        is_padding = np.ones(np.shape(indices[0]), np.bool_)
        for index, size in zip(indices, extents, strict=True):
            is_padding &= (index >= 0) & (index < size)
        values: Array = np.full(is_padding.shape, self._edge_value(core, tuple(int(i[0]) for i in indices)))
        values[is_padding] = self.padded[self._matrix + tuple(index[is_padding] for index in indices)]
        return values

    def _check_edge(self, core: Core, deed: str, start: tuple[int, ...], extent: tuple[int, ...] | None = None) -> None:
        if not self.edge.is_defined:
            raise refusal(
                "TT910",
                f"{self._place(core, deed, start, extent)}; expected one inside of {self.shape}\n"
                "help: guard the access by a condition, such as `if row < rows`",
            )

    def _check_lanes(self, core: Core, deed: str, start: tuple[int, ...], extent: tuple[int, ...]) -> None:
        """Refuse the first single element of a box that is outside, where that means nothing."""
        box = list(zip(start, extent, self.shape, strict=True))
        if self.edge.is_defined or all(first >= 0 and first + length <= size for first, length, size in box):
            return
        elements = (tuple(first + i for first, i in zip(start, place, strict=True)) for place in np.ndindex(extent))
        for element in elements:
            if not all(0 <= i < size for i, size in zip(element, self.shape, strict=True)):
                self._check_edge(core, deed, element)

    def _edge_value(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...] | None = None) -> Any:
        if self.edge.value is None:
            raise refusal(
                "TT915",
                f"{self._place(core, 'read', start, extent)}, outside of {self.shape}; expected a padding value, and "
                "the plan has it as unknown\nhelp: give T.annotate_safe_value one constant for this tensor in all "
                "launches of the kernel",
            )
        return self.edge.value.reshape(())

    def _place(self, core: Core, deed: str, start: tuple[int, ...], extent: tuple[int, ...] | None) -> str:
        who = self.ledger.workload.describe(core.launch, self.ledger.workload.number(core))
        what = f"element {start}" if extent is None else f"a box at {start} of {extent}"
        return f"tensor `{self.name}`: {who} {deed}s {what}"


class View(Memory):
    """The elements of a tensor under another shape or dtype; padding is not among them."""

    def __init__(self, tensor: Tensor, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.tensor = tensor
        self.name = name
        self.shape = shape
        self.dtype = dtype

    def load(self, core: Core, indices: Indices, mask: Mask = None) -> Any:
        flat = self._flat(indices)
        own, other = self.dtype.itemsize, self.tensor.dtype.itemsize
        if own == other:
            return np.asarray(self.tensor.load(core, self._in_tensor(flat), mask)).view(self.dtype)[()]
        if own > other:
            parts = [self.tensor.load(core, place, mask) for place in self._parts(flat)]
            return np.stack(np.broadcast_arrays(*parts), axis=-1).view(self.dtype)[..., 0]
        whole, part = np.divmod(flat, other // own)
        values = np.asarray(self.tensor.load(core, self._in_tensor(whole), mask))
        split = values[..., None].view(self.dtype)
        return np.take_along_axis(split, np.asarray(part)[..., None], axis=-1)[..., 0]

    def store(self, core: Core, indices: Indices, values: Any, mask: Mask = None) -> None:
        flat = self._flat(indices)
        own, other = self.dtype.itemsize, self.tensor.dtype.itemsize
        if own < other:
            raise self._refuse("writes a part of an element")
        parts = np.asarray(values, self.dtype)[..., None].view(self.tensor.dtype)
        for number, place in enumerate(self._parts(flat)):
            self.tensor.store(core, place, parts[..., number], mask)

    def update(
        self, core: Core, indices: Indices, function: Callable[[Any, Any], Any], values: Any, mask: Mask = None
    ) -> Any:
        if self.dtype.itemsize != self.tensor.dtype.itemsize:
            raise self._refuse("updates it atomically")

        def as_own(bits: Any) -> Any:
            return np.asarray(bits, self.tensor.dtype).view(self.dtype)[()]

        def as_bits(values: Any) -> Any:
            return np.asarray(values, self.dtype).view(self.tensor.dtype)[()]

        def on_bits(old: Any, value: Any) -> Any:
            return as_bits(function(as_own(old), as_own(value)))

        place = self._in_tensor(self._flat(indices))
        return as_own(self.tensor.update(core, place, on_bits, as_bits(values), mask))

    def read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        return np.asarray(self.load(core, _lattice(start, extent))).reshape(extent)

    def write(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        self.store(core, _lattice(start, values.shape), values)

    def combine(self, core: Core, start: tuple[int, ...], function: Callable[[Any, Any], Any], values: Array) -> None:
        self.update(core, _lattice(start, values.shape), function, values)

    def view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "View":
        return View(self.tensor, name, shape, dtype)

    def _flat(self, indices: Indices) -> Any:
        """The number of an element; outside of the view that of none."""
        flat: Any = np.int64(0)
        outside: Any = False
        for index, size in zip(indices, self.shape, strict=True):
            outside = outside | (index < 0) | (index >= size)
            flat = flat * size + index
        return np.where(outside, prod(self.shape), flat)

    def _parts(self, flat: Any) -> list[Indices]:
        """The elements of the tensor that an element of the view is made of."""
        count = self.dtype.itemsize // self.tensor.dtype.itemsize
        return [self._in_tensor(flat * count + part) for part in range(count)]

    def _in_tensor(self, flat: Any) -> Indices:
        """The indices of the tensor's element of a number; of one that it has not they are outside."""
        out: list[Any] = []
        for size in reversed(self.tensor.shape[1:]):
            flat, index = np.divmod(flat, size)
            out.append(index)
        return tuple(reversed([*out, flat])) if self.tensor.shape else ()

    def _refuse(self, deed: str) -> Exception:
        return refusal(
            "TT918",
            f"`{self.name}` sees tensor `{self.tensor.name}` of {self.tensor.dtype} as {self.dtype} and {deed}; "
            f"expected a dtype of {self.tensor.dtype.itemsize} bytes",
        )


def _overlap(start: tuple[int, ...], extent: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The part of a box that lies inside of a shape: as slices of the whole, and as slices of the box."""
    inside, part = [], []
    for first, length, size in zip(start, extent, shape, strict=True):
        low = min(max(first, 0), size)
        high = max(min(first + length, size), low)
        inside.append(slice(low, high))
        part.append(slice(low - first, high - first))
    return tuple(inside), tuple(part)


def _split(lanes: tuple[Any, ...], mask: Mask, outside: Any) -> tuple[Array, list[Array]]:
    """The lanes that are executed inside of the tensor, and what belongs to all lanes."""
    executed = True if mask is None else mask
    chosen, *rest = np.broadcast_arrays(executed if outside is None else executed & ~np.asarray(outside), *lanes)
    return chosen, rest


def _lattice(start: tuple[int, ...], extent: tuple[int, ...]) -> Indices:
    """The indices of all elements of a box."""
    return np.ix_(*(np.arange(first, first + length) for first, length in zip(start, extent, strict=True)))
