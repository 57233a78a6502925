"""Which cell of a launch grid is which work tile."""

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

from . import _native
from .errors import refusal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def tile_coordinates(
    grid: Sequence[int],
    tile_ids: "npt.ArrayLike | None" = None,
    *,
    schedule_order: str = "row_major",
    swizzle_panel: int | None = None,
) -> "npt.NDArray[np.int64]":
    """The cells of a launch grid that work tiles are.

    Args:
        grid: The extents ``(x, y, z)``, in work tiles.
        tile_ids: Numbers of work tiles, shape ``(n,)``; default all of them in order.
        schedule_order: As the attribute ``tt_schedule_order``: ``"row_major"``, ``"column_major"``,
            ``"swizzled_row"`` or ``"swizzled_column"``.
        swizzle_panel: As the attribute ``tt_swizzle_panel``: rows or columns of a panel of the
            swizzled orders.

    Returns:
        ``(blockIdx.x, blockIdx.y, blockIdx.z)`` of each, shape ``(n, 3)``.

    Raises:
        ArgumentError: The grid has not three extents, or the numbers are not a vector of integers.
        GridError: An extent is below 1, or a number is not in the grid.
        OptionError: There is no such order, or it needs a panel that is not given, or the reverse.
    """
    import numpy as np

    extents = _extents(grid)
    ids = np.arange(np.prod(extents, dtype=np.int64)) if tile_ids is None else _integers(tile_ids, "(n,)", 1)
    return _native.tile_coordinates(extents, ids, schedule_order, swizzle_panel)


def tile_ids(
    grid: Sequence[int],
    coordinates: "npt.ArrayLike",
    *,
    schedule_order: str = "row_major",
    swizzle_panel: int | None = None,
) -> "npt.NDArray[np.int64]":
    """The numbers of the work tiles that cells of a launch grid are: the inverse of :func:`tile_coordinates`.

    Args:
        grid: The extents ``(x, y, z)``, in work tiles.
        coordinates: ``(blockIdx.x, blockIdx.y, blockIdx.z)`` of cells, shape ``(n, 3)``.
        schedule_order: As for :func:`tile_coordinates`.
        swizzle_panel: As for :func:`tile_coordinates`.

    Returns:
        A number for each cell, shape ``(n,)``.

    Raises:
        ArgumentError: The grid has not three extents, or the cells are not rows of three integers.
        GridError: An extent is below 1, or a cell is not in the grid.
        OptionError: There is no such order, or it needs a panel that is not given, or the reverse.
    """
    return _native.tile_ids(_extents(grid), _integers(coordinates, "(n, 3)", 2), schedule_order, swizzle_panel)


def _extents(grid: Sequence[int]) -> list[int]:
    extents = [index(extent) for extent in grid]
    if len(extents) != 3:
        raise refusal("TT112", f"found a grid of {len(extents)} extents; expected (x, y, z)")
    return extents


def _integers(values: Any, shape: str, rank: int) -> "npt.NDArray[np.int64]":
    import numpy as np

    array = np.asarray(values)
    if array.size == 0:
        return np.zeros((0, 3)[:rank], dtype=np.int64)
    if array.dtype.kind not in "iu" or array.ndim != rank or array.shape[1:] not in ((), (3,)):
        raise refusal(
            "TT113", f"found an array of {array.dtype} of shape {array.shape}; expected integers of shape {shape}"
        )
    return array.astype(np.int64)
