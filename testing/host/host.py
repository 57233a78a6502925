"""The host under test, and what hosts differ in. Nothing here knows of tilelang.tt."""

import importlib.util
import inspect

# A namespace of that name has no origin, and stands beside apache-tvm.
_found = importlib.util.find_spec("tilelang")
ON_TILELANG = _found is not None and _found.origin is not None
if ON_TILELANG:  # whose own TVM is found after it alone
    import tilelang  # noqa: F401

import tvm
import tvm_ffi
from tvm import tirx
from tvm.script import tirx as T

arith = importlib.import_module("tvm.sym" if importlib.util.find_spec("tvm.sym") else "tvm.arith")
HAS_LLVM = tvm_ffi.get_global_func("target.build.llvm", allow_missing=True) is not None
# Of some hosts, functions with blocks are another dialect than those without.
_OF_BLOCKS = "(s_tir=True)" if "s_tir" in inspect.signature(T.prim_func).parameters else ""
SIMPLIFY = "StmtSimplify" if hasattr(tirx.transform, "StmtSimplify") else "Simplify"


def function(text):
    """A function of TVMScript as every host reads it."""
    text = text.strip()
    return tvm.script.from_source(f"@T.prim_func{_OF_BLOCKS if 'T.sblock' in text else ''}\n{text}\n")


def module(text):
    """A module with one function, ``main``."""
    return tvm.IRModule({"main": function(text).with_attr("global_symbol", "main")})


ADD_ONE = """
def add_one(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
    for i in T.serial(8):
        B[i] = A[i] + T.float32(1)
"""
ON_A_GRID = """
def on_a_grid(A: T.Buffer((32,), "float32")):
    for i in T.thread_binding(4, thread="blockIdx.x"):
        for j in T.thread_binding(8, thread="threadIdx.x"):
            A[i * 8 + j] = A[i * 8 + j] * T.float32(2)
"""
MATMUL = """
def matmul(A: T.Buffer((16, 16), "float32"), B: T.Buffer((16, 16), "float32"), C: T.Buffer((16, 16), "float32")):
    for i, j, k in T.grid(16, 16, 16):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
"""
SYMBOLIC = """
def symbolic(a: T.handle, b: T.handle):
    n = T.int32()
    A = T.match_buffer(a, (n, 4), "float16")
    B = T.match_buffer(b, (n, 4), "float16")
    for i, j in T.grid(n, 4):
        B[i, j] = A[i, j]
"""
BRANCHES = """
def branches(A: T.Buffer((16,), "int32")):
    for i in range(16):
        if i < 8:
            A[i] = i
        else:
            A[i] = 0 - i
"""
SCRIPTS = {
    "add_one": ADD_ONE,
    "on_a_grid": ON_A_GRID,
    "matmul": MATMUL,
    "symbolic": SYMBOLIC,
    "branches": BRANCHES,
}
