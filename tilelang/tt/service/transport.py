"""IR as text, for another process or for a file: the JSON of the host, checked before the host sees it again.

A text is a list of nodes, each of which has a type and refers to nodes before it. That is data: reading it runs no code
of whoever wrote it. TVMScript is code, and is not used here.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
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
# Of these, what says where something was written.
_PLACES = ("ir.SequentialSpan", "ir.SourceName", "ir.Span")
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
# Lists of references, and how many belong together.
_CONTAINERS = {"ffi.Array": 1, "ffi.Map": 2}
# Values that stand in a field itself, by the static type of the field as tvm-ffi's C ABI numbers them.
_INLINE = {0: _LEAVES["None"], 1: _is_int, 2: _LEAVES["bool"], 3: _is_float, 5: _is_text}
# Fields that may be empty though their declaration does not say so.
_MAY_BE_EMPTY = {"attrs", "dom", "span"}


# Numbers that stand for words: the host ends the process at others.
_WORDS = {
    ("tirx.For", "kind"): range(5),
    ("tirx.IterVar", "iter_type"): range(9),
    ("tirx.Buffer", "buffer_type"): range(1, 3),
}


class _Field(NamedTuple):
    inline: Callable[[Any], bool] | None  # None for a reference to a node
    declared: dict[str, Any]  # its type as tvm-ffi describes it


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
    has_small = _SMALL.search(text) is not None
    if places and not has_small:
        return text
    graph = json.loads(text)
    if has_small:
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
    """Refuse whatever the host might not survive: it follows any index, as deep as it leads, to whatever is there."""
    if not isinstance(graph, dict) or not {"root_index", "nodes"} <= graph.keys() <= {
        "root_index",
        "nodes",
        "metadata",
    }:
        raise _refused("expected an object of root_index, nodes and metadata")
    nodes = graph["nodes"]
    if not isinstance(nodes, list) or not 0 < len(nodes) <= MAX_NODES:
        raise _refused(f"expected 1 to {MAX_NODES} nodes")
    checked = _Checked(nodes)
    for index in range(len(nodes)):
        checked.add(index)
    if graph["root_index"] != len(nodes) - 1 or type(graph["root_index"]) is not int:
        raise _refused("expected the last node to be the root")
    if nodes[-1]["type"] not in roots:
        raise _refused(f"the root is of type {nodes[-1]['type']}; expected {' or '.join(roots)}")


class _Checked:
    """The nodes of a graph, as far as they have been checked."""

    def __init__(self, nodes: list[Any]) -> None:
        self._nodes = nodes
        self._depths: list[int] = []
        self._fitting: dict[tuple[int, int], bool] = {}

    def add(self, index: int) -> None:
        """Check the node after those that have been checked."""
        node = self._nodes[index]
        if not isinstance(node, dict) or not {"type"} <= node.keys() <= {"type", "data"} or not _is_text(node["type"]):
            raise _refused(f"node {index} is {_short(node)}; expected an object of type and data")
        type_key: str = node["type"]
        data: Any = node.get("data")
        where = f"node {index} of type {_short(type_key)}"
        if type_key in _LEAVES:
            if not _LEAVES[type_key](data):
                raise _refused(f"{where} has the data {_short(data)}")
        elif type_key in _CONTAINERS:
            if not isinstance(data, list) or len(data) % _CONTAINERS[type_key]:
                raise _refused(f"{where} has the data {_short(data)}")
        else:
            self._check_fields(where, type_key, data)
        depth = 0
        for key in _keys(node):
            found = data[key]
            if type(found) is not int or not 0 <= found < index:
                raise _refused(f"{where} refers to {_short(found)}; expected a node before it")
            depth = max(depth, self._depths[found])
        if depth >= MAX_DEPTH:
            raise _refused(f"the nodes are nested more than {MAX_DEPTH} deep")
        self._depths.append(depth + 1)
        for name, field in (_fields(type_key) or {}).items():
            found = node["data"][name]
            if field.inline is None and not self._fits(found, field.declared, name in _MAY_BE_EMPTY):
                raise _refused(f"{where} has a {self._nodes[found]['type']} as its {name}")

    def _check_fields(self, where: str, type_key: str, data: Any) -> None:
        fields = _fields(type_key)
        if fields is None:
            raise _refused(f"{where}, which no kernel is made of")
        if not isinstance(data, dict) or data.keys() != fields.keys():
            raise _refused(f"{where} has not the fields {', '.join(fields)}")
        for name, field in fields.items():
            words = _WORDS.get((type_key, name))
            if field.inline is not None and not (field.inline(data[name]) and (words is None or data[name] in words)):
                raise _refused(f"{where} has the {name} {_short(data[name])}")

    def _fits(self, index: int, declared: dict[str, Any], may_be_empty: bool = False) -> bool:
        """Whether a node is of a type: the hosts do not look at all of them."""
        key = index, id(declared)
        if key not in self._fitting:
            self._fitting[key] = self._is(self._nodes[index], declared)
        return self._fitting[key] or (may_be_empty and self._nodes[index]["type"] == "None")

    def _is(self, node: dict[str, Any], declared: dict[str, Any]) -> bool:
        wanted, found, inner = declared["type"], node["type"], declared.get("args", [])
        if wanted == "Any":
            return True
        if wanted == "Optional":
            return found == "None" or self._is(node, inner[0])
        if wanted == "ffi.BigInt":
            return found in ("int", "ffi.BigInt")
        if wanted not in _kinds(found):
            return False
        return wanted not in _CONTAINERS or all(
            self._fits(item, inner[position % len(inner)]) for position, item in enumerate(node["data"]) if inner
        )


def _keys(node: dict[str, Any]) -> Iterable[Any]:
    """Under which keys of its data a node has the index of another one."""
    type_key = node["type"]
    return range(len(node["data"])) if type_key in _CONTAINERS else _names(type_key)


@cache
def _names(type_key: str) -> tuple[str, ...]:
    """The fields of a type that refer to nodes."""
    fields = {} if type_key in _LEAVES else _fields(type_key) or {}
    return tuple(name for name, field in fields.items() if field.inline is None)


@cache
def _fields(type_key: str) -> dict[str, _Field] | None:
    """The fields of a type of IR; None for any other type."""
    import tvm_ffi

    if not type_key.startswith(_FAMILIES):
        return None
    found = tvm_ffi.get_global_func("tilelang.tt.fields")(type_key)
    return (
        None
        if found is None
        else {
            str(name): _Field(_INLINE.get(static_type), json.loads(json.loads(schema)["type_schema"]))
            for name, static_type, schema in found
        }
    )


@cache
def _kinds(type_key: str) -> frozenset[str]:
    """A type and all that it is derived from."""
    import tvm_ffi

    return frozenset(map(str, tvm_ffi.get_global_func("tilelang.tt.kinds")(type_key)))


def _without_places(graph: Any) -> Any:
    """The same nodes but for spans, and what only they refer to."""
    kept: list[Any] = [{"type": "None"}]
    moved: list[int] = []
    places: set[int] = set()
    for index, node in enumerate(graph["nodes"]):
        type_key: str = node["type"]
        data: Any = node.get("data")
        if type_key in _PLACES or (type_key == "ffi.Array" and data and places.issuperset(data)):
            places.add(index)
        if index in places or type_key == "None":
            moved.append(0)
            continue
        for key in _keys(node):
            data[key] = moved[data[key]]
        moved.append(len(kept))
        kept.append(node)
    return {"root_index": moved[graph["root_index"]], "nodes": kept}


def _refused(message: str) -> TTError:
    return refusal("TT976", f"the text is no IR: {message}")


def _short(value: Any) -> str:
    """A value in a message, which may be of any size."""
    text = repr(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
