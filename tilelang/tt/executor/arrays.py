"""The arguments of a kernel as users have them, and its results as they want them.

Inside, tensors are numpy arrays, with the dtypes of ``ml_dtypes`` where numpy has none; outside they may be torch's.
"""

import ast
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _native
from ..errors import refusal
from ..metadata import list_buffer_attrs
from .memory import Array

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

# Dtypes that numpy does not have begin with these.
_EXTENDED = ("bfloat", "float8")
# Those of torch that hold the bits of some of them.
_BY_BITS = {"bfloat16": "int16", "float8_e4m3fn": "uint8"}


@dataclass(frozen=True)
class Parameter:
    """What a kernel says of one of its parameters.

    Attributes:
        index: Its position among all parameters.
        name: As the user wrote it.
        dtype: Of the scalar, or of an element.
        shape: In elements, as sizes; None of a scalar.
        access: What the kernel does to the tensor, as the plan says it; of a scalar ``read``.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    access: str

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" {shape_text(self.shape)}"
        return f"parameter {self.index} `{self.name}`,{shape} {self.dtype}"


def parameters_of(func: "PrimFunc") -> list[Parameter]:
    """The parameters of a kernel with the results of inference."""
    tensors = {entry["param_index"]: entry for entry in list_buffer_attrs(func)}
    out = []
    for index, variable in enumerate(func.params):
        entry = tensors.get(index)
        if entry is not None:
            shape = tuple(entry["shape"])
            out.append(Parameter(index, entry["name"], entry["dtype"], shape, entry["tt_access"]))
        else:
            dtype = str(variable.dtype if hasattr(variable, "dtype") else variable.ty.dtype)
            out.append(Parameter(index, str(variable.name), dtype, None, "read"))
    return out


def tensors_of(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Those that are tensors; the buffers of a plan are in the same order."""
    return [parameter for parameter in parameters if parameter.shape is not None]


def shape_text(shape: Sequence[int | str]) -> str:
    """A shape for messages; texts without quotes."""
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of numpy, or of ``ml_dtypes``.

    Raises:
        HostError: It is that of ``ml_dtypes``, which is not installed.
    """
    if not name.startswith(_EXTENDED):
        return np.dtype(name)
    try:
        dtype: np.dtype[Any] = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    except ImportError:
        found = f"numpy has no {name}, and ml_dtypes, which has, is not installed"
        raise refusal("TT919", f"{found}\nhelp: python -m pip install ml_dtypes") from None
    return dtype


def assign(parameters: Sequence[Parameter], arguments: Sequence[Any]) -> list[Any]:
    """An argument for each parameter; None for tensors that are only written and left out."""
    needed = [parameter for parameter in parameters if parameter.access != "write"]
    if len(arguments) == len(parameters):
        return list(arguments)
    if len(arguments) != len(needed):
        counts = " or ".join(map(str, sorted({len(needed), len(parameters)})))
        listed = "\n".join(f"    {parameter}, {_role(parameter)}" for parameter in parameters)
        raise refusal("TT911", f"found {len(arguments)} arguments; expected {counts}. The kernel has\n{listed}")
    given = iter(arguments)
    return [None if parameter.access == "write" else next(given) for parameter in parameters]


def _role(parameter: Parameter) -> str:
    if parameter.shape is None:
        return "a scalar"
    role = {"read": "read", "write": "written", "read_write": "read and written", "none": "not used"}
    return role[parameter.access] + ("; may be left out" if parameter.access == "write" else "")


def to_numpy(parameter: Parameter, argument: Any) -> Any:
    """An array of the parameter's dtype, which may share the argument's memory; of a scalar one of numpy's.

    Raises:
        ArgumentError: It is something else.
    """
    if parameter.shape is None:
        return _to_scalar(parameter, argument)
    dtype = dtype_of(parameter.dtype)
    array = _from_torch(argument) if is_torch(argument) else argument
    if not isinstance(array, (np.ndarray, np.generic)):
        raise refusal("TT912", f"{parameter}: found a {type(argument).__name__}; expected an array of numpy or torch")
    if array.dtype != dtype or not array.dtype.isnative:
        found = array.dtype if array.dtype.isnative else f"{array.dtype} in another byte order"
        raise refusal("TT912", f"{parameter}: found an array of {found}; expected {dtype}")
    return np.asarray(array)


def _to_scalar(parameter: Parameter, argument: Any) -> Any:
    dtype = dtype_of(parameter.dtype)
    value = argument.item() if is_torch(argument) and argument.ndim == 0 else argument
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        is_number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        fits = is_number and limits.min <= value <= limits.max
    elif dtype.kind == "b":
        fits = isinstance(value, (bool, np.bool_))
    else:
        fits = isinstance(value, (int, float, np.number)) or getattr(value, "dtype", None) == dtype
    if not fits:
        raise refusal("TT912", f"{parameter}: found {value!r:.60}; expected a number that fits {dtype}")
    return np.asarray(value).astype(dtype)[()]


def find_sizes(parameters: Sequence[Parameter], values: Sequence[Any]) -> dict[str, int]:
    """The shape variables, by arrays whose extents they are, and by scalars of their names; all shapes then fit.

    Raises:
        ShapeError: Arrays are of other shapes, do not agree, or do not say what a variable is.
    """
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    for parameter, value in zip(parameters, values, strict=True):
        if parameter.shape is None and isinstance(value, np.integer):
            sizes[parameter.name], origin[parameter.name] = int(value), f"`{parameter.name}`"
        if parameter.shape is None or value is None:
            continue
        if len(value.shape) != len(parameter.shape):
            raise _wrong_shape(parameter, value)
        for axis, (extent, found) in enumerate(zip(parameter.shape, value.shape, strict=True)):
            if not isinstance(extent, str) or not extent.isidentifier():
                continue
            if sizes.setdefault(extent, found) != found:
                raise refusal(
                    "TT913",
                    f"{parameter}: found an array of shape {value.shape}, so {extent} is {found} by axis {axis}; "
                    f"expected {sizes[extent]}, as {origin[extent]} has it",
                )
            origin.setdefault(extent, f"axis {axis} of `{parameter.name}`")
    for parameter, value in zip(parameters, values, strict=True):
        if parameter.shape is not None:
            shape = known_shape(parameter, sizes)
            if value is not None and value.shape != shape:
                raise _wrong_shape(parameter, value, shape)
    return sizes


def known_shape(parameter: Parameter, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape in numbers."""
    out = []
    for extent in parameter.shape or ():
        if isinstance(extent, str):
            names = {node.id for node in ast.walk(ast.parse(extent)) if isinstance(node, ast.Name)} - {"min", "max"}
            if missing := sorted(names - sizes.keys()):
                raise refusal(
                    "TT913",
                    f"{parameter}: no array says what {missing[0]} is; expected one with an extent that is {missing[0]}"
                    "\nhelp: specialize(mod, ...) with a value for it, or give the array of this parameter too",
                )
            extent = _native.evaluate(extent, dict(sizes))
        out.append(extent)
    return tuple(out)


def _wrong_shape(parameter: Parameter, value: Array, shape: tuple[int, ...] | None = None) -> Exception:
    expected = shape_text(parameter.shape or ()) if shape is None else shape
    return refusal("TT913", f"{parameter}: found an array of shape {value.shape}; expected {expected}")


def is_torch(value: Any) -> bool:
    """Whether it is a tensor of torch, which is not imported for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _from_torch(tensor: Any) -> Array:
    name = str(tensor.dtype).removeprefix("torch.")
    tensor = tensor.detach().cpu().contiguous()
    if name in _BY_BITS:
        tensor = tensor.view(getattr(sys.modules["torch"], _BY_BITS[name]))
    array: Array = tensor.numpy()
    return array.view(dtype_of(name)) if name in _BY_BITS else array


def to_torch(array: Array) -> Any:
    """The same memory as a tensor of torch."""
    torch = sys.modules["torch"]
    name = array.dtype.name
    if name not in _BY_BITS:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(_BY_BITS[name])).view(getattr(torch, name))
