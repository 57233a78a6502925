"""Operators that expressions call: functions of numpy by the names that TVM and TileLang give them."""

import math
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from . import nodes
from .atomics import ATOMICS, pointed
from .frame import CORE, MASK, Expression, Frame, where

if TYPE_CHECKING:
    from .program import Translator

_ERF = np.frompyfunc(math.erf, 1, 1)


def _popcount(x: Any) -> Any:
    bits = np.unpackbits(np.asarray(x)[..., None].view(np.uint8), axis=-1)
    return bits.sum(axis=-1)


def _leading_zeros(x: Any) -> Any:
    width = 8 * x.dtype.itemsize
    unsigned = np.asarray(x).astype(f"uint{width}")
    # A float of 64 bits has the exponents of halves of 32 bits exactly.
    high, low = (unsigned.astype(np.uint64) >> np.uint64(32)), unsigned.astype(np.uint64) & np.uint64(0xFFFFFFFF)
    length = np.where(high > 0, 32 + np.frexp(high.astype(np.float64))[1], np.frexp(low.astype(np.float64))[1])
    return width - length


FLOAT_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tirx.acos": np.arccos,
    "tirx.acosh": np.arccosh,
    "tirx.asin": np.arcsin,
    "tirx.asinh": np.arcsinh,
    "tirx.atan": np.arctan,
    "tirx.atan2": np.arctan2,
    "tirx.atanh": np.arctanh,
    "tirx.ceil": np.ceil,
    "tirx.copysign": np.copysign,
    "tirx.cos": np.cos,
    "tirx.cosh": np.cosh,
    "tirx.erf": lambda x: np.asarray(_ERF(x), np.float64),
    "tirx.exp": np.exp,
    "tirx.exp10": lambda x: np.power(x.dtype.type(10), x),
    "tirx.exp2": np.exp2,
    "tirx.floor": np.floor,
    "tirx.fma": lambda a, b, c: np.asarray(a, np.float64) * b + c,
    "tirx.fmod": np.fmod,
    "tirx.hypot": np.hypot,
    "tirx.log": np.log,
    "tirx.log10": np.log10,
    "tirx.log1p": np.log1p,
    "tirx.log2": np.log2,
    "tirx.nearbyint": np.rint,
    "tirx.nextafter": np.nextafter,
    "tirx.pow": np.power,
    "tirx.round": np.rint,
    "tirx.rsqrt": lambda x: 1 / np.sqrt(x),
    "tirx.sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tirx.sin": np.sin,
    "tirx.sinh": np.sinh,
    "tirx.sqrt": np.sqrt,
    "tirx.tan": np.tan,
    "tirx.tanh": np.tanh,
    "tirx.trunc": np.trunc,
}
"""Functions of floats; those of 8 and 16 bits are computed in float32 and rounded once."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tirx.bitwise_and": np.bitwise_and,
    "tirx.bitwise_not": np.invert,
    "tirx.bitwise_or": np.bitwise_or,
    "tirx.bitwise_xor": np.bitwise_xor,
    "tirx.clz": _leading_zeros,
    "tirx.fabs": np.abs,
    "tirx.isfinite": np.isfinite,
    "tirx.isinf": np.isinf,
    "tirx.isnan": np.isnan,
    "tirx.likely": lambda x: x,
    "tirx.popcount": _popcount,
    "tirx.shift_left": np.left_shift,
    "tirx.shift_right": np.right_shift,
}
"""Functions of any dtype, computed as it is."""

FUNCTIONS |= {
    "tl.clamp": lambda x, low, high: _least(_greatest(x, low), high),
    "tl.max_nan": np.maximum,
    "tl.min_nan": np.minimum,
}

_FAST = ("cos", "exp", "exp10", "log", "log2", "log10", "sin", "tan")
FLOAT_FUNCTIONS |= {
    **{
        f"tl.__{name}": FLOAT_FUNCTIONS[f"tirx.{name}"]
        for name in ("cos", "exp", "exp10", "log", "log2", "log10", "sin", "tan")
    },
    "tl.fast_rcp": lambda x: 1 / x,
    "tl.fma": FLOAT_FUNCTIONS["tirx.fma"],
    "tl.fmul": np.multiply,
    "tl.round_ties_away_from_zero": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
}

ROUNDED: dict[str, Callable[..., Any]] = {
    "tl.ieee_add": np.add,
    "tl.ieee_fdiv": np.divide,
    "tl.ieee_fmaf": FLOAT_FUNCTIONS["tirx.fma"],
    "tl.ieee_frcp": lambda x: 1 / x,
    "tl.ieee_frsqrt": lambda x: 1 / np.sqrt(x),
    "tl.ieee_fsqrt": np.sqrt,
    "tl.ieee_mul": np.multiply,
    "tl.ieee_sub": np.subtract,
}
"""Functions of floats whose last argument says how they round; to the nearest only."""


def _greatest(a: Any, b: Any) -> Any:
    return (np.maximum if a.dtype.kind in "iub" else np.fmax)(a, b)


def _least(a: Any, b: Any) -> Any:
    return (np.minimum if a.dtype.kind in "iub" else np.fmin)(a, b)


def _of_function(function: Callable[..., Any]) -> "Callable[[Any, Translator], Expression]":
    def translate(call: Any, to: "Translator") -> Expression:
        return _applied(function, call, list(call.args), to)

    return translate


def _of_float_function(function: Callable[..., Any]) -> "Callable[[Any, Translator], Expression]":
    def translate(call: Any, to: "Translator") -> Expression:
        small = nodes.type_of(call).dtype.itemsize < 4
        return _applied(_widened(function) if small else function, call, list(call.args), to)

    return translate


def _widened(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: function(*[value.astype(np.float32) for value in values])


def _of_rounded_function(function: Callable[..., Any]) -> "Callable[[Any, Translator], Expression]":
    def translate(call: Any, to: "Translator") -> Expression:
        *arguments, rounding = call.args
        if str(rounding.value) != "rn":
            to.refuse("TT920", f"the rounding {rounding.value} of {nodes.operation(call)}")
        return _applied(function, call, arguments, to)

    return translate


def _applied(function: Callable[..., Any], call: Any, arguments: list[Any], to: "Translator") -> Expression:
    values = [to.expression(argument) for argument in arguments]
    dtype = nodes.type_of(call).dtype
    if len(values) == 1:
        (only,) = values
        return lambda frame: function(only(frame)).astype(dtype)[()]
    return lambda frame: function(*[value(frame) for value in values]).astype(dtype)[()]


def _if_then_else(call: Any, to: "Translator") -> Expression:
    condition, yes, no = map(to.expression, call.args)
    return lambda frame: where(frame, condition(frame), yes, no)


def _infinity(call: Any, to: "Translator") -> Expression:
    value = nodes.type_of(call).dtype.type(np.inf)
    return lambda frame: value


def _reinterpret(call: Any, to: "Translator") -> Expression:
    value, dtype = to.expression(call.args[0]), nodes.type_of(call).dtype
    source = nodes.type_of(call.args[0]).dtype
    if source.itemsize == dtype.itemsize:
        return lambda frame: value(frame).view(dtype)
    return lambda frame: np.ascontiguousarray(value(frame)).view(dtype)


def _power_of_integer(call: Any, to: "Translator") -> Expression:
    base, power = map(to.expression, call.args)
    return lambda frame: base(frame) ** power(frame).astype(base(frame).dtype)


def _large_unsigned(call: Any, to: "Translator") -> Expression:
    low, high = (int(nodes.constant(part) or 0) for part in call.args)
    value = nodes.type_of(call).dtype.type((high << 32) | low)
    return lambda frame: value


def _of_elements(function: Callable[..., Any]) -> "Callable[[Any, Translator], Expression]":
    """Something about so many elements that follow each other in memory, from the one that is pointed to on."""

    def translate(call: Any, to: "Translator") -> Expression:
        place, _ = pointed(call.args[0], to)
        slot, indices = place.slot, place.indices
        count = to.expression(call.args[1])

        def evaluate(frame: Frame) -> Any:
            shape = frame[slot].shape
            first = sum(index(frame)[..., None] * prod(shape[axis + 1 :]) for axis, index in enumerate(indices))
            places = np.unravel_index(first + np.arange(count(frame)), shape)
            mask = frame[MASK]
            elements = frame[slot].load(frame[CORE], places, None if mask is None else mask[..., None])
            return function(elements != 0, axis=-1)

        return evaluate

    return translate


def _operand(call: Any, to: "Translator") -> Expression:
    return to.expression(call.args[0])


OPERATORS: dict[str, "Callable[[Any, Translator], Expression]"] = {
    "tirx.if_then_else": _if_then_else,
    "tirx.large_uint_imm": _large_unsigned,
    "tirx.reinterpret": _reinterpret,
    "tl.__ldg": _operand,
    "tl.all_of": _of_elements(np.all),
    "tl.any_of": _of_elements(np.any),
    "tl.infinity": _infinity,
    "tl.pow_of_int": _power_of_integer,
}
"""Operators that are no functions of the values of their arguments alone."""

INTRINSICS: dict[str, "Callable[[Any, Translator], Expression]"] = {
    **{name: _of_function(function) for name, function in FUNCTIONS.items()},
    **{name: _of_float_function(function) for name, function in FLOAT_FUNCTIONS.items()},
    **{name: _of_rounded_function(function) for name, function in ROUNDED.items()},
    **ATOMICS,
    **OPERATORS,
}
"""Operators that have a value, by name. Some hosts keep a few of them under ``prim.``."""
INTRINSICS |= {f"prim.{name}": INTRINSICS[f"tirx.{name}"] for name in ("ceil", "clz", "if_then_else", "likely", "log2")}
