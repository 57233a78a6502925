"""Expressions of TIRx as closures that give numpy scalars, or arrays with an element for each lane."""

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import refusal
from . import nodes
from .access import load, place
from .frame import MASK, Expression, Frame, narrowed, where
from .intrinsics import INTRINSICS
from .nodes import kind

if TYPE_CHECKING:
    from .program import Translator

_DIVISOR = "expected another divisor\nhelp: guard it by a condition"

Function = Callable[[Any, Any], Any]


def _is_integer(node: Any) -> bool:
    return nodes.type_of(node).dtype.kind in "iub"


def _constant(node: Any, to: "Translator") -> Expression:
    value = nodes.type_of(node).dtype.type(node.value)
    return lambda frame: value


def _variable(node: Any, to: "Translator") -> Expression:
    return to.variable(node)


def _binary(function: Function) -> "Callable[[Any, Translator], Expression]":
    def translate(node: Any, to: "Translator") -> Expression:
        return _applied(function, node, to)

    return translate


def _applied(function: Function, node: Any, to: "Translator") -> Expression:
    a, b = to.expression(node.a), to.expression(node.b)
    if nodes.is_constant(node.b):
        value = b([])
        return lambda frame: function(a(frame), value)
    return lambda frame: function(a(frame), b(frame))


def _truncated_quotient(a: Any, b: Any) -> Any:
    quotient = a // b
    return quotient + ((quotient * b != a) & ((a < 0) != (b < 0))).astype(quotient.dtype)


def _floor_modulo(a: Any, b: Any) -> Any:
    return a - np.floor(a / b) * b


# Of integers, and of floats.
_DIVISIONS: dict[str, tuple[Function, Function]] = {
    "Div": (_truncated_quotient, operator.truediv),
    "Mod": (np.fmod, np.fmod),
    "FloorDiv": (operator.floordiv, lambda a, b: np.floor(a / b)),
    "FloorMod": (operator.mod, _floor_modulo),
}


def _division(node: Any, to: "Translator") -> Expression:
    of_integers, of_floats = _DIVISIONS[kind(node)]
    if not _is_integer(node):
        return _applied(of_floats, node, to)
    if nodes.constant(node.b):
        return _applied(of_integers, node, to)
    a, b = to.expression(node.a), to.expression(node.b)
    text = nodes.text(node)

    def divide(frame: Frame) -> Any:
        divisor, mask = b(frame), frame[MASK]
        zero = divisor == 0
        if np.any(zero if mask is None else zero & mask):
            raise refusal("TT924", f"kernel `{to.name}`: found a division by zero in {text}; {_DIVISOR}")
        return of_integers(a(frame), np.where(zero, divisor.dtype.type(1), divisor)[()])

    return divide


def _extreme(of_integers: Function, of_floats: Function) -> "Callable[[Any, Translator], Expression]":
    def translate(node: Any, to: "Translator") -> Expression:
        return _applied(of_integers if _is_integer(node) else of_floats, node, to)

    return translate


def _and(node: Any, to: "Translator") -> Expression:
    a, b = to.expression(node.a), to.expression(node.b)

    def conjunction(frame: Frame) -> Any:
        left = a(frame)
        if not isinstance(left, np.ndarray):
            return b(frame) if left else left
        return left & _under(frame, left, b)

    return conjunction


def _or(node: Any, to: "Translator") -> Expression:
    a, b = to.expression(node.a), to.expression(node.b)

    def disjunction(frame: Frame) -> Any:
        left = a(frame)
        if not isinstance(left, np.ndarray):
            return left if left else b(frame)
        return left | _under(frame, ~left, b)

    return disjunction


def _under(frame: Frame, chosen: Any, value: Expression) -> Any:
    """A condition, evaluated for the lanes only that are chosen."""
    mask = frame[MASK]
    narrow = narrowed(mask, chosen)
    if narrow is False:
        return np.False_
    frame[MASK] = narrow
    result = value(frame)
    frame[MASK] = mask
    return result


def _not(node: Any, to: "Translator") -> Expression:
    a = to.expression(node.a)
    return lambda frame: ~a(frame)


def _select(node: Any, to: "Translator") -> Expression:
    condition = to.expression(node.condition)
    yes, no = to.expression(node.true_value), to.expression(node.false_value)
    return lambda frame: where(frame, condition(frame), yes, no)


def _cast(node: Any, to: "Translator") -> Expression:
    value, dtype = to.expression(node.value), nodes.type_of(node).dtype
    if nodes.type_of(node.value).dtype == dtype:
        return value
    return lambda frame: value(frame).astype(dtype)


def _load(node: Any, to: "Translator") -> Expression:
    loaded = load(place(nodes.loaded_buffer(node), node.indices, to))
    predicate = getattr(node, "predicate", None)
    if predicate is None:
        return loaded
    zero = nodes.type_of(node).dtype.type(0)
    guard = to.expression(predicate)
    return lambda frame: where(frame, guard(frame), loaded, lambda _: zero)


def _ramp(node: Any, to: "Translator") -> Expression:
    base, stride = to.expression(node.base), to.expression(node.stride)
    steps = np.arange(_lanes(node, to), dtype=nodes.type_of(node).dtype)
    return lambda frame: base(frame) + stride(frame) * steps


def _broadcast(node: Any, to: "Translator") -> Expression:
    value, lanes = to.expression(node.value), _lanes(node, to)
    return lambda frame: np.repeat(value(frame), lanes)


def _lanes(node: Any, to: "Translator") -> int:
    lanes = nodes.constant(node.lanes)
    if lanes is None:
        to.refuse("TT920", f"a vector of {nodes.text(node.lanes)} lanes")
    return lanes


def _shuffle(node: Any, to: "Translator") -> Expression:
    vectors = [to.expression(vector) for vector in node.vectors]
    indices = [to.expression(index) for index in node.indices]

    def shuffle(frame: Frame) -> Any:
        elements = np.concatenate([np.atleast_1d(vector(frame)) for vector in vectors])
        return elements[[int(index(frame)) for index in indices] if len(indices) != 1 else int(indices[0](frame))]

    return shuffle


def _let(node: Any, to: "Translator") -> Expression:
    value = to.expression(node.value)
    slot = to.bind(node.var)
    body = to.expression(node.body)

    def let(frame: Frame) -> Any:
        frame[slot] = value(frame)
        return body(frame)

    return let


def _call(node: Any, to: "Translator") -> Expression:
    name = nodes.operation(node)
    translate = INTRINSICS.get(name)
    if translate is None:
        to.refuse("TT920", f"the operation {name}")
    return translate(node, to)


EXPRESSIONS: dict[str, "Callable[[Any, Translator], Expression]"] = {
    "Add": _binary(operator.add),
    "And": _and,
    "BitwiseAnd": _binary(operator.and_),
    "BitwiseNot": _not,
    "BitwiseOr": _binary(operator.or_),
    "BitwiseXor": _binary(operator.xor),
    "Broadcast": _broadcast,
    "BufferLoad": _load,
    "Call": _call,
    "Cast": _cast,
    "Div": _division,
    "EQ": _binary(operator.eq),
    "FloatImm": _constant,
    "FloorDiv": _division,
    "FloorMod": _division,
    "GE": _binary(operator.ge),
    "GT": _binary(operator.gt),
    "IntImm": _constant,
    "LE": _binary(operator.le),
    "LShift": _binary(operator.lshift),
    "LT": _binary(operator.lt),
    "Let": _let,
    "Max": _extreme(np.maximum, np.fmax),
    "Min": _extreme(np.minimum, np.fmin),
    "Mod": _division,
    "Mul": _binary(operator.mul),
    "NE": _binary(operator.ne),
    "Not": _not,
    "Or": _or,
    "RShift": _binary(operator.rshift),
    "Ramp": _ramp,
    "Select": _select,
    "Shuffle": _shuffle,
    "SizeVar": _variable,
    "Sub": _binary(operator.sub),
    "Var": _variable,
}
"""Expressions by the kinds of their nodes."""
