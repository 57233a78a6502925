"""The decisions of tilelang.tt as functions on numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_CoreRange = tuple[int, int, int, int]
_Array = npt.NDArray[np.int64]

def split_work_to_cores(
    cores: Sequence[int] | Sequence[Sequence[int]], units: int, row_wise: bool
) -> tuple[int, tuple[_CoreRange, ...], tuple[_CoreRange, ...], tuple[_CoreRange, ...], int, int]: ...
def split_work_to_cores_bulk(
    cores: Sequence[int] | Sequence[Sequence[int]], units: _Array, row_wise: bool
) -> tuple[_Array, _Array, _Array, _Array, _Array, _Array, _Array, _Array, _Array]:
    """The fields of ``work_split.WorkSplits``."""

def cover_grid(start: Sequence[int], count: int, grid: Sequence[int], row_wise: bool) -> tuple[_CoreRange, ...]:
    """Rectangles of the cores of a grid from ``start`` on."""

def list_cores(
    cores: Sequence[int] | Sequence[Sequence[int]], count: int | None, row_wise: bool
) -> list[tuple[int, int]]:
    """The first cores in the order of their numbers."""

def schedule(
    grid: Sequence[str],
    cores: Sequence[Sequence[int]],
    core_order: str,
    policy: str,
    block_size: int | None,
    order: str,
    panel: int | None,
) -> dict[str, Any]:
    """The shares of all cores by linear id; of a symbolic grid the share of any core, as formulas."""

def tile_coordinates(
    grid: Sequence[int], tile_ids: npt.NDArray[np.int64], order: str, panel: int | None
) -> npt.NDArray[np.int64]:
    """The cells of work tiles, shape ``(n, 3)``."""

def tile_ids(
    grid: Sequence[int], coordinates: npt.NDArray[np.int64], order: str, panel: int | None
) -> npt.NDArray[np.int64]:
    """The work tiles of cells, shape ``(n,)``."""

def lay_out(shape: Sequence[int | str], dtype: str, device: str, options: dict[str, Any]) -> dict[str, Any]:
    """Padding, pages and banks of one tensor; sizes in bytes, texts where an extent is one.

    The options are those of the attribute ``tt_buffer_layouts``.
    """

def locate(shape: Sequence[int], dtype: str, device: str, options: dict[str, Any], page: int) -> tuple[int, int]:
    """The bank of a page and its offset in bytes from where the tensor begins there."""

_Bytes = npt.NDArray[np.uint8]

def tilize(buffer: dict[str, Any], array: _Bytes, padding: _Bytes) -> _Bytes:
    """The bytes of an array in banks, shape ``(num_banks, bytes_per_bank)``; the padding is one element."""

def untilize(buffer: dict[str, Any], banks: _Bytes) -> _Bytes:
    """The bytes of the array, in one dimension."""

_OnChipBuffer = tuple[str, Sequence[int | str], int, int, int | None]

def circular_buffers(buffers: Sequence[_OnChipBuffer], tile: Sequence[int], device: str) -> dict[str, Any]:
    """``(tiles, page size, bytes)`` of each buffer's circular buffer, and the bytes of L1 of all of them.

    A buffer is ``(name, shape, bits of an element, stages, loop)``; the loop is the pipelined one that fills it.
    """

def check_capacity(
    buffers: Sequence[_OnChipBuffer], tensor_bytes: int | str, tile: Sequence[int], device: str
) -> list[tuple[str, str]]:
    """``(code, message)`` of whatever a core has too little of, beside tensors that take so many bytes of its L1."""

def largest_subblock(num_tiles_height: int, num_tiles_width: int, dst_tiles: int) -> tuple[int, int]:
    """The largest part of an accumulator that DST holds, ``(height, width)`` in tiles."""

def devices() -> list[dict[str, Any]]:
    """The fields of every known device."""

def find_device(name: str) -> dict[str, Any]:
    """The fields of the device of that name."""

default_device: str

def complete_device(fields: dict[str, Any]) -> dict[str, Any]:
    """All fields of a valid device: None where nothing is known, the worker grid by rule where it is not given."""

def tile_shapes() -> tuple[tuple[int, int], ...]:
    """``(height, width)`` of every tile that the hardware has."""

def data_formats(arch: str) -> tuple[str, ...]:
    """Names of the formats that chips of an architecture store."""

def max_dst_tiles(fields: dict[str, Any], fp32_accumulation: bool, full_sync: bool) -> int:
    """Tiles of 32x32 elements that DST holds for a kernel."""

def simplify(expression: str, sizes: dict[str, int]) -> str: ...
def evaluate(expression: str, sizes: dict[str, int]) -> int: ...
def error_table() -> list[tuple[str, str, str]]:
    """(code, class, title) of every refusal and warning of C++."""
