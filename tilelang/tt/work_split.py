"""How equal work units split over cores: ttnn's functions, as plain numbers and rectangles.

Cores are rectangles ``(x0, y0, x1, y1)`` with both corners included. The rules are those of
tt_metal/common/work_split.cpp of ttnn 0.81.1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from . import _native
from .errors import TTError, refusal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CoreRange = tuple[int, int, int, int]
WorkSplit = tuple[int, tuple[CoreRange, ...], tuple[CoreRange, ...], tuple[CoreRange, ...], int, int]
Cores = Sequence[int] | Sequence[Sequence[int]]
_Result = TypeVar("_Result")


def split_work_to_cores(grid_size: Cores, units_to_divide: int, row_wise: bool = False) -> WorkSplit:
    """Split work units over cores as evenly as can be, as ``ttnn.split_work_to_cores`` does.

    The first cores take one unit more than the others where units are left over. Where there are fewer units than
    cores, as many cores take one each.

    Args:
        grid_size: The extents ``(x, y)`` of a grid of cores, or a list of rectangles ``[x0, y0, x1, y1]``, in whose
            order cores are taken.
        units_to_divide: Work units; 0 is no error.
        row_wise: Take the cores of a rectangle along its rows, and not along its columns.

    Returns:
        ``(num_cores, all_cores, core_group_1, core_group_2, units_per_core_group_1, units_per_core_group_2)``: how
        many cores have work; they, those of them that have most, and the rest as tuples of rectangles in ttnn's own
        decomposition; and the units of each core of the two groups. Where no units are left over, the second group
        is empty and its cores have 0.

    Raises:
        DeviceError: There are no cores, a rectangle is inverted, or two overlap.
        GridError: The number of units is negative.
        ArgumentError: An argument is not of integers of 64 bits.
    """
    try:
        return _native.split_work_to_cores(grid_size, units_to_divide, row_wise)
    except TTError:
        raise
    except (TypeError, OverflowError, RuntimeError):
        raise _refuse(grid_size, units_to_divide) from None


@dataclass(frozen=True)
class WorkSplits:
    """Many splits over the same cores; see :func:`split_work_to_cores_bulk`.

    Attributes:
        num_cores: Cores that have work, shape ``(n,)``.
        num_cores_group_1: Cores of the first group, shape ``(n,)``; ``num_cores_group_2`` alike.
        units_per_core_group_1: Units of each core of it, shape ``(n,)``; ``units_per_core_group_2`` alike.
        row: The row of each split in the following tables, shape ``(n,)``: many splits have the same rectangles.
        all_cores: Rectangles ``[x0, y0, x1, y1]`` of the cores that have work, shape ``(rows, k, 4)``; those of
            ``-1`` are none. ``core_group_1`` and ``core_group_2`` alike. ``all_cores[row]`` has one row for each
            split.
    """

    num_cores: "npt.NDArray[np.int64]"
    all_cores: "npt.NDArray[np.int64]"
    core_group_1: "npt.NDArray[np.int64]"
    core_group_2: "npt.NDArray[np.int64]"
    units_per_core_group_1: "npt.NDArray[np.int64]"
    units_per_core_group_2: "npt.NDArray[np.int64]"
    num_cores_group_1: "npt.NDArray[np.int64]"
    num_cores_group_2: "npt.NDArray[np.int64]"
    row: "npt.NDArray[np.int64]"

    def __len__(self) -> int:
        return len(self.num_cores)

    def __getitem__(self, i: int) -> WorkSplit:
        """What :func:`split_work_to_cores` gives for the units at ``i``."""
        row = self.row[i]
        return (
            int(self.num_cores[i]),
            _rectangles(self.all_cores[row]),
            _rectangles(self.core_group_1[row]),
            _rectangles(self.core_group_2[row]),
            int(self.units_per_core_group_1[i]),
            int(self.units_per_core_group_2[i]),
        )


def split_work_to_cores_bulk(grid_size: Cores, units_to_divide: "npt.ArrayLike", row_wise: bool = False) -> WorkSplits:
    """:func:`split_work_to_cores` for many numbers of units at once.

    Args:
        grid_size: As there.
        units_to_divide: Integers, shape ``(n,)``.
        row_wise: As there.

    Raises:
        TTError: As there.
    """
    import numpy as np

    units = np.asarray(units_to_divide)
    if units.ndim != 1 or (units.size and units.dtype.kind not in "iu"):
        raise _refuse(grid_size, units_to_divide)
    return WorkSplits(*_call(_native.split_work_to_cores_bulk, grid_size, units.astype(np.int64, copy=False), row_wise))


def num_cores_to_corerangeset(
    target_num_cores: int, grid_size: Sequence[int], row_wise: bool = False, *, start: Sequence[int] = (0, 0)
) -> tuple[CoreRange, ...]:
    """The first cores of a grid as rectangles, as ``ttnn.num_cores_to_corerangeset`` cuts them.

    Args:
        target_num_cores: How many cores; 0 gives none.
        grid_size: The extents ``(x, y)`` of the grid, in cores.
        row_wise: Take cores along rows, and not along columns.
        start: The core ``(x, y)`` to begin with.

    Raises:
        DeviceError: The grid has not so many cores from ``start`` on, or has not that one, or is empty.
        ArgumentError: An argument is not of integers of 64 bits.
    """
    return _call(_native.cover_grid, start, target_num_cores, grid_size, row_wise)


def grid_to_cores(num_cores: int, grid_size_x: int, grid_size_y: int, row_wise: bool = False) -> list[tuple[int, int]]:
    """The first cores ``(x, y)`` of a grid in the order of their numbers, as ``ttnn.grid_to_cores`` gives them.

    Args:
        num_cores: How many. More than there are is refused, where ttnn runs out of the grid.
        grid_size_x: Columns of the grid; ``grid_size_y`` are its rows.
        row_wise: Take cores along rows, and not along columns.

    Raises:
        DeviceError: The grid has not so many cores, or is empty.
        ArgumentError: An argument is not an integer of 64 bits.
    """
    return _call(_native.list_cores, (grid_size_x, grid_size_y), num_cores, row_wise)


def corerange_to_cores(
    core_range_set: Sequence[Sequence[int]], max_cores: int | None = None, row_wise: bool = False
) -> list[tuple[int, int]]:
    """The cores ``(x, y)`` of rectangles in the order of their numbers, as ``ttnn.corerange_to_cores`` gives them.

    Args:
        core_range_set: Rectangles ``[x0, y0, x1, y1]``, taken in this order.
        max_cores: At most this many; default all.
        row_wise: Take the cores of a rectangle along its rows, and not along its columns.

    Raises:
        DeviceError: There are no rectangles, one is inverted, or two overlap.
        ArgumentError: An argument is not of integers of 64 bits.
    """
    cores: list[tuple[int, int]] = _call(_native.list_cores, core_range_set, None, row_wise)
    return cores[:max_cores]


def _call(function: Callable[..., _Result], *arguments: Any) -> _Result:
    try:
        return function(*arguments)
    except TTError:
        raise
    except (TypeError, OverflowError, RuntimeError):
        raise _refuse(*arguments[:2]) from None


def _refuse(*arguments: Any) -> TTError:
    found = " and ".join(repr(argument) for argument in arguments)
    return refusal(
        "TT114",
        f"found {found}; expected cores as (x, y) or as rectangles [x0, y0, x1, y1], and integers of 64 bits",
    )


def _rectangles(table: "npt.NDArray[np.int64]") -> tuple[CoreRange, ...]:
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in table.tolist() if x0 >= 0)
