"""IR as text, for another process or for a file: the JSON of the host, checked before the host sees it again.

A text is a list of nodes, each of which has a type and refers to nodes before it. That is data: reading it runs no code
of whoever wrote it. TVMScript is code, and is not used here.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import TTError, refusal

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

# Half of where the hosts' own reader, which recurses, ends a process with a stack of 8 MB.
MAX_DEPTH = 1000
MAX_NODES = 2_000_000

# What may be a float that is no normal number.
_SMALL = re.compile(r"e-3[0-9]{2}")
_INT64 = range(-(2**63), 2**63)
_FUNCTION, _MODULE = "tirx.PrimFunc", "ir.IRModule"
# Types of nodes that the hosts make of their fields. Nothing that holds code or opens files is among them: a module of
# machine code, and a function of the process, are types of other families.
_FAMILIES = ("ir.", "prim.", "relax.", "s_tir.", "target.", "tirx.", "tl.")
# Those that are known by name to every process of the host.
_NAMED = ("ir.Op", "ir.SourceName", "target.TargetKind", "tirx.Axis")


def _is_int(value: Any) -> bool:
    return type(value) is int and value in _INT64


def _is_float(value: Any) -> bool:
    return type(value) is float or _is_int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_digits(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,99}", value) is not None


# What may stand as the data of a node that refers to no other.
_LEAVES: dict[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": _is_int,
    "float": _is_float,
    "DataType": _is_text,
    "ffi.BigInt": _is_digits,
    "ffi.Bytes": lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", value) is not None,
    "ffi.Shape": lambda value: isinstance(value, list) and all(map(_is_int, value)),
    "ffi.String": _is_text,
    **dict.fromkeys(_NAMED, _is_text),
}
# Values that stand in a field itself, by the static type of the field as tvm-ffi's C ABI numbers them.
_INLINE = {0: _LEAVES["None"], 1: _is_int, 2: _LEAVES["bool"], 3: _is_float, 5: _is_text}
# Fields that may be empty though their declaration does not say so.
_MAY_BE_EMPTY = {"attrs", "dom", "span"}


class _Field(NamedTuple):
    inline: Callable[[Any], bool] | None  # None for a reference to a node
    may_be_empty: bool
    may_hold_empty: bool  # as one of several


class _Node(NamedTuple):
    """What is known of a node that has been checked."""

    depth: int
    is_empty: bool
    holds_empty: bool


def encode(func: "PrimFunc", *, places: bool = False) -> str:
    """A function as the JSON of its host.

    Args:
        func: The function.
        places: Whether to keep where its statements stand in files of the user's, for messages.

    Raises:
        OpaqueKernelError: It holds something that has no content, such as a function in an attribute.
        TransportError: It is nested too deeply for its host to be read again.
    """
    import tvm_ffi
    from tvm.ir import save_json

    # The host's writer recurses.
    depth = tvm_ffi.get_global_func("tilelang.tt.depth")(func)
    if depth > MAX_DEPTH:
        raise refusal("TT977", f"the kernel is nested {depth} deep; expected at most {MAX_DEPTH} levels")
    try:
        text = str(save_json(func))
    except Exception as error:
        raise refusal("TT977", f"the host cannot write the kernel as JSON: {error}") from error
    graph = None if places and _SMALL.search(text) is None else json.loads(text)
    if graph is not None:
        _check_floats(graph)
    return text if places else _dump(_without_places(graph))


def _check_floats(graph: Any) -> None:
    """The hosts write numbers that they cannot read: strtod calls what is no normal number out of range."""
    for node in graph["nodes"]:
        values = node["data"].values() if isinstance(node.get("data"), dict) else (node.get("data"),)
        for value in values:
            if isinstance(value, float) and 0 < abs(value) < sys.float_info.min:
                raise refusal("TT977", f"the host does not read the constant {value} again; expected a normal number")


def decode(text: str) -> "PrimFunc":
    """The function of a text that :func:`encode` has given, on the same host.

    Raises:
        TransportError: The text is none.
    """
    return _load(text, (_FUNCTION,))


def decode_any(text: str) -> "PrimFunc | IRModule":
    """The function or the module of a JSON that the host has written.

    Raises:
        TransportError: The text is none.
    """
    return _load(text, (_FUNCTION, _MODULE))


def _load(text: str, roots: tuple[str, ...]) -> Any:
    from .. import _host

    _host.require_host()
    from tvm.ir import load_json

    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal("TT976", f"the text is no JSON: {error}") from error
    _check(graph, roots)
    try:
        # Written again: the host shall read what was checked, and not find another meaning in the same text.
        return load_json(_dump(graph))
    except Exception as error:
        raise refusal("TT976", f"the host does not make IR of it: {error}") from error


def _dump(graph: Any) -> str:
    return json.dumps(graph, separators=(",", ":"), ensure_ascii=False)


def _check(graph: Any, roots: tuple[str, ...]) -> None:
    """Refuse whatever the host might not survive: it follows any index, as deep as it leads."""
    if not isinstance(graph, dict) or not {"root_index", "nodes"} <= graph.keys() <= {
        "root_index",
        "nodes",
        "metadata",
    }:
        raise _refused("expected an object of root_index, nodes and metadata")
    nodes = graph["nodes"]
    if not isinstance(nodes, list) or not 0 < len(nodes) <= MAX_NODES:
        raise _refused(f"expected 1 to {MAX_NODES} nodes")
    checked: list[_Node] = []
    for index, node in enumerate(nodes):
        checked.append(_check_node(index, node, checked))
    if graph["root_index"] != len(nodes) - 1 or type(graph["root_index"]) is not int:
        raise _refused("expected the last node to be the root")
    if nodes[-1]["type"] not in roots:
        raise _refused(f"the root is of type {nodes[-1]['type']}; expected {' or '.join(roots)}")


def _check_node(index: int, node: Any, checked: list[_Node]) -> _Node:
    if not isinstance(node, dict) or not {"type"} <= node.keys() <= {"type", "data"} or not _is_text(node["type"]):
        raise _refused(f"node {index} is {_short(node)}; expected an object of type and data")
    type_key, data = node["type"], node.get("data")
    leaf = _LEAVES.get(type_key)
    if leaf is not None:
        if not leaf(data):
            raise _refused(f"node {index} of type {type_key} has the data {_short(data)}")
        return _Node(1, type_key == "None", False)
    fields = None
    if type_key in ("ffi.Array", "ffi.Map"):
        if not isinstance(data, list) or (type_key == "ffi.Map" and len(data) % 2):
            raise _refused(f"node {index} of type {type_key} has the data {_short(data)}")
    else:
        fields = _fields(type_key)
        if fields is None:
            raise _refused(f"node {index} is of type {_short(type_key)}, which no kernel is made of")
        if not isinstance(data, dict) or data.keys() != fields.keys():
            raise _refused(f"node {index} of type {type_key} has not the fields {', '.join(fields)}")
        for name, field in fields.items():
            if field.inline is not None and not field.inline(data[name]):
                raise _refused(f"node {index} of type {type_key} has the {name} {_short(data[name])}")
    depth, holds_empty = 0, False
    for container, key in _references(node):
        found = container[key]
        if type(found) is not int or not 0 <= found < index:
            raise _refused(f"node {index} refers to {_short(found)}; expected a node before it")
        child = checked[found]
        depth = max(depth, child.depth)
        if fields is None:
            holds_empty = holds_empty or child.is_empty or child.holds_empty
        elif (child.is_empty and not fields[key].may_be_empty) or (
            child.holds_empty and not fields[key].may_hold_empty
        ):
            raise _refused(f"node {index} of type {type_key} lacks its {key}")
    if depth >= MAX_DEPTH:
        raise _refused(f"the nodes are nested more than {MAX_DEPTH} deep")
    return _Node(depth + 1, False, holds_empty)


def _references(node: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where in a node the index of another one stands: what holds it, and its key in that."""
    type_key = node["type"]
    if type_key in ("ffi.Array", "ffi.Map"):
        yield from ((node["data"], position) for position in range(len(node["data"])))
    elif type_key not in _LEAVES:
        yield from ((node["data"], name) for name, field in (_fields(type_key) or {}).items() if field.inline is None)


@cache
def _fields(type_key: str) -> dict[str, _Field] | None:
    """The fields of a type of IR; None for any other type."""
    import tvm_ffi

    if not type_key.startswith(_FAMILIES):
        return None
    found = tvm_ffi.get_global_func("tilelang.tt.fields")(type_key)
    return None if found is None else {str(name): _field(str(name), *rest) for name, *rest in found}


def _field(name: str, static_type: int, schema: str) -> _Field:
    declared = schema.replace("\\", "")
    is_open = '"type":"Any"' in declared or '"type":"ffi.Object"' in declared
    is_optional = '{"type":"Optional"' in declared
    return _Field(_INLINE.get(static_type), is_open or is_optional or name in _MAY_BE_EMPTY, is_open or is_optional)


def _without_places(graph: Any) -> Any:
    """The same nodes but for spans, and what only they refer to."""
    nodes = graph["nodes"]
    needed = [False] * len(nodes)
    needed[graph["root_index"]] = True
    for index in range(len(nodes) - 1, -1, -1):
        if needed[index]:
            for container, key in _references(nodes[index]):
                if key != "span":
                    needed[container[key]] = True
    kept: list[Any] = [{"type": "None"}]
    moved: dict[int, int] = {}
    for index, node in enumerate(nodes):
        if not needed[index]:
            continue
        if node["type"] == "None":
            moved[index] = 0
            continue
        for container, key in _references(node):
            container[key] = 0 if key == "span" else moved[container[key]]
        moved[index] = len(kept)
        kept.append(node)
    return {"root_index": moved[graph["root_index"]], "nodes": kept}


def _refused(message: str) -> TTError:
    return refusal("TT976", f"the text is no IR: {message}")


def _short(value: Any) -> str:
    """A value in a message, which may be of any size."""
    text = repr(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
