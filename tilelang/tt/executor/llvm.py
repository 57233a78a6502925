"""Core programs as machine code, which the LLVM of apache-tvm makes for the CPU.

A program is compiled once and called for each core, on the logical arrays themselves.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import refusal
from .memory import Array

# Generated code may load and store whole vectors, and takes arrays to begin where they can.
_ALIGNMENT = 64


class Compiled:
    """A function without thread bindings as machine code."""

    def __init__(self, func: Any) -> None:
        """Compile it.

        Args:
            func: A PrimFunc after :func:`tilelang.tt.grid_to_persistent` and :func:`tilelang.tt.threads_to_loops`.

        Raises:
            HostError: The installed TVM has no LLVM.
            NotCoveredError: LLVM cannot compile what the function does, or not right.
        """
        import tvm_ffi

        if tvm_ffi.get_global_func("target.build.llvm", allow_missing=True) is None:
            raise refusal(
                "TT950",
                'found a TVM without LLVM; expected apache-tvm for engine="llvm"\n'
                "help: leave engine= out, or install apache-tvm in an environment without TileLang",
            )
        _check(func)
        self._function = _compile(func)

    def run(self, arguments: Sequence[Any]) -> None:
        """Run it. Several threads may do so at the same time.

        Args:
            arguments: One for each parameter: scalars, and what :func:`tensor` makes of arrays.
        """
        self._function(*(value.item() if isinstance(value, np.generic) else value for value in arguments))


def aligned(array: Array) -> Array:
    """A compact copy of an array that generated code may use and change."""
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    copy: Array = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def tensor(array: Array) -> Any:
    """An array of :func:`aligned` as the host's tensor, which shares its memory."""
    from tvm import runtime

    if array.dtype.kind != "V":
        return runtime.from_dlpack(array)
    # DLPack of numpy knows no dtypes but numpy's own.
    bits = runtime.from_dlpack(array.view(f"uint{8 * array.dtype.itemsize}"))
    return bits._create_view(array.shape, array.dtype.name)


def _check(func: Any) -> None:
    """Refuse what would be compiled and not be right."""
    script = func.script()
    if "float8" in script:  # the host's conversion makes a small number of zero
        raise refusal("TT951", "found float8 numbers; expected integers, float16, bfloat16 or wider floats")
    if "T.call_extern(" in script:  # nothing looks for it before it is called
        raise refusal("TT951", "found a call of a C function (T.call_extern); expected operations of TIRx alone")


def _compile(func: Any) -> Any:
    import tvm

    for key, _ in func.attrs.items():
        if key.startswith("tt_"):  # of which the host knows nothing
            func = func.without_attr(key)
    mod = tvm.IRModule({"main": func.with_attr("global_symbol", "main")})
    try:
        with tvm.ir.transform.PassContext():  # whoever calls has not asked for the host's own passes
            return tvm.compile(mod, target=tvm.target.Target("llvm"))["main"]
    except (RuntimeError, TypeError, ValueError) as error:
        raise refusal("TT951", f"the host cannot compile the kernel for the CPU: {error}") from error
