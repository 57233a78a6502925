"""Small kernels for tests, in the language of the host: TileLang's own operations on tiles, or loops of TIRx.

They are of any size, and blocks at the edge are cut off: by TileLang's copies, or by a guard. A size may be a name,
which becomes a shape variable. :func:`tilelang.tt.testing.strategies.kernels` draws them.
"""

import importlib
from typing import TYPE_CHECKING, Any, TypeAlias

from ... import _host
from ...passes import pipeline, run_on

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

    Size: TypeAlias = int | str


def copy(N: "Size", *, block: int = 32, dtype: str = "float32") -> "PrimFunc":
    """C = A, of vectors, on a grid of one axis.

    Args:
        N: Elements of both tensors.
        block: Elements of a work tile.
        dtype: Of both tensors.
    """
    return _language().copy(_size(N), block, dtype)


def add(
    batch: "Size", M: "Size", N: "Size", *, block_M: int = 32, block_N: int = 32, dtype: str = "float32"
) -> "PrimFunc":
    """C = A + B, of ``(batch, M, N)``, on a grid of three axes.

    Args:
        batch: Work tiles along z.
        M: Rows, which are cut along y.
        N: Columns, which are cut along x.
        block_M: Rows of a work tile.
        block_N: Columns of a work tile.
        dtype: Of the tensors.
    """
    return _language().add(_size(batch), _size(M), _size(N), block_M, block_N, dtype)


def gemm(
    M: "Size",
    N: "Size",
    K: "Size",
    *,
    block_M: int = 32,
    block_N: int = 32,
    block_K: int = 32,
    dtype: str = "bfloat16",
) -> "PrimFunc":
    """C = A @ B, of ``(M, K)`` and ``(K, N)``, summed in float32, on a grid of two axes.

    Args:
        M: Rows of C, which are cut along y.
        N: Columns of C, which are cut along x.
        K: What is summed over.
        block_M: Rows of a work tile.
        block_N: Columns of a work tile.
        block_K: What a turn of the loop sums over.
        dtype: Of the tensors, a floating one.
    """
    return _language().gemm(_size(M), _size(N), _size(K), block_M, block_N, block_K, dtype)


def row_sum(M: "Size", N: int, *, block_M: int = 32, dtype: str = "float32") -> "PrimFunc":
    """C = the sums of the rows of A, of ``(M, N)``, in float32, on a grid of one axis.

    Args:
        M: Rows, which are cut along x.
        N: Columns.
        block_M: Rows of a work tile.
        dtype: Of the tensors, a floating one.
    """
    return _language().row_sum(_size(M), N, block_M, dtype)


def arguments(kernel: "PrimFunc", *, seed: int = 0, **sizes: int) -> list[Any]:
    """Arrays to execute a kernel with, one for each tensor, and numbers for its scalars.

    Floats are multiples of 1/4 between -2 and 2, which all dtypes have, and whose sums are exact as long as they are
    not long. Integers are from 0 to 7, and less than every extent but 1.

    Args:
        kernel: A kernel of any author.
        seed: Of the numbers.
        **sizes: Values of its shape variables.
    """
    from ...executor.arrays import parameters_of
    from ...service.proof_inputs import choose_arguments

    return choose_arguments(parameters_of(run_on(pipeline(), kernel)), sizes, seed)


def _language() -> Any:
    name = "in_tilelang" if _host.require_host().name == "tilelang" else "in_tirx"
    return importlib.import_module(f"{__name__}.{name}")


def _size(size: "Size") -> Any:
    from tvm.tirx import Var

    return Var(size, "int32") if isinstance(size, str) else size
