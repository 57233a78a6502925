"""A grid as a picture of few cells: each cell is a block of the grid, and has the owner that most of it has.

The grid is one of work tiles, which cores own, or one of pages, which banks own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..model import Buffer, IntArray, TileRun

MIXED = -1
"""Owner of a cell of which nobody has half."""

_MAX_CELLS = 4096
_MAX_SIDE = 128
# A million work tiles are counted one by one; of larger grids each cell is judged by so many.
_MAX_SAMPLES = 256


@dataclass(frozen=True)
class Raster:
    """A grid in cells; cell ``(i, j, k)`` is number ``(k * cells[1] + j) * cells[0] + i``.

    Attributes:
        grid: Extents on x, y and z.
        block: Extents of a cell, in parts of the grid.
        cells: Extents in cells.
        owners: Of each cell, or ``MIXED``; shape ``(num_cells,)``.
        shares: Parts of each cell that its owner has, of those looked at; shape ``(num_cells,)``.
        looked_at: Parts of each cell that were looked at; shape ``(num_cells,)``.
    """

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cells: tuple[int, int, int]
    owners: "IntArray"
    shares: "IntArray"
    looked_at: "IntArray"

    @property
    def is_merged(self) -> bool:
        """Whether a cell is more than one part of the grid."""
        return self.block != (1, 1, 1)

    @property
    def is_all_mixed(self) -> bool:
        """Whether there is no cell of which somebody has half."""
        return bool((self.owners == MIXED).all())

    @property
    def is_sampled(self) -> bool:
        """Whether cells have more parts than were looked at."""
        return _product(self.block) > _MAX_SAMPLES

    def corners(self) -> "IntArray":
        """The first part of each cell, ``(x, y, z)``; shape ``(num_cells, 3)``."""
        import numpy as np

        corners: IntArray = _coordinates(np.arange(_product(self.cells)), self.cells) * np.array(self.block)
        return corners


def merge(
    grid: tuple[int, int, int], owner_of: "Callable[[IntArray], IntArray]", max_side: int | None = None
) -> Raster:
    """The raster of a grid.

    Args:
        grid: Extents on x, y and z.
        owner_of: The owners of parts of the grid, shape ``(n,)``, by their coordinates, shape ``(n, 3)``; below 0 for
            a part without one.
        max_side: The most cells on x and on y; default 128, and more for a grid of one axis, which is drawn in lines.
    """
    import numpy as np

    block = _block(grid, max_side)
    cells = (_ceildiv(grid[0], block[0]), _ceildiv(grid[1], block[1]), _ceildiv(grid[2], block[2]))
    corners = _coordinates(np.arange(_product(cells)), cells) * np.array(block)
    size = _product(block)
    within = np.arange(size) if size <= _MAX_SAMPLES else np.arange(_MAX_SAMPLES) * size // _MAX_SAMPLES + _jitter(size)
    parts = corners[:, None, :] + _coordinates(within, block)[None, :, :]
    inside = (parts < np.array(grid)).all(axis=2)
    owners = np.full(inside.shape, MIXED, dtype=np.int64)
    owners[inside] = owner_of(parts[inside])
    most, shares = _majority(owners)
    looked_at = inside.sum(axis=1)
    return Raster(grid, block, cells, np.where(2 * shares >= looked_at, most, MIXED), shares, looked_at)


def cores_of(tile_ids: "IntArray", runs: "Iterable[TileRun]") -> "IntArray":
    """The core that has each work tile, or ``MIXED`` where none has; shape ``(n,)``."""
    import numpy as np

    cores = np.full(tile_ids.shape, MIXED, dtype=np.int64)
    for run in runs:
        after = tile_ids - run.start
        if run.repeat == 1:
            cores[(after >= 0) & (after < run.length)] = run.core
            continue
        repetition = after // run.stride
        is_here = (after - repetition * run.stride < run.length) & (repetition >= 0) & (repetition < run.repeat)
        cores[is_here] = run.core
    return cores


def banks_of(pages: "IntArray", buffer: "Buffer") -> "IntArray":
    """The bank that each page of a tensor lies in; shape ``(n,)``."""
    shard = buffer.shard
    if shard is None:
        return pages % buffer.num_banks
    number, step = pages * 0, 1
    dimensions = zip(shard.tensor_pages, shard.shard_pages, shard.shard_grid, strict=True)
    for tensor_pages, shard_pages, shards in reversed(list(dimensions)):
        number = number + pages % tensor_pages // shard_pages * step
        pages, step = pages // tensor_pages, step * shards
    if shard.distribution == "contiguous_1d":
        return number // shard.shards_per_core
    return number % len(shard.cores)


def progressions(values: "Iterable[int]") -> str:
    """Integers as ``start,step,count`` of each progression that they are made of, separated by blanks."""
    found: list[list[int]] = []
    for value in values:
        if found and found[-1][2] == 1:
            found[-1][1:] = [value - found[-1][0], 2]
        elif found and value == found[-1][0] + found[-1][1] * found[-1][2]:
            found[-1][2] += 1
        else:
            found.append([value, 0, 1])
    return " ".join(f"{start},{step},{count}" for start, step, count in found)


def _block(grid: tuple[int, int, int], max_side: int | None) -> tuple[int, int, int]:
    """The extents of a cell: axes are halved, the longest first, until there are few enough cells."""
    if max_side is None:
        max_side = _MAX_CELLS if sum(extent > 1 for extent in grid) == 1 else _MAX_SIDE
    limits = (max_side, max_side, _MAX_CELLS)
    block = [1, 1, 1]
    while True:
        cells = [_ceildiv(extent, size) for extent, size in zip(grid, block, strict=True)]
        excess = [count / limit for count, limit in zip(cells, limits, strict=True)]
        if max(excess) <= 1 and _product(cells) <= _MAX_CELLS:
            return block[0], block[1], block[2]
        axis = excess.index(max(excess)) if max(excess) > 1 else cells.index(max(cells))
        block[axis] *= 2


def _majority(owners: "IntArray") -> "tuple[IntArray, IntArray]":
    """The owner that stands most often in each row, the first of several, and how often it does; shapes ``(n,)``."""
    import numpy as np

    ordered = np.sort(owners, axis=1)
    rows, columns = ordered.shape
    starts = np.ones(ordered.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at = np.flatnonzero(starts.ravel())
    lengths = np.diff(np.append(at, rows * columns))
    values = ordered.ravel()[at]
    lengths = np.where(values >= 0, lengths, 0)
    # Of each row the longest run: rows one after the other, and in a row the longest run first.
    by_length = np.lexsort((values, -lengths, at // columns))
    first = by_length[np.searchsorted((at // columns)[by_length], np.arange(rows))]
    return values[first], lengths[first]


def _jitter(size: int) -> "IntArray":
    """Offsets that keep samples from falling in step with a strided schedule; always the same ones."""
    import numpy as np

    step = size // _MAX_SAMPLES
    return np.arange(_MAX_SAMPLES) * 40503 % 65521 % step


def _coordinates(numbers: "IntArray", extents: tuple[int, int, int]) -> "IntArray":
    """``(x, y, z)`` of each number, where x is counted first; shape ``(n, 3)``."""
    import numpy as np

    x, y, _ = extents
    return np.stack([numbers % x, numbers // x % y, numbers // (x * y)], axis=-1)


def _ceildiv(a: int, b: int) -> int:
    return -(-a // b)


def _product(extents: Iterable[int]) -> int:
    product = 1
    for extent in extents:
        product *= extent
    return product
