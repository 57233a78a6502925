"""Which odd kernels can be sent to another process: all but those of data/cannot_cross.toml."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm
import tvm_ffi
from support import host
from tvm import tirx

from tilelang.tt import errors
from tilelang.tt.service.key import fingerprint
from tilelang.tt.service.transport import decode, encode

pytestmark = pytest.mark.stage("worker")

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA = tomllib.loads((Path(__file__).parent / "data/cannot_cross.toml").read_text(encoding="utf-8"))["kernel"]
CANNOT = {entry["name"]: entry for entry in DATA if host.HOST in entry.get("hosts", [host.HOST])}


def value(expr):
    return tirx.PrimFunc([], tirx.Evaluate(expr))


def attribute(held):
    return value(tirx.IntImm("int32", 0)).with_attr("held", held)


def deep_body():
    body = tirx.Evaluate(0)
    for level in range(1500):
        body = tirx.For(tirx.Var(f"i{level}", "int32"), 0, 2, 0, body)
    return tirx.PrimFunc([], body)


def call_of_another():
    other = tvm.ir.GlobalVar("other")
    return value(tvm.ir.Call(other, []) if hasattr(tvm.ir, "Call") else tirx.Call("int32", other, []))


ODD = {
    "subnormal_constant": lambda: value(tirx.FloatImm("float64", 5e-324)),
    "infinite_constant": lambda: value(tirx.FloatImm("float32", float("-inf"))),
    "nan_constant": lambda: value(tirx.FloatImm("float32", float("nan"))),
    "constant_beyond_int64": lambda: value(tirx.const(2**63 + 5, "uint64")),
    "deep_body": deep_body,
    "call_of_a_packed_function": lambda: value(tirx.call_packed("f", 1)),
    "call_of_another": call_of_another,
    "function_attribute": lambda: attribute(tvm_ffi.convert(print)),
    "environment_function_attribute": lambda: attribute(tvm.ir.EnvFunc.get("ffi.Array")),
    "python_attribute": lambda: attribute(tvm_ffi.convert(object())),
    "device_attribute": lambda: attribute(tvm_ffi.device("cpu", 0)),
    "pointer_attribute": lambda: attribute(ctypes.c_void_p(16)),
    "tensor_attribute": lambda: attribute(tvm.runtime.tensor(np.zeros(3))),
    "list_attribute": lambda: attribute(tvm_ffi.List([1])),
    "nested_attribute": lambda: attribute({"a": [1, None, {"b": 2.5}], "c": True}),
    "bytes_attribute": lambda: attribute(b"\x00\xff"),
    "shape_attribute": lambda: attribute(tvm_ffi.Shape((1, 2))),
    "dtype_attribute": lambda: attribute(tvm_ffi.dtype("float32")),
    "expression_attribute": lambda: attribute(tirx.Var("n", "int32") + 1),
    "kernel_attribute": lambda: attribute(value(tirx.IntImm("int32", 1))),
    "module_attribute": lambda: attribute(tvm.IRModule({"main": value(tirx.IntImm("int32", 1))})),
    "operator_attribute": lambda: attribute(tvm.ir.Op.get("tirx.exp")),
    "target_attribute": lambda: attribute(tvm.target.Target({"kind": "c"}, host={"kind": "c"})),
    "control_characters": lambda: attribute("a\x00b\x1f\x7f\u2028"),
    "characters_beyond_16_bits": lambda: attribute("😀").with_attr("😀é", 1),
    "long_text": lambda: attribute("x" * 1_000_000),
}


@pytest.mark.deep
@pytest.mark.parametrize("name", ODD)
def test_an_odd_kernel_crosses_or_is_listed(name):
    func = ODD[name]()
    if name in CANNOT:
        with pytest.raises(errors.TTError) as caught:
            decode(encode(func))
        assert caught.value.code == CANNOT[name]["code"]
        return
    back = decode(encode(func))
    assert fingerprint(back) == fingerprint(func)
    tvm.ir.assert_structural_equal(back, func, map_free_vars=True)


def test_every_entry_says_why_and_has_a_kernel():
    assert {entry["name"] for entry in DATA} <= set(ODD)
    assert all(entry["reason"].endswith(".") for entry in DATA)
