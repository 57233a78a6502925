"""What each core moves: the transfers of a plan counted over its work tiles, loops and pages, exactly.

A transfer moves the pages that its box touches, each of them whole, every time that it happens: that are the bytes
moved. The distinct bytes are those of the pages that are touched at all.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import add, floordiv, mod, mul, sub
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import _native
from ..errors import refusal
from .model import Buffer, Kernel, Launch, TrafficLoop, Transfer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    IntArray: TypeAlias = npt.NDArray[np.int64]

# Work that one transfer may take: combinations of work tiles and loops that its pages depend on, and pages.
_MOST = 50_000_000
_OPERATORS = {ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.FloorDiv: floordiv, ast.Mod: mod}
_AXES = ("bx", "by", "bz")


class Unknown(Exception):  # noqa: N818  # never leaves the package: it becomes a reason
    """Why something cannot be counted."""


@dataclass(frozen=True)
class BufferTraffic:
    """What one launch moves of one tensor, in bytes of whole pages. Where there is a reason, the numbers are None.

    Attributes:
        name: Of the tensor.
        param_index: Its position among all parameters.
        memory: ``dram`` or ``l1``.
        read_bytes_per_core: By the core's linear number, shape ``(num_cores,)``.
        written_bytes_per_core: Likewise.
        read_bytes_per_bank: By bank, shape ``(num_banks,)``.
        written_bytes_per_bank: Likewise.
        distinct_read_bytes: Of the pages that any core reads.
        distinct_written_bytes: Of the pages that any core writes.
        multicast_saved_bytes: How many of the bytes read would not be if cores of one row, or of one column, that read
            the same boxes in the same turn read them once; whichever saves more with each transfer.
        reason: Why nothing of this is known; None where it is.
    """

    name: str
    param_index: int
    memory: str
    read_bytes_per_core: "IntArray | None" = None
    written_bytes_per_core: "IntArray | None" = None
    read_bytes_per_bank: "IntArray | None" = None
    written_bytes_per_bank: "IntArray | None" = None
    distinct_read_bytes: int | None = None
    distinct_written_bytes: int | None = None
    multicast_saved_bytes: int | None = None
    reason: str | None = None


def buffer_traffic(kernel: Kernel, launch: Launch, cores: "Cores") -> tuple[BufferTraffic, ...]:
    """What one launch of a kernel moves of each of its tensors, in parameter order."""
    return tuple(_traffic_of(buffer, launch, cores) for buffer in kernel.buffers)


def require_numbers(kernel: Kernel) -> None:
    """Refuses a kernel whose sizes are texts."""
    if kernel.shape_variables:
        names = ", ".join(kernel.shape_variables)
        raise refusal(
            "TT850",
            f"kernel {kernel.name} depends on {names}; expected numbers\nhelp: make the plan of "
            f"specialize(mod, {kernel.shape_variables[0]}=...), or with --set {kernel.shape_variables[0]}=...",
        )


class Cores:
    """The cores of a launch and their work tiles, core after core in the order in which each runs them.

    Attributes:
        count: How many cores there are.
        position: ``(x, y)`` of each core, shape ``(count, 2)``.
        core: Of each work tile, shape ``(num_tiles,)``; ``step`` is its turn on that core.
        cells: ``(bx, by, bz)`` of each work tile, shape ``(num_tiles, 3)``.
    """

    def __init__(self, kernel: Kernel, launch: Launch) -> None:
        import numpy as np

        inputs = kernel.inputs
        self.grid = tuple(int(extent) for extent in launch.grid)
        self.position = kernel.core_coordinates
        self.count = len(self.position)
        runs = sorted(launch.tile_runs, key=lambda run: run.core)
        tiles = [
            (run.start + run.stride * np.arange(run.repeat)[:, None] + np.arange(run.length)).ravel() for run in runs
        ]
        ids = np.concatenate([np.zeros(0, np.int64), *tiles])
        lengths = np.array([len(some) for some in tiles], np.int64)
        self.core = np.repeat(np.array([run.core for run in runs], np.int64), lengths)
        self.first = np.searchsorted(self.core, np.arange(self.count + 1))
        self.step = np.arange(len(ids)) - self.first[self.core]
        self.cells = _native.tile_coordinates(self.grid, ids, inputs.schedule_order, inputs.swizzle_panel)

    def total(self, values: "IntArray") -> "IntArray":
        """Values of work tiles, added up by core."""
        import numpy as np

        sums: IntArray = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
        totals: IntArray = sums[self.first[1:]] - sums[self.first[:-1]]
        return totals

    def look_up(self, table: "IntArray") -> "IntArray":
        """The entry of each work tile in a table over the grid, whose axes may have length 1."""
        found: IntArray = table[tuple(self.cells[:, i] if table.shape[i] > 1 else 0 for i in range(3))]
        return found + 0 * self.core


class Space:
    """The values of all variables of a transfer: the grid's coordinates first, then its loops.

    An array over it has one axis for each variable, of length 1 where it does not depend on that.
    """

    def __init__(self, grid: Sequence[int], loops: Sequence[TrafficLoop]) -> None:
        import numpy as np

        self.rank = 3 + len(loops)
        self.sizes = list(grid)
        self.names: dict[str, IntArray] = {}
        self.masks: list[IntArray] = []
        for axis, (name, extent) in enumerate(zip(_AXES, grid, strict=True)):
            self.names[name] = self._along(axis, extent)
        for axis, loop in enumerate(loops, 3):
            trips = np.maximum(self.evaluate(loop.trips), 0)
            most = int(trips.max())
            self.sizes.append(max(most, 1))
            if most > _MOST or prod(self.sizes) > 2**62:
                raise Unknown("more executions than can be counted")
            counter = self._along(axis, max(most, 1))
            self.names[loop.name] = counter
            if trips.size > 1 or most == 0:
                self.masks.append((counter < trips).astype(np.int64))

    def _along(self, axis: int, extent: int) -> "IntArray":
        import numpy as np

        return np.arange(extent, dtype=np.int64).reshape([-1 if i == axis else 1 for i in range(self.rank)])

    def evaluate(self, size: int | str) -> "IntArray":
        """A size over the variables."""
        import numpy as np

        value = size if isinstance(size, int) else self._value(ast.parse(size, mode="eval").body)
        array: IntArray = np.asarray(value, np.int64)
        return array if array.ndim else array.reshape([1] * self.rank)

    def _value(self, node: ast.expr) -> Any:
        import numpy as np

        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                a, b = self._value(left), self._value(right)
                self._check(a, b)
                return _OPERATORS[type(op)](a, b)
            case ast.Call(func=ast.Name(id="min" | "max" as name), args=[left, right]):
                a, b = self._value(left), self._value(right)
                self._check(a, b)
                return np.minimum(a, b) if name == "min" else np.maximum(a, b)
        raise Unknown(f"a size with {ast.unparse(node)}")

    @staticmethod
    def _check(a: Any, b: Any) -> None:
        import numpy as np

        if prod(np.broadcast_shapes(np.shape(a), np.shape(b))) > _MOST:
            raise Unknown("indices that depend on too much at once")

    def axes_of(self, array: "IntArray") -> set[int]:
        return {axis for axis, length in enumerate(array.shape) if length > 1}

    def sum_over_loops(self, factors: Sequence["IntArray"]) -> "IntArray":
        """The product of the factors, added up over all loops.

        Its shape is that of the grid, with length 1 along each axis on which nothing depends.
        """
        import numpy as np

        factors = [*factors, *self.masks]
        used = set().union(*(self.axes_of(factor) for factor in factors), ())
        free = prod(self.sizes[axis] for axis in range(3, self.rank) if axis not in used)
        operands: list[Any] = []
        for factor in factors:
            axes = sorted(self.axes_of(factor))
            operands += [factor.reshape([factor.shape[axis] for axis in axes]), axes]
        kept = sorted(axis for axis in used if axis < 3)
        table = np.einsum(*operands, kept, optimize="greedy") * free if operands else np.int64(free)
        return np.asarray(table, np.int64).reshape([self.sizes[axis] if axis in kept else 1 for axis in range(3)])


@dataclass(frozen=True)
class Pages:
    """The pages that a transfer touches, whenever it happens.

    Attributes:
        space: Over which they are.
        first: By dimension of pages: the first one.
        end: By dimension of pages: the one after the last; not before the first.
        shape: Pages along each dimension.
    """

    space: Space
    first: tuple["IntArray", ...]
    end: tuple["IntArray", ...]
    shape: tuple[int, ...]

    @property
    def counts(self) -> list["IntArray"]:
        """How many they are along each dimension."""
        return [end - first for first, end in zip(self.first, self.end, strict=True)]

    def times_touched(self) -> "IntArray":
        """How often each page is moved, by all work tiles; the shape is that of the pages.

        Dimensions and conditions that depend on no common variable are counted apart.
        """
        import numpy as np

        if prod(self.shape) > _MOST:
            raise Unknown(f"{prod(self.shape):,} pages")
        ranges = list(zip(self.first, self.end, strict=True))
        axes = [self.space.axes_of(first) | self.space.axes_of(end) for first, end in ranges]
        masks = [(mask, self.space.axes_of(mask)) for mask in self.space.masks]
        out: IntArray = np.ones([1] * len(self.shape), np.int64)
        used: set[int] = set()
        for group in _connected([*axes, *(mask_axes for _, mask_axes in masks)]):
            dims = [i for i in group if i < len(ranges)]
            own = [masks[i - len(ranges)][0] for i in group if i >= len(ranges)]
            used |= set().union(*(axes[i] for i in dims), *(self.space.axes_of(mask) for mask in own))
            out = out * self._times(dims, own)
        return out * prod(size for axis, size in enumerate(self.space.sizes) if axis not in used)

    def _times(self, dims: list[int], masks: list["IntArray"]) -> "IntArray":
        """The same of some dimensions: the corners of all boxes, summed up along each of them."""
        import numpy as np

        arrays = [array for i in dims for array in (self.first[i], self.end[i])] + masks
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        if prod(shape) > _MOST:
            raise Unknown("boxes that depend on too much at once")
        chosen = reduce(mul, masks, np.ones([1] * self.space.rank, np.int64))
        for i in dims:
            chosen = chosen * (self.first[i] < self.end[i])
        flat = [np.broadcast_to(array, shape)[np.broadcast_to(chosen > 0, shape)] for array in arrays[: 2 * len(dims)]]
        lengths = [self.shape[i] + 1 for i in dims]
        number = int(np.count_nonzero(np.broadcast_to(chosen > 0, shape)))
        out: IntArray = np.zeros(prod(lengths), np.int64)
        for corner in range(2 ** len(dims)):
            bits = [corner >> i & 1 for i in range(len(dims))]
            place = np.zeros(number, np.int64)
            for i, bit in enumerate(bits):
                place = place * lengths[i] + flat[2 * i + bit]
            out += (-1) ** sum(bits) * np.bincount(place, minlength=len(out))
        out = out.reshape(lengths)
        for i in range(len(dims)):
            out = np.cumsum(out, axis=i)
        out = out[tuple(slice(0, length - 1) for length in lengths)]
        return out.reshape([self.shape[i] if i in dims else 1 for i in range(len(self.shape))])


def _connected(sets: list[set[int]]) -> Iterator[list[int]]:
    """The positions of sets that have elements in common, directly or through others; of empty sets each alone."""
    left = list(range(len(sets)))
    while left:
        group, reached = [left[0]], set(sets[left.pop(0)])
        while near := [i for i in left if sets[i] & reached]:
            group += near
            reached = reached.union(*(sets[i] for i in near))
            left = [i for i in left if i not in near]
        yield sorted(group)


def page_extents(buffer: Buffer) -> tuple[list[int], list[int]]:
    """Of each dimension, how many elements there are and how many of them one page has."""
    shape = [int(extent) for extent in buffer.shape]
    sizes = [1] * len(shape)
    if buffer.tile_shape is not None:
        sizes[-2:] = buffer.tile_shape[2 - len(sizes[-2:]) :]
    elif shape:
        pages_of_a_row = int(buffer.num_pages) // max(prod(shape[:-1]), 1)
        is_cut = buffer.shard is not None and pages_of_a_row > 1
        sizes[-1] = buffer.shard.shape[-1] if buffer.shard is not None and is_cut else shape[-1]
    return shape, sizes


def page_counts(buffer: Buffer) -> tuple[int, ...]:
    """Pages along each dimension."""
    extents, sizes = page_extents(buffer)
    return tuple(-(-extent // size) for extent, size in zip(extents, sizes, strict=True))


def pages_of(transfer: Transfer, buffer: Buffer, grid: Sequence[int]) -> Pages:
    """Which pages a transfer touches, for every work tile and loop.

    Raises:
        Unknown: The transfer has a reason, or depends on too much at once.
    """
    import numpy as np

    if transfer.reason is not None:
        raise Unknown(transfer.reason)
    space = Space(grid, transfer.loops)
    extents, sizes = page_extents(buffer)
    first, end = [], []
    for start, count, extent, size in zip(transfer.start, transfer.extent, extents, sizes, strict=True):
        low = space.evaluate(start)
        high = np.clip(low + np.maximum(space.evaluate(count), 0), 0, extent)
        low = np.clip(low, 0, extent)
        first.append(np.where(high > low, low // size, 0))
        end.append(np.where(high > low, -(-high // size), 0))
    return Pages(space, tuple(first), tuple(end), page_counts(buffer))


def page_banks(buffer: Buffer) -> "IntArray":
    """The bank of each page of a tensor, shape ``(num_pages,)``."""
    import numpy as np

    pages = np.arange(int(buffer.num_pages), dtype=np.int64)
    shard = buffer.shard
    if shard is None:
        return pages % buffer.num_banks
    number, step = np.zeros_like(pages), 1
    for tensor, own, grid in reversed(list(zip(shard.tensor_pages, shard.shard_pages, shard.shard_grid, strict=True))):
        pages, at = np.divmod(pages, tensor)
        number += at // own * step
        step *= grid
    return number // shard.shards_per_core if shard.distribution == "contiguous_1d" else number % len(shard.cores)


def _traffic_of(buffer: Buffer, launch: Launch, cores: Cores) -> BufferTraffic:
    import numpy as np

    own = [transfer for transfer in launch.traffic.transfers if transfer.param_index == buffer.param_index]
    named = (buffer.name, buffer.param_index, buffer.memory)
    page = int(buffer.aligned_page_size_bytes)
    try:
        moved = [(transfer, pages_of(transfer, buffer, cores.grid)) for transfer in own]
        banks, saved = page_banks(buffer), 0
        sums = []
        for access in ("read", "write"):
            per_core: IntArray = np.zeros(cores.count, np.int64)
            touched: IntArray = np.zeros(page_counts(buffer), np.int64)
            for transfer, pages in moved:
                if transfer.access not in (access, "read_write"):
                    continue
                tiles = cores.look_up(pages.space.sum_over_loops(pages.counts))
                per_core += cores.total(tiles)
                touched = touched + pages.times_touched()
                if access == "read":
                    saved += _multicast_saves(pages, tiles, cores)
            flat = touched.ravel()
            per_bank = np.zeros(buffer.num_banks, np.int64)
            np.add.at(per_bank, banks[flat > 0], flat[flat > 0])
            sums.append((per_core * page, per_bank * page, int(np.count_nonzero(flat)) * page))
    except Unknown as unknown:
        return BufferTraffic(*named, reason=str(unknown))
    (read, read_banks, distinct_read), (written, written_banks, distinct_written) = sums
    return BufferTraffic(
        *named, read, written, read_banks, written_banks, distinct_read, distinct_written, saved * page
    )


def _multicast_saves(pages: Pages, tiles: "IntArray", cores: Cores) -> int:
    """Pages that need not be read if the cores of a line that read the same boxes in the same turn read them once.

    The lines are the rows of cores, or the columns, whichever saves more. A turn is the work tile that each core runs
    at a time. Cores that read the same boxes may do so for more or fewer trips: the one with most reads for all.
    """
    import numpy as np

    boxes = _same_boxes(pages, cores)
    best = 0
    for across in (0, 1):
        line = cores.position[cores.core, across]
        key = np.stack([line, cores.step, boxes])
        order = np.lexsort(key)
        ordered, values = key[:, order], tiles[order]
        if not len(values):
            continue
        begins = np.flatnonzero(np.concatenate([[True], (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)]))
        best = max(best, int(values.sum() - np.maximum.reduceat(values, begins).sum()))
    return best


def _same_boxes(pages: Pages, cores: Cores) -> "IntArray":
    """A number for each work tile; two that have the same boxes in all trips of the loops have the same number."""
    import numpy as np

    out = np.zeros(len(cores.core), np.int64)
    for first, end in zip(pages.first, pages.end, strict=True):
        box = np.stack(np.broadcast_arrays(first, end))
        if not pages.space.axes_of(box[0]) & {0, 1, 2}:
            continue
        grid = box.shape[1:4]
        rows = np.moveaxis(box, 0, -1).reshape(prod(grid), -1)
        kinds, number = np.unique(rows, axis=0, return_inverse=True)
        out = out * len(kinds) + cores.look_up(number.reshape(grid))
    return out


def sum_or_none(values: Iterable[Any]) -> Any:
    """The sum of all values; None where one of them is not known."""
    listed = list(values)
    return None if any(value is None for value in listed) else sum(listed)
