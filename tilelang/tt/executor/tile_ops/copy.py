"""The operations that move a tile: copies, fills, transposes and the windows of a convolution."""

from typing import Any, NamedTuple

import numpy as np

from ...errors import refusal
from ..memory import Array, Box, Core, Memory


class Window(NamedTuple):
    """The windows of a two-dimensional convolution, the same along both axes of an image."""

    kernel: int
    stride: int
    dilation: int
    pad: int

    def count(self, size: int) -> int:
        """How many windows lie along an axis of this size."""
        return (size + 2 * self.pad - (self.kernel - 1) * self.dilation - 1) // self.stride + 1


def copy(core: Core, source: Box, target: Box) -> None:
    """Copy a box into another one, whose axes may stand between others of a single element."""
    target.write(core, as_dtype(source.read(core), target.memory.dtype).reshape(target.extent))


def fill(core: Core, target: Box, value: Any) -> None:
    """Set all elements of a box to one value."""
    target.write(core, np.full(target.extent, as_dtype(value, target.memory.dtype)))


def transpose(core: Core, source: Box, target: Box) -> None:
    """Copy a box and swap its last two axes."""
    swapped = source.read(core).swapaxes(-1, -2)
    if swapped.shape != target.extent:
        raise refusal(
            "TT932", f"found a transpose of {source.extent} into {target.extent}; expected {swapped.shape} there"
        )
    target.write(core, as_dtype(swapped, target.memory.dtype))


def im2col(core: Core, image: Memory, columns: Box, row_block: int, column_block: int, window: Window) -> None:
    """Lay windows of an image out as rows of a matrix, and write one block of it.

    Row ``m`` of the matrix is the window ``m`` of the images, row by row, image after image; column ``k``
    is an element of it, channels first, then columns, then rows.

    Args:
        core: Who does it.
        image: Images, by number, row, column and channel.
        columns: Where the block goes; its last two axes are rows and columns of the matrix.
        row_block: Which block of rows.
        column_block: Which block of columns.
        window: The windows; outside of an image they see zeros.
    """
    _, height, width, channels = image.shape
    rows, lanes = columns.extent[-2:]
    m = (row_block * rows + np.arange(rows))[:, None]
    k = (column_block * lanes + np.arange(lanes))[None, :]
    across = window.count(width)
    number, place = np.divmod(m, window.count(height) * across)
    y = place // across * window.stride + k // (window.kernel * channels) * window.dilation - window.pad
    x = place % across * window.stride + k // channels % window.kernel * window.dilation - window.pad
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    elements = image.load(core, (number, y, x, k % channels), inside)
    block = np.where(inside, elements, np.zeros((), image.dtype))
    columns.write(core, as_dtype(block, columns.memory.dtype).reshape(columns.extent))


def as_dtype(values: Any, dtype: np.dtype[Any]) -> Array:
    """Values as T.Cast makes them."""
    return np.asarray(values).astype(dtype, copy=False)
