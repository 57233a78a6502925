"""Memory as a kernel sees it while it is executed."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import refusal

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = tuple[Any, ...]
"""One index for each dimension: integers, or integer arrays that broadcast against each other, an element a lane."""
Mask: TypeAlias = "npt.NDArray[np.bool_] | None"
"""Which lanes are executed; None: all of them. It broadcasts against the indices."""


@dataclass
class Core:
    """A core while it runs.

    Attributes:
        number: Its linear number.
        launch: Which launch of the kernel it runs.
        turn: Which of its work tiles, counted from 0; -1 outside of the loop over them.
    """

    number: int
    launch: int = 0
    turn: int = -1


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
