"""IR over a boundary: what crosses is the same afterwards, what is broken does not reach the host."""

import json
import re
import struct

import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from support import host, kernels_tirx, sent
from support.process import run_python
from tvm import tirx

from tilelang.tt import errors
from tilelang.tt.plan import make_plan
from tilelang.tt.service import transport
from tilelang.tt.service.key import fingerprint
from tilelang.tt.service.transport import MAX_DEPTH, decode, decode_any, encode

pytestmark = pytest.mark.stage("worker")


@pytest.fixture(scope="module")
def kernel():
    return next(case for case in kernels_tirx.CASES if case.name == "gemm").build()


@pytest.fixture(scope="module")
def gemm_text(kernel):
    return encode(kernel)


def with_value(value):
    return tirx.PrimFunc([], tirx.Evaluate(value))


def is_equal(one, other):
    return tvm_ffi.structural_equal(one, other, map_free_vars=True)


@pytest.mark.parametrize("places", [False, True])
def test_every_function_crosses(places):
    for name, func in sent.functions():
        text = encode(func, places=places)
        back = decode(text)
        # Lowered functions have free variables, and one host cannot find those that are keys of a map.
        of_host = tvm.ir.load_json(tvm.ir.save_json(func))
        assert is_equal(back, func) or not is_equal(of_host, func), name
        assert fingerprint(back) == fingerprint(func), name
        assert encode(back, places=places) == text, name


def test_a_kernel_that_crossed_has_the_same_plan(kernel):
    def plan(func):
        return [
            line for line in make_plan(func).to_json().splitlines() if '"line"' not in line and '"file"' not in line
        ]

    assert plan(decode(encode(kernel, places=True))) == plan(kernel)


def test_without_places_nothing_says_where_a_kernel_was_written():
    for name, func in sent.functions():
        text = encode(func)
        assert "Span" not in text, name
        assert "SourceName" not in text, name
        assert ".py" not in text, name


def test_places_cross_for_messages(kernel):
    if not host.HAS_SPANS:
        pytest.skip("this host has no places in statements")
    text = encode(kernel, places=True)
    assert "kernels_tirx.py" in text
    assert decode(text).body.span.line == kernel.body.span.line


@given(st.floats(width=64, allow_subnormal=False))
def test_floats_cross_bit_by_bit(value):
    (node,) = {decode(encode(with_value(tirx.FloatImm("float64", value)))).body.value.value}
    assert struct.pack("d", node) == struct.pack("d", value) or value != value


@pytest.mark.parametrize("value", [5e-324, -2.2250738585072009e-308])
def test_subnormal_floats_do_not_cross(value):
    with pytest.raises(errors.TransportError, match=f"TT977: the host does not read the constant {value} again"):
        encode(with_value(tirx.FloatImm("float64", value)), places=True)
    text = f"{value} stands in a text"
    assert decode(encode(with_value(tirx.IntImm("int32", 0)).with_attr("note", text))).attrs["note"] == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_cross(value):
    assert decode(encode(with_value(tirx.IntImm("int64", value)))).body.value.value == value


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_texts_cross(text):
    func = with_value(tirx.IntImm("int32", 0)).with_attr("note", text).with_attr("key" + text, [text])
    back = decode(encode(func))
    assert (back.attrs["note"], back.attrs["key" + text][0]) == (text, text)


def test_odd_attributes_cross():
    target = tvm.target.Target({"kind": "llvm"})
    func = with_value(tirx.IntImm("int32", 0)).with_attr("note", b"\x00\xff").with_attr("target", target)
    back = decode(encode(func))
    assert bytes(back.attrs["note"]) == b"\x00\xff"
    assert str(back.attrs["target"]) == str(target)


def test_a_function_in_an_attribute_does_not_cross():
    func = with_value(tirx.IntImm("int32", 0)).with_attr("callback", tvm_ffi.convert(print))
    with pytest.raises(errors.OpaqueKernelError, match=r"TT979: the kernel holds ffi\.Function, which has no content"):
        encode(func)


def nested(depth):
    body = tirx.Evaluate(0)
    for level in range(depth):
        body = tirx.For(tirx.Var(f"i{level}", "int32"), 0, 2, 0, body)
    return tirx.PrimFunc([], body)


@pytest.mark.deep
def test_deep_bodies_cross_or_are_refused():
    func = nested(MAX_DEPTH - 10)
    assert fingerprint(decode(encode(func))) == fingerprint(func)
    with pytest.raises(errors.TransportError, match=r"TT977: the kernel is nested .* expected at most 1000 levels"):
        encode(nested(MAX_DEPTH))


def test_modules_are_read_where_a_caller_wants_them(kernel):
    module = tvm.IRModule({"main": kernel})
    text = tvm.ir.save_json(module)
    tvm.ir.assert_structural_equal(decode_any(text), module)
    with pytest.raises(errors.TransportError, match=r"the root is of type ir.IRModule; expected tirx.PrimFunc"):
        decode(text)


def graph(*nodes, **changes):
    return {"root_index": len(nodes) - 1, "nodes": [*nodes], **changes}


NONE = {"type": "None"}
BROKEN = [
    ("[" * 100_000, "the text is no JSON"),
    ("{", "the text is no JSON"),
    ([], "expected an object of root_index, nodes and metadata"),
    ({"nodes": []}, "expected an object"),
    (graph(), "expected 1 to .* nodes"),
    (graph(NONE, root_index=7), "expected the last node to be the root"),
    (graph(NONE, root_index=False), "expected the last node to be the root"),
    (graph(NONE), "the root is of type None; expected tirx.PrimFunc"),
    (graph(7), "node 0 is 7; expected an object of type and data"),
    (graph({"type": "None", "extra": 1}), "expected an object of type and data"),
    (graph({"type": "int", "data": 2**63}), "node 0 of type 'int' has the data 9223372036854775808"),
    (graph({"type": "int", "data": True}), "node 0 of type 'int' has the data True"),
    (graph({"type": "ffi.Bytes", "data": "!"}), "node 0 of type 'ffi.Bytes' has the data"),
    (graph({"type": "ffi.Array", "data": [0]}), "node 0 of type 'ffi.Array' refers to 0; expected a node before it"),
    (graph(NONE, {"type": "ffi.Array", "data": [-1]}), "node 1 of type 'ffi.Array' refers to -1"),
    (graph(NONE, {"type": "ffi.Array", "data": ["0"]}), "node 1 of type 'ffi.Array' refers to '0'"),
    (graph(NONE, {"type": "ffi.Map", "data": [0]}), "node 1 of type 'ffi.Map' has the data list"),
    (graph({"type": "ffi.Module", "data": ""}), "node 0 of type 'ffi.Module', which no kernel is made of"),
    (graph({"type": "ffi.Function", "data": {}}), "which no kernel is made of"),
    (graph({"type": "ir.EnvFunc", "data": "print"}), "which no kernel is made of"),
    (graph({"type": "tirx.Nothing", "data": {}}), "which no kernel is made of"),
    (graph({"type": "x" * 999, "data": {}}), "\\.\\.\\., which no kernel is made of"),
    (graph({"type": "tirx.Evaluate", "data": {}}), "node 0 of type 'tirx.Evaluate' has not the fields"),
    (
        graph(NONE, {"type": "tirx.Evaluate", "data": {"span": 0, "value": 0}}),
        "node 1 of type 'tirx.Evaluate' has a None as its value",
    ),
    (
        graph(NONE, {"type": "ffi.Array", "data": [0]}, {"type": "tirx.SeqStmt", "data": {"span": 0, "seq": 1}}),
        "node 2 of type 'tirx.SeqStmt' has a ffi.Array as its seq",
    ),
    (
        graph(NONE, *({"type": "ffi.Array", "data": [index]} for index in range(MAX_DEPTH))),
        "the nodes are nested more than 1000 deep",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_what_is_broken_is_refused(text, message):
    with pytest.raises(errors.TransportError, match=f"TT976: .*{message}"):
        decode(text if isinstance(text, str) else json.dumps(text))


def test_the_host_reads_what_was_checked(gemm_text):
    """Of two values under one key, whichever the host would take."""
    root = re.search(r'"root_index":(\d+)', gemm_text)[1]
    decode(gemm_text.replace('"root_index"', f'"root_index":{10**9},"root_index"'))
    with pytest.raises(errors.TransportError, match="expected the last node to be the root"):
        decode(gemm_text.replace(f'"root_index":{root}', f'"root_index":{root},"root_index":{10**9}'))


@settings(max_examples=150)
@given(st.data())
def test_a_text_that_is_changed_in_one_place_is_another_kernel_or_none(gemm_text, data):
    """The digest of a kernel is one of every value in it."""
    changed = json.loads(gemm_text)
    node = changed["nodes"][data.draw(st.integers(0, len(changed["nodes"]) - 1), label="node")]
    value, key = node.get("data"), None
    if isinstance(value, list | dict):
        if not value:
            return
        key = data.draw(st.sampled_from(range(len(value)) if isinstance(value, list) else sorted(value)), label="key")
        value[key] = change(value[key])
    else:
        node["data"] = change(value)
    try:
        found = decode(json.dumps(changed))
    except errors.TransportError:
        return
    if (value, key) not in references(node):  # to an equal node is no change
        assert fingerprint(found) != fingerprint(decode(gemm_text))


def references(node):
    return [(node["data"], key) for key in transport._keys(node)]


def change(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x" if isinstance(value, str) else 1


def test_what_only_the_host_can_refuse_is_refused(gemm_text):
    with pytest.raises(errors.TransportError, match="TT976: the host does not make IR of it"):
        decode(gemm_text.replace('"bfloat16"', '"nothing"'))


@pytest.mark.parametrize(
    ("type_key", "field", "value", "message"),
    [
        ("tirx.For", "kind", 7, "has the kind 7"),
        ("tirx.IterVar", "iter_type", -1, "has the iter_type -1"),
        ("tirx.For", "extent", "body", "as its extent"),
        ("tirx.For", "loop_var", "min", "as its loop_var"),
        ("tirx.PrimFunc", "params", "attrs", "as its params"),
    ],
)
def test_what_the_host_takes_and_does_not_survive_is_refused(gemm_text, type_key, field, value, message):
    """A word that is none, and a field that holds what another one should: passes end the process there."""
    changed = json.loads(gemm_text)
    node = next(node for node in changed["nodes"] if node["type"] == type_key)
    node["data"][field] = node["data"][value] if isinstance(value, str) else value
    with pytest.raises(errors.TransportError, match=f"TT976: .*{type_key}.*{message}"):
        decode(json.dumps(changed))


def test_the_text_of_a_crashing_reader_does_not_end_the_process(tmp_path):
    """What the host alone does not survive."""
    text = json.dumps(graph(NONE, {"type": "ffi.Array", "data": [10**12]}, root_index=1))
    code = f"""
        from tilelang.tt.service.transport import decode
        try:
            decode({text!r})
        except ValueError as error:
            print(error.code)
    """
    assert run_python(code, tmp_path) == "TT976\n"
