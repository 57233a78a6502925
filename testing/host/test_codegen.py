"""Generating code, by LLVM where the host has it and as C, and running it."""

import shutil

import numpy as np
import pytest
from host import ADD_ONE, BRANCHES, HAS_LLVM, MATMUL, ON_A_GRID, SYMBOLIC, function, tirx, tvm, tvm_ffi

llvm = pytest.mark.skipif(not HAS_LLVM, reason="this host has been built without LLVM")
TARGETS = [pytest.param("llvm", marks=llvm), "c"]
NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
# A kernel for a device, and what nobody builds code for says so.
UNBUILT = "Cannot find global function target.build."


def tensors(*arrays):
    return [tvm.runtime.tensor(array) for array in arrays]


@NEEDS_COMPILER
@pytest.mark.parametrize("target", TARGETS)
def test_add_one(target):
    a, b = tensors(np.arange(8, dtype="float32"), np.zeros(8, "float32"))
    tvm.compile(function(ADD_ONE), target=target)["add_one"](a, b)
    np.testing.assert_array_equal(b.numpy(), np.arange(1, 9, dtype="float32"))


@NEEDS_COMPILER
@pytest.mark.parametrize("target", TARGETS)
def test_branches(target):
    (a,) = tensors(np.zeros(16, "int32"))
    tvm.compile(function(BRANCHES), target=target)["branches"](a)
    np.testing.assert_array_equal(a.numpy(), [*range(8), *range(-8, -16, -1)])


@NEEDS_COMPILER
@pytest.mark.parametrize("target", TARGETS)
def test_matmul(target):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-4, 4, (16, 16)).astype("float32") for _ in range(2))
    a, b, c = tensors(x, y, np.zeros((16, 16), "float32"))
    tvm.compile(function(MATMUL), target=target)["matmul"](a, b, c)
    np.testing.assert_array_equal(c.numpy(), x @ y)


@llvm
@pytest.mark.parametrize("n", [1, 3])
def test_symbolic(n):
    a, b = tensors(np.arange(n * 4).reshape(n, 4).astype("float16"), np.zeros((n, 4), "float16"))
    tvm.compile(function(SYMBOLIC), target="llvm")["symbolic"](a, b)
    np.testing.assert_array_equal(b.numpy(), a.numpy())


@llvm
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bool"])
def test_copies(dtype):
    text = ADD_ONE.replace("float32", dtype).replace(f"A[i] + T.{dtype}(1)", "A[i]")
    a, b = tensors(np.arange(8).astype(dtype), np.zeros(8, dtype))
    tvm.compile(function(text), target="llvm")["add_one"](a, b)
    np.testing.assert_array_equal(b.numpy(), a.numpy())


@llvm
@pytest.mark.parametrize("intrinsic", ["exp", "sqrt", "tanh", "floor", "log", "sin"])
def test_intrinsic(intrinsic):
    text = ADD_ONE.replace("A[i] + T.float32(1)", f"T.{intrinsic}(A[i])")
    x = np.linspace(0.5, 2.5, 8, dtype="float32")
    a, b = tensors(x, np.zeros(8, "float32"))
    tvm.compile(function(text), target="llvm")["add_one"](a, b)
    np.testing.assert_allclose(b.numpy(), getattr(np, intrinsic)(x), rtol=1e-5)


@llvm
def test_source_of_llvm():
    source = tvm.compile(function(ADD_ONE), target="llvm").mod.inspect_source("ll")
    assert "define" in source
    assert "__tvm_ffi_add_one" in source


def test_source_of_c():
    source = tvm.compile(function(ADD_ONE), target="c").mod.inspect_source()
    assert "TVM_DLL int32_t __tvm_ffi_add_one(" in source
    assert "TVMFFIErrorSetRaised" in source


def test_source_of_opencl():
    built = tvm.compile(function(ON_A_GRID), target={"kind": "opencl", "host": "c"})
    source = built.mod.imports[0].inspect_source()
    assert "__kernel void on_a_grid_kernel(__global float* restrict" in source


@NEEDS_COMPILER
@pytest.mark.parametrize("target", TARGETS)
def test_library(tmp_path, target):
    tvm.compile(function(ADD_ONE), target=target).export_library(str(tmp_path / "lib.so"))
    a, b = tensors(np.zeros(8, "float32"), np.zeros(8, "float32"))
    loaded = tvm.runtime.load_module(str(tmp_path / "lib.so"))
    loaded["add_one"](a, b)
    assert b.numpy().tolist() == [1.0] * 8
    assert loaded.implements_function("add_one")
    assert not loaded.implements_function("another")


@NEEDS_COMPILER
def test_wrong_shape():
    a, b = tensors(np.zeros(7, "float32"), np.zeros(8, "float32"))
    with pytest.raises(ValueError, match="add_one"):
        tvm.compile(function(ADD_ONE), target="c")["add_one"](a, b)


@NEEDS_COMPILER
def test_wrong_dtype():
    a, b = tensors(np.zeros(8, "int32"), np.zeros(8, "float32"))
    with pytest.raises(TypeError, match="add_one"):
        tvm.compile(function(ADD_ONE), target="c")["add_one"](a, b)


@NEEDS_COMPILER
def test_wrong_count():
    (a,) = tensors(np.zeros(8, "float32"))
    with pytest.raises(TypeError, match="Expected 2 arguments"):
        tvm.compile(function(ADD_ONE), target="c")["add_one"](a)


@NEEDS_COMPILER
def test_called_back():
    """Compiled code calls a function of Python's, whose error comes through as it is."""

    def refuse(value):
        raise KeyError(f"found {value}")

    tvm_ffi.register_global_func("host.tests.refuse", refuse, override=True)
    func = tirx.PrimFunc([], tirx.Evaluate(tirx.call_packed("host.tests.refuse", 7))).with_attr("global_symbol", "main")
    with pytest.raises(KeyError, match="found 7"):
        tvm.compile(func, target="c")["main"]()


@pytest.mark.parametrize("kind", ["ext_dev", "test"])
def test_target_without_code(kind):
    """Of a kind that no host has code for; also of those kinds that an extension may know."""
    with pytest.raises(ValueError, match=UNBUILT) as caught:
        tvm.compile(function(ON_A_GRID), target={"kind": kind, "host": "c"})
    assert str(caught.value) == UNBUILT + kind
    assert type(caught.value) is ValueError


def test_ext_dev_without_a_grid():
    built = tvm.compile(function(ADD_ONE), target={"kind": "ext_dev", "host": "c"})
    assert "TVM_DLL int32_t __tvm_ffi_add_one(" in built.mod.inspect_source()


def test_unknown_pipeline():
    with pytest.raises(ValueError, match=r"Unknown pre-built pipeline host\.nope"):
        tvm.compile(function(ADD_ONE), target="c", tir_pipeline="host.nope")


@pytest.mark.parametrize("name", ["plan", "source", "backend", "host_nope"])
def test_executable_has_no_more(name):
    built = tvm.compile(function(ADD_ONE), target="c")
    assert not hasattr(built, name)
    with pytest.raises(AttributeError, match=f"^'Executable' object has no attribute '{name}'$"):
        getattr(built, name)


def test_attributes_of_an_executable():
    """What it has for those who list it, and what they may add to it."""
    built = tvm.compile(function(ADD_ONE), target="c")
    assert {"mod", "jit", "export_library"} <= set(dir(built))
    built.plan = "mine"
    assert built.plan == "mine"
