"""Matrix products of tiles."""

from math import log2
from typing import Any

import numpy as np

from ..memory import Array, Box, Core
from .copy import as_dtype


def gemm(core: Core, a: Box, b: Box, c: Box, transposed: tuple[bool, bool], clear: bool) -> None:
    """``C = A @ B``, added to what C holds unless it is cleared.

    Integers wrap around in the dtype of C. Of floats, the product and the sum with C are computed in
    float32, in float64 where C is float64, and rounded once to the dtype of C.

    Args:
        core: Who does it.
        a: An ``M x K`` matrix, in the last two axes; ``K x M`` where it is transposed.
        b: A ``K x N`` matrix; ``N x K`` where it is transposed.
        c: An ``M x N`` matrix.
        transposed: Whether A, and whether B.
        clear: Whether C counts as zeros.
    """
    dtype = c.memory.dtype
    left, right = (_matrix(core, box, swap) for box, swap in zip((a, b), transposed, strict=True))
    total = product(left, right, dtype)
    if not clear:
        total = total + as_dtype(_matrix(core, c, False), total.dtype)
    c.write(core, as_dtype(total, dtype).reshape(c.extent))


def product(left: Array, right: Array, dtype: np.dtype[Any]) -> Array:
    """``left @ right`` for an accumulator of a dtype, before it is rounded to it."""
    if dtype.kind not in "iu":
        return _multiply(left, right, np.float64 if dtype == np.float64 else np.float32)
    # float64 multiplies small integers exactly, and much faster than numpy multiplies integers.
    bits = 8 * (left.itemsize + right.itemsize) + log2(max(1, left.shape[-1]))
    if bits <= 53 and {left.dtype.kind, right.dtype.kind} <= {*"iu"}:
        return _multiply(left, right, np.float64).astype(np.int64).astype(dtype)
    return np.asarray(left.astype(dtype) @ right.astype(dtype))


# OpenBLAS takes several threads for more multiplications than these. They cost more than they save where products are
# as small as tiles, and cores have threads of their own.
_ONE_THREAD = 2**18


def _multiply(left: Array, right: Array, dtype: type[np.floating[Any]]) -> Array:
    """``left @ right`` in a dtype, some rows after the others."""
    left, right = left.astype(dtype, copy=False), right.astype(dtype, copy=False)
    out = np.empty((len(left), right.shape[1]), dtype)
    rows = max(1, _ONE_THREAD // max(1, right.size))
    for first in range(0, len(left), rows):
        np.matmul(left[first : first + rows], right, out=out[first : first + rows])
    return out


def _matrix(core: Core, box: Box, swap: bool) -> Array:
    matrix = box.read(core).reshape(box.extent[-2:])
    return matrix.T if swap else matrix
