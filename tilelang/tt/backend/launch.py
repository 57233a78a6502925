"""What a compiled library calls: the kernel that it carries, executed on the caller's tensors."""

import ctypes
import functools
import logging
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..executor import Executable, dtype_of
from ..plan import Buffer
from .payload import unpack

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

_log = logging.getLogger("tilelang.tt.target")


def launch(text: str, *values: Any) -> None:
    """Execute a kernel; tensors that it writes are changed in place.

    Args:
        text: The kernel, as :func:`tilelang.tt.backend.payload.pack` gives it.
        *values: In parameter order, addresses of tensors in the CPU's memory and values of scalars; then those shape
            variables that are no parameters. The caller has checked the tensors' dtypes, shapes and strides.

    Raises:
        TTError: Whatever :func:`tilelang.tt.execute` refuses.
    """
    _kernel(str(text)).launch(values)


@functools.cache
def _kernel(text: str) -> "_Kernel":
    return _Kernel(unpack(text))


class _Kernel:
    """A kernel that has been compiled, in the process that runs it."""

    def __init__(self, func: "PrimFunc") -> None:
        import tvm_ffi

        self._executable = Executable.of(func)
        self._executable.interpreted()  # refuses what is not covered before there are arguments
        kernel = self._executable.plan.kernel()
        self._buffers = {buffer.param_index: buffer for buffer in kernel.buffers}
        self._parameters = list(func.params)
        self._said: set[str] = set()
        self._sizes = list(tvm_ffi.get_global_func("tilelang.tt.shape_variables")(func))
        _log.warning(
            "kernel %s runs on the CPU, by the reference executor of tilelang.tt for %s, and not on a chip",
            kernel.name,
            kernel.device.name,
        )

    def launch(self, values: tuple[Any, ...]) -> None:
        arguments = list(values[: len(self._parameters)])
        sizes = self._values_of_sizes(arguments, list(values[len(self._parameters) :]))
        for index, buffer in self._buffers.items():
            arguments[index] = _array_at(arguments[index].value, buffer, sizes)
        written = [arguments[index] for index, buffer in self._buffers.items() if "write" in buffer.access]
        execution = self._executable.run(*arguments)
        for array, result in zip(written, execution.outputs.values(), strict=True):
            array[...] = result
        for finding in set(execution.findings) - self._said:
            _log.warning("kernel %s: %s", execution.kernel.name, finding)
        self._said |= set(execution.findings)

    def _values_of_sizes(self, arguments: list[Any], from_shapes: list[int]) -> dict[str, int]:
        """The shape variables' values: of scalar parameters where they are such, else those that were handed over."""
        sizes = {}
        for var in self._sizes:
            own = [value for param, value in zip(self._parameters, arguments, strict=True) if param.same_as(var)]
            sizes[str(var.name)] = own[0] if own else from_shapes.pop(0)
        return sizes


def _array_at(address: int, buffer: Buffer, sizes: dict[str, int]) -> npt.NDArray[Any]:
    """The caller's tensor as an array, without a copy."""
    shape = [_native.evaluate(size, sizes) if isinstance(size, str) else size for size in buffer.shape]
    dtype = dtype_of(buffer.dtype)
    memory = (ctypes.c_uint8 * (prod(shape) * dtype.itemsize)).from_address(address)
    array: npt.NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
    return array
