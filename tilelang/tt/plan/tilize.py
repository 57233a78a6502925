"""Arrays as the chip has them, and back: in faces, tiles, pages and banks, with the padding that the plan says."""

import importlib
import math
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import refusal
from .model import Buffer

_INTEGERS = ("int32", "uint32", "uint16", "uint8", "int8")
# Dtypes that numpy does not have, and those of the same size that stand for their bits.
_BIT_PATTERNS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8"}


class _Float(NamedTuple):
    """A floating dtype: the bits of its mantissa, its least normal exponent and some of its values."""

    mantissa_bits: int
    least_exponent: int
    largest: float
    infinity: int | None  # bits
    nan: int


_FLOATS = {
    "float32": _Float(23, -126, 3.4028234663852886e38, 0x7F800000, 0x7FC00000),
    "float16": _Float(10, -14, 65504.0, 0x7C00, 0x7E00),
    "bfloat16": _Float(7, -126, 3.3895313892515355e38, 0x7F80, 0x7FC0),
    "float8_e4m3fn": _Float(3, -6, 448.0, None, 0x7F),
}


def tilize(buffer: Buffer, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes that a tensor has in its banks.

    Elements are stored in the buffer's data format. In their dtype's own format they keep their bits; in another one
    they are rounded to nearest, ties to even, in the block formats as tt-metal does it.

    Args:
        buffer: How the tensor lies in memory.
        array: Of the buffer's shape and dtype; it need not be contiguous. Where numpy does not have the dtype, it is
            that of ``ml_dtypes``, or its bits: ``uint16`` for bfloat16, ``uint8`` for float8_e4m3fn.

    Returns:
        Shape ``(num_banks, bytes_per_bank)``: a row for each bank, from where the tensor begins in it. Padding holds
        the buffer's ``padding_value``, and 0 where that is ``any`` or ``unknown``. Bytes between pages, and of places
        where the bank has no page, are 0.

    Raises:
        ArgumentError: The array is none, or of another dtype or byte order.
        ShapeError: It is of another shape, or the buffer's depends on shape variables.
        PlanError: Numbers of the buffer contradict each other.
        OptionError: The dtype does not have the padding value.
    """
    return _write(_numbers(buffer), buffer, array)


def untilize(buffer: Buffer, banks: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The tensor whose bytes lie in banks: the inverse of :func:`tilize`.

    Args:
        buffer: How the tensor lies in memory.
        banks: Shape ``(num_banks, bytes_per_bank)``, dtype ``uint8``; it need not be contiguous.

    Returns:
        Of the buffer's shape and dtype. Where numpy does not have the dtype, it is that of ``ml_dtypes``, and its bits
        where ``ml_dtypes`` is not installed.

    Raises:
        ArgumentError: The banks are no array of bytes.
        ShapeError: They are of another shape, or the buffer's depends on shape variables.
        PlanError: Numbers of the buffer contradict each other.
    """
    return _read(_numbers(buffer), buffer, banks, ("num_banks", "bytes_per_bank"))


def to_pages(buffer: Buffer, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The pages of a tensor in their order, as tt-metal's host takes them before it deals them to banks.

    Args:
        buffer: As of :func:`tilize`.
        array: As there.

    Returns:
        Shape ``(num_pages, page_size_bytes)``.

    Raises:
        TTError: As there.
    """
    numbers = _in_one_bank(_numbers(buffer))
    return _write(numbers, buffer, array).reshape(numbers["num_pages"], numbers["page_size_bytes"])


def from_pages(buffer: Buffer, pages: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The tensor whose pages these are: the inverse of :func:`to_pages`.

    Args:
        buffer: As of :func:`untilize`.
        pages: Shape ``(num_pages, page_size_bytes)``, dtype ``uint8``.

    Returns:
        As there.

    Raises:
        TTError: As there.
    """
    return _read(_in_one_bank(_numbers(buffer)), buffer, pages, ("num_pages", "page_size_bytes"))


def _write(numbers: dict[str, Any], buffer: Buffer, array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return _native.tilize(numbers, _bytes_of(_elements(buffer, array)), _bytes_of(_padding(buffer)))


def _read(
    numbers: dict[str, Any], buffer: Buffer, data: npt.NDArray[np.uint8], extents: tuple[str, str]
) -> npt.NDArray[Any]:
    expected = tuple(numbers[extent] for extent in extents)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        raise refusal("TT840", f"buffer `{buffer.name}`: found {_kind(data)}; expected an array of uint8")
    if data.shape != expected:
        found = f"found bytes of shape {data.shape}; expected {expected}, {' x '.join(extents)}"
        raise refusal("TT841", f"buffer `{buffer.name}`: {found}")
    elements = _native.untilize(numbers, np.asarray(data, order="C"))
    if _by_float32(buffer):
        elements = elements.view(np.float32).astype(np.float16)
    return elements.view(_result_dtype(buffer.dtype)).reshape(buffer.shape)


def _numbers(buffer: Buffer) -> dict[str, Any]:
    """What the native module asks of a buffer, which is not symbolic."""
    if buffer.dtype not in _INTEGERS and buffer.dtype not in _FLOATS:
        known = ", ".join((*_FLOATS, *_INTEGERS))
        raise refusal("TT404", f"buffer `{buffer.name}`: dtype {buffer.dtype}; expected one of: {known}")
    symbolic = [extent for extent in buffer.shape if isinstance(extent, str)]
    if symbolic:
        found = f"shape {list(buffer.shape)} depends on shape variables"
        help_ = "specialize the kernel first: specialize(mod, ...) with a value for each of them"
        raise refusal("TT842", f"buffer `{buffer.name}`: {found}\nhelp: {help_}")
    return {
        "name": buffer.name,
        "dtype": "float32" if _by_float32(buffer) else buffer.dtype,
        "data_format": buffer.data_format,
        "shape": buffer.shape,
        "page_layout": buffer.page_layout,
        "page_shape": _page_shape(buffer),
        "page_size_bytes": buffer.page_size_bytes,
        "aligned_page_size_bytes": buffer.aligned_page_size_bytes,
        "num_pages": buffer.num_pages,
        "num_banks": buffer.num_banks,
        "bytes_per_bank": buffer.bytes_per_bank,
        "shard": None if buffer.shard is None else asdict(buffer.shard),
    }


def _in_one_bank(numbers: dict[str, Any]) -> dict[str, Any]:
    size, count = numbers["page_size_bytes"], numbers["num_pages"]
    alone = {"aligned_page_size_bytes": size, "num_banks": 1, "bytes_per_bank": count * size, "shard": None}
    return {**numbers, **alone}


def _page_shape(buffer: Buffer) -> tuple[int, int]:
    """Height and width of a page in elements: a tile, or a row of the tensor or of a shard."""
    if buffer.page_layout == "tile":
        return buffer.tile_shape or (0, 0)
    shape = buffer.shape if buffer.shard is None else buffer.shard.shape
    return 1, int(shape[-1]) if shape else 1


def _by_float32(buffer: Buffer) -> bool:
    """Whether elements get to their format by way of float32, which has all values of float16."""
    return buffer.dtype == "float16" and buffer.data_format != "Float16"


def _elements(buffer: Buffer, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A compact array of the elements, or of their bits."""
    accepted = [name for name in (buffer.dtype, _BIT_PATTERNS.get(buffer.dtype)) if name]
    is_array = isinstance(array, (np.ndarray, np.generic))
    if not is_array or array.dtype.name not in accepted or not array.dtype.isnative:
        expected = f"a numpy array of {' or '.join(accepted)} in the byte order of this machine"
        raise refusal("TT840", f"buffer `{buffer.name}`: found {_kind(array)}; expected {expected}")
    if array.shape != buffer.shape:
        found = f"found an array of shape {array.shape}; expected {buffer.shape}"
        raise refusal("TT841", f"buffer `{buffer.name}`: {found}")
    elements = np.asarray(array, order="C")
    return elements.astype(np.float32) if _by_float32(buffer) else elements.view(accepted[-1])


def _kind(value: object) -> str:
    if isinstance(value, (np.ndarray, np.generic)):
        return f"an array of {value.dtype.str if not value.dtype.isnative else value.dtype}"
    return f"a {type(value).__name__}"


def _bytes_of(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The same memory."""
    return array.reshape(-1).view(np.uint8)


def _result_dtype(name: str) -> np.dtype[Any]:
    if name not in _BIT_PATTERNS:
        return np.dtype(name)
    try:
        dtype: np.dtype[Any] = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    except ImportError:
        dtype = np.dtype(_BIT_PATTERNS[name])
    return dtype


def _padding(buffer: Buffer) -> npt.NDArray[Any]:
    """One element as :func:`_elements` gives it; none where the buffer says of no padding."""
    if buffer.padding_value is None:
        return np.empty(0, np.uint8)
    element = padding_element(buffer, "0" if buffer.padding_value in ("any", "unknown") else buffer.padding_value)
    return element.astype(np.float32) if _by_float32(buffer) else element


def padding_element(buffer: Buffer, text: str) -> npt.NDArray[Any]:
    """A number as an array of one element of the buffer's dtype, or of its bits where numpy does not have that.

    Raises:
        OptionError: The dtype does not have the number.
    """
    bits = _integer_bits(text, buffer.dtype) if buffer.dtype in _INTEGERS else _float_bits(text, buffer.dtype)
    if bits is None:
        raise refusal("TT844", f'buffer `{buffer.name}`: padding_value is "{text}"; expected a value of {buffer.dtype}')
    dtype = np.dtype(_BIT_PATTERNS.get(buffer.dtype, buffer.dtype))
    return np.frombuffer(bits.to_bytes(dtype.itemsize, "little"), dtype)


def _integer_bits(text: str, dtype: str) -> int | None:
    """The bits of an integer; None where the dtype does not have it."""
    limits = np.iinfo(dtype)
    try:
        number = Decimal(text)
        is_there = limits.min <= number <= limits.max and number == int(number)
    except InvalidOperation:  # no number, or nan
        return None
    return int(number) % (1 << limits.bits) if is_there else None


def _float_bits(text: str, dtype: str) -> int | None:
    """The bits of the nearest float, ties to even; None beyond the largest."""
    kind = _FLOATS[dtype]
    try:
        number = float(text)
    except ValueError:
        return None
    if math.isnan(number):
        return kind.nan
    magnitude = abs(number)
    if math.isinf(number):
        bits = kind.infinity
    elif magnitude > kind.largest:
        bits = None
    else:
        exponent = max(math.frexp(magnitude)[1] - 1, kind.least_exponent) if magnitude else kind.least_exponent
        mantissa = round(math.ldexp(magnitude, kind.mantissa_bits - exponent))
        bits = ((exponent - kind.least_exponent) << kind.mantissa_bits) + mantissa
    sign_bit = 1 << (8 * np.dtype(_BIT_PATTERNS.get(dtype, dtype)).itemsize - 1)
    return bits if bits is None or math.copysign(1, number) > 0 else bits | sign_bit
