"""Memory as a kernel sees it while it is executed."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, prod
from time import monotonic
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import refusal

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = tuple[Any, ...]
"""One index for each dimension: integers, or integer arrays that broadcast against each other, an element a lane."""
Mask: TypeAlias = "npt.NDArray[np.bool_] | None"
"""Which lanes are executed; None: all of them. It broadcasts against the indices."""


@dataclass(frozen=True)
class Unwritten:
    """An element that was read before anything was written to it.

    Attributes:
        buffer: Its name.
        index: Of the element.
        launch: Which launch of the kernel read it.
        turn: In which work tile of the core that read it.
    """

    buffer: str
    index: tuple[int, ...]
    launch: int
    turn: int


class Poison:
    """What memory holds that nobody has written yet, chosen to be noticed.

    Args:
        pattern: ``nan``, ``inf`` or ``random``, which is random bits.
        seed: Of the random bits.
    """

    def __init__(self, pattern: str, seed: int) -> None:
        self.pattern = pattern
        self.seed = seed

    def fill(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Floats are the pattern, or NaN where they have no infinity; integers are random bits."""
        if self.pattern != "random" and dtype.kind not in "iub":
            with np.errstate(all="ignore"):
                return np.full(shape, np.float32(self.pattern)).astype(dtype)
        bits = np.random.default_rng(self.seed).bytes(prod(shape) * dtype.itemsize)
        filled: Array = (
            np.frombuffer(bits, np.uint8) % 2 == 1 if dtype.kind == "b" else np.frombuffer(bits, dtype).copy()
        )
        return filled.reshape(shape)


@dataclass
class Core:
    """A core while it runs.

    Attributes:
        number: Its linear number.
        launch: Which launch of the kernel it runs.
        turn: Which of its work tiles, counted from 0; -1 outside of the loop over them.
        poison: What fresh memory on the chip holds; None: zeros.
        ends_at: When no work tile may begin any more, by the clock of ``time.monotonic``.
        unwritten: What it read before it was written; only where there is poison, and of each buffer the first.
    """

    number: int
    launch: int = 0
    turn: int = -1
    poison: Poison | None = None
    ends_at: float = inf
    unwritten: list[Unwritten] = field(default_factory=list)

    def require_time(self) -> None:
        """Refuse to go on when the time limit has passed."""
        if monotonic() >= self.ends_at:
            raise refusal(
                "TT945",
                f"the time limit has passed at core {self.number} in launch {self.launch}; expected all cores to have "
                "run by then\nhelp: give it more time, or smaller arrays",
            )

    def allocate(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "OnChip":
        """A fresh buffer of its own."""
        return OnChip(name, shape, dtype) if self.poison is None else Poisoned(name, shape, dtype, self.poison)

    def note_unwritten(self, buffer: str, index: tuple[int, ...]) -> None:
        """Keep in mind that an element was read before it was written."""
        known = ((other.buffer, other.launch, other.turn) for other in self.unwritten)
        if (buffer, self.launch, self.turn) not in known:
            self.unwritten.append(Unwritten(buffer, index, self.launch, self.turn))


class Memory(ABC):
    """A buffer: elements of one dtype, by their indices.

    Attributes:
        name: As the user wrote it.
        dtype: Of an element; bfloat16 and the 8-bit floats are those of ``ml_dtypes``.
        shape: In elements, without padding.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @abstractmethod
    def load(self, core: Core, indices: Indices, mask: Mask = None) -> Any:
        """The elements at indices; what masked lanes get has no meaning."""

    @abstractmethod
    def store(self, core: Core, indices: Indices, values: Any, mask: Mask = None) -> None:
        """Write elements; of lanes with the same indices the last one stays."""

    @abstractmethod
    def update(
        self, core: Core, indices: Indices, function: Callable[[Any, Any], Any], values: Any, mask: Mask = None
    ) -> Any:
        """Atomically set each element to ``function(element, value)``, lane after lane; gives what was there before."""

    @abstractmethod
    def read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        """The elements of a box, which may lie outside of the buffer in part; an array of shape ``extent``."""

    @abstractmethod
    def write(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        """Write the elements of a box of the values' shape; what of it lies outside of the buffer is dropped."""

    def load_box(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        """The same as :meth:`read`, for lanes that load single elements side by side."""
        return self.read(core, start, extent)

    def store_box(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        """The same as :meth:`write`, for lanes that store single elements side by side."""
        self.write(core, start, values)

    def combine(self, core: Core, start: tuple[int, ...], function: Callable[[Any, Any], Any], values: Array) -> None:
        """Atomically set each element of a box to ``function(element, value)``; the function takes whole arrays.

        What of the box lies outside of the buffer is dropped.
        """
        self.write(core, start, function(self.read(core, start, values.shape), values))

    @abstractmethod
    def view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "Memory":
        """The same bytes as elements of another shape or dtype."""


@dataclass(frozen=True)
class Box:
    """A part of a buffer, as the operations on whole tiles take it.

    Attributes:
        memory: The buffer.
        start: Its first element, by dimension.
        extent: Its elements, by dimension.
    """

    memory: Memory
    start: tuple[int, ...]
    extent: tuple[int, ...]

    def read(self, core: Core) -> Array:
        """Its elements, in an array of shape ``extent`` that is the caller's own."""
        return self.memory.read(core, self.start, self.extent)

    def write(self, core: Core, values: Array) -> None:
        """Write elements of shape ``extent``, which are of the buffer's dtype."""
        self.memory.write(core, self.start, values)

    def combine(self, core: Core, function: Callable[[Any, Any], Any], values: Array) -> None:
        """Atomically set its elements to ``function(elements, values)``, which takes whole arrays."""
        self.memory.combine(core, self.start, function, values)


class OnChip(Memory):
    """A buffer that one core has for itself: shared memory, a fragment, local memory or a variable."""

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], data: Array | None = None) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.data = np.zeros(shape, dtype) if data is None else data

    def load(self, core: Core, indices: Indices, mask: Mask = None) -> Any:
        return self.data[self._inside(indices, mask)]

    def store(self, core: Core, indices: Indices, values: Any, mask: Mask = None) -> None:
        inside = self._inside(indices, mask)
        if mask is None:
            self.data[inside] = values
            return
        lanes = np.broadcast_arrays(mask, values, *inside)
        chosen = lanes[0]
        self.data[tuple(index[chosen] for index in lanes[2:])] = lanes[1][chosen]

    def update(
        self, core: Core, indices: Indices, function: Callable[[Any, Any], Any], values: Any, mask: Mask = None
    ) -> Any:
        lanes = np.broadcast_arrays(True if mask is None else mask, values, *self._inside(indices, mask))
        before = np.zeros(lanes[0].shape, self.dtype)
        for lane in np.ndindex(lanes[0].shape):
            if lanes[0][lane]:
                place = tuple(index[lane] for index in lanes[2:])
                before[lane] = self.data[place]
                self.data[place] = function(before[lane], lanes[1][lane])
        return before[()]

    def read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        elements: Array = self.data[self._slices(start, extent)].copy()
        return elements

    def write(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        self.data[self._slices(start, values.shape)] = values

    def view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "OnChip":
        return OnChip(name, shape, dtype, self.data.reshape(-1).view(dtype)[: prod(shape)].reshape(shape))

    def _slices(self, start: tuple[int, ...], extent: tuple[int, ...]) -> tuple[slice, ...]:
        for first, length, size in zip(start, extent, self.shape, strict=True):
            if first < 0 or first + length > size:
                raise refusal(
                    "TT910", f"`{self.name}`: found a box at {start} of {extent}; expected one inside of {self.shape}"
                )
        return tuple(slice(first, first + length) for first, length in zip(start, extent, strict=True))

    def _inside(self, indices: Indices, mask: Mask) -> Indices:
        """The indices, with those of masked lanes moved inside."""
        moved = []
        for index, size in zip(indices, self.shape, strict=True):
            outside = (index < 0) | (index >= size)
            if np.any(outside if mask is None else outside & mask):
                raise refusal("TT910", f"`{self.name}`: found an index outside of {self.shape}")
            moved.append(index if mask is None else np.where(outside, 0, index))
        return tuple(moved)


class Poisoned(OnChip):
    """One that knows which of its elements have been written, and tells its core of reads of the others.

    Its shadow has all bits of an element set from when that is written on, and so follows any view of the bytes.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        poison: Poison,
        data: Array | None = None,
        shadow: OnChip | None = None,
    ) -> None:
        super().__init__(name, shape, dtype, poison.fill(shape, dtype) if data is None else data)
        self.poison = poison
        self.shadow = shadow or OnChip(name, shape, bits_of(dtype))

    def load(self, core: Core, indices: Indices, mask: Mask = None) -> Any:
        written = self.shadow.load(core, indices, mask) == _all_ones(self.shadow.dtype)
        fresh = ~written if mask is None else ~written & mask
        if np.any(fresh):
            core.note_unwritten(self.name, first_lane(indices, fresh))
        return super().load(core, indices, mask)

    def store(self, core: Core, indices: Indices, values: Any, mask: Mask = None) -> None:
        super().store(core, indices, values, mask)
        self.shadow.store(core, indices, _all_ones(self.shadow.dtype), mask)

    def update(
        self, core: Core, indices: Indices, function: Callable[[Any, Any], Any], values: Any, mask: Mask = None
    ) -> Any:
        self.load(core, indices, mask)
        before = super().update(core, indices, function, values, mask)
        self.shadow.store(core, indices, _all_ones(self.shadow.dtype), mask)
        return before

    def read(self, core: Core, start: tuple[int, ...], extent: tuple[int, ...]) -> Array:
        fresh = self.shadow.read(core, start, extent) != _all_ones(self.shadow.dtype)
        if fresh.any():
            first = np.argwhere(fresh)[0]
            core.note_unwritten(self.name, tuple(int(i) for i in first + start))
        return super().read(core, start, extent)

    def write(self, core: Core, start: tuple[int, ...], values: Array) -> None:
        super().write(core, start, values)
        self.shadow.write(core, start, np.full(values.shape, _all_ones(self.shadow.dtype)))

    def view(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> "Poisoned":
        data = super().view(name, shape, dtype).data
        return Poisoned(name, shape, dtype, self.poison, data, self.shadow.view(name, shape, bits_of(dtype)))


def first_lane(indices: Indices, chosen: Any) -> tuple[int, ...]:
    """The indices of the first lane that is chosen."""
    lanes = np.broadcast_arrays(chosen, *indices)
    at = tuple(np.argwhere(lanes[0])[0])
    return tuple(int(index[at]) for index in lanes[1:])


def bits_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Integers as large as elements of a dtype."""
    return np.dtype(f"u{dtype.itemsize}")


def _all_ones(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).max
