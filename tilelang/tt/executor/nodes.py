"""The IR as the executor reads it: one set of words for what the hosts build differently."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..errors import refusal
from .arrays import dtype_of

# A load is a node of its own in some hosts' tensor language.
_SAME = {"TensorLoad": "BufferLoad", "TensorRegion": "BufferRegion"}
_KINDS: dict[type, str] = {}
_EXTENDED = (
    "bfloat16",
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)
_DECLARATION = re.compile(r"#|\w+ = T\.(Buffer|match_buffer|decl_buffer|u?int\d+|float\d+|handle)\(")
_PLAIN = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_FLOATS = ("float16", "float32", "float64")

# Fields of expressions that hold none.
_NO_CHILDREN = ("op", "ty", "buffer", "source", "attrs", "annotations", "ty_args", "struct_info_")

VARIABLES = ("Var", "SizeVar")

REDUCTION_ITERATOR = 2
"""The type of an IterVar that a block reduces over."""


def kind(node: Any) -> str:
    """What a node is: its type key without the namespace, which the hosts do not agree on."""
    cls = type(node)
    if cls not in _KINDS:
        info = getattr(cls, "__tvm_ffi_type_info__", None)
        name = info.type_key.rpartition(".")[2] if info else cls.__name__
        _KINDS[cls] = _SAME.get(name, name)
    return _KINDS[cls]


def key(node: Any) -> int:
    """What tells a variable or a buffer from all others while the function lives."""
    handle: int = node.__chandle__()
    return handle


def fields(node: Any) -> Iterator[tuple[str, Any]]:
    """All fields of a node but its span."""
    info = getattr(type(node), "__tvm_ffi_type_info__", None)
    while info is not None:
        for field in info.fields:
            if field.name != "span":
                yield field.name, getattr(node, field.name)
        info = info.parent_type_info


def children(node: Any) -> Iterator[Any]:
    """The expressions directly inside of an expression."""
    for name, field in fields(node):
        if name in _NO_CHILDREN:
            continue
        if kind(field) == "Array":
            yield from field
        elif hasattr(type(field), "__tvm_ffi_type_info__"):
            yield field


class Type(NamedTuple):
    """What an expression is: a dtype of numpy, and its lanes; 1 of a scalar."""

    dtype: np.dtype[Any]
    lanes: int


def dtype_name(node: Any) -> str:
    """The dtype of an expression, a variable or a buffer as TVM spells it; "handle" of what is no number."""
    dtype = getattr(node, "dtype", None)
    if dtype is None:
        dtype = getattr(getattr(node, "ty", None), "dtype", "handle")
    # Buffers of some hosts have a type where others have a name.
    return str(getattr(dtype, "dtype", dtype))


def type_of(node: Any) -> Type:
    """What an expression is in numpy.

    Raises:
        NotCoveredError: Numpy has no such dtype.
    """
    name, _, lanes = dtype_name(node).rpartition("x") if _is_vector(dtype_name(node)) else (dtype_name(node), "", "1")
    return Type(numpy_dtype(name), int(lanes))


def lanes_of(node: Any) -> int:
    """The lanes of an expression; 1 of what is no number."""
    name = dtype_name(node)
    return int(name.rpartition("x")[2]) if _is_vector(name) else 1


def _is_vector(name: str) -> bool:
    element, mark, lanes = name.rpartition("x")
    return bool(mark) and lanes.isdigit() and bool(element)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """A dtype of numpy or ``ml_dtypes``.

    Raises:
        NotCoveredError: Neither has it.
        HostError: It is that of ``ml_dtypes``, which is not installed.
    """
    if name in (*_PLAIN, *_FLOATS, *_EXTENDED):
        return dtype_of(name)
    known = ", ".join((*_PLAIN, *_FLOATS, *_EXTENDED))
    raise refusal("TT921", f"found the dtype {name or 'void'}; expected one of {known}")


def parameter_buffer(func: Any, parameter: Any) -> Any:
    """The buffer of a tensor parameter; None of a scalar."""
    if hasattr(func, "buffer_map"):
        return next((buffer for handle, buffer in func.buffer_map.items() if handle.same_as(parameter)), None)
    return parameter if _is_buffer_variable(parameter) else None


def _is_buffer_variable(variable: Any) -> bool:
    return kind(getattr(variable, "ty", None)) == "BufferType"


class BufferFacts(NamedTuple):
    """What there is to know of a buffer.

    Attributes:
        name: As the user wrote it.
        dtype: Of an element, as TVM spells it.
        shape: Expressions.
        strides: Expressions; none where it is compact.
        offset: The expression of its first element.
        data: What tells the memory that it lies in from all others.
    """

    name: str
    dtype: str
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    offset: Any
    data: int


def buffer_facts(buffer: Any) -> BufferFacts:
    """What there is to know of a buffer, from the node or from the type of its variable."""
    typed = buffer.ty if _is_buffer_variable(buffer) else buffer
    return BufferFacts(
        str(buffer.name),
        dtype_name(typed),
        tuple(typed.shape),
        tuple(typed.strides),
        typed.elem_offset,
        key(buffer) if typed is not buffer else key(buffer.data),
    )


def loaded_buffer(load: Any) -> Any:
    """The buffer of a load or a region."""
    return load.buffer if hasattr(load, "buffer") else load.source


def declared_source(declaration: Any) -> Any:
    """The buffer that a DeclBuffer is a view of; None where the buffer itself says so."""
    data = getattr(declaration, "data", None)
    if data is None:
        return None
    return data.args[0] if kind(data) == "Call" else data


def operation(call: Any) -> str:
    """The name of what is called: that of an operator, or of a function of the module."""
    return str(getattr(call.op, "name", None) or getattr(call.op, "name_hint", None) or call.op)


def constant(node: Any) -> int | None:
    """The value of an integer constant; None of all else."""
    if isinstance(node, int):
        return int(node)
    return int(node.value) if kind(node) == "IntImm" else None


def is_constant(node: Any) -> bool:
    """Whether a node is a number."""
    return kind(node) in ("IntImm", "FloatImm")


def text(node: Any, limit: int = 120) -> str:
    """A node as its host prints it, in one line, without the declarations that a host puts before a statement."""
    lines = [line for line in str(node).splitlines() if not _DECLARATION.match(line)]
    printed = " ".join(" ".join(lines).split())
    return printed if len(printed) <= limit else f"{printed[: limit - 3]}..."
