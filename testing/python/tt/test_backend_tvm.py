"""Target "tenstorrent" in apache-tvm: what `tvm.compile` gives runs, and says what it is."""

import logging

import numpy as np
import pytest
import tvm
from support import host
from support.process import run_python
from tvm.script import tirx as T

from tilelang.tt import Layout, annotate_tt_layout, apply_tt_defaults, errors
from tilelang.tt import compile as compile_kernel
from tilelang.tt.backend import launch, make_target, plan_of, source_of
from tilelang.tt.executor import dtype_of
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("target")

if host.ON_TILELANG:
    pytest.skip("TileLang has a back end of its own", allow_module_level=True)


@pytest.fixture(autouse=True)
def mutable_module(immutable_module):
    """The host's own passes change the modules that they are given."""
    with tvm.ir.transform.PassContext():
        yield


def compiled(mod, target="tenstorrent"):
    return tvm.compile(mod, target=target, tir_pipeline="tenstorrent")


def gemm_of(m=24, n=16, k=8, block=8, dtype="float32"):
    @T.prim_func
    def gemm(A: T.Buffer((m, k), dtype), B: T.Buffer((k, n), dtype), C: T.Buffer((m, n), dtype)):
        by = T.launch_thread("blockIdx.y", m // block)
        bx = T.launch_thread("blockIdx.x", n // block)
        for i, j in T.grid(block, block):
            C[by * block + i, bx * block + j] = T.Cast(dtype, 0)
            for l in range(k):
                C[by * block + i, bx * block + j] = (
                    C[by * block + i, bx * block + j] + A[by * block + i, l] * B[l, bx * block + j]
                )

    return gemm


@T.prim_func
def scale(a: T.handle, b: T.handle, factor: T.float32, add: T.int32):
    rows = T.int32()
    A = T.match_buffer(a, (rows, 5), "float32")
    B = T.match_buffer(b, (rows, 5), "float32")
    bx = T.launch_thread("blockIdx.x", (rows + 7) // 8)
    for i, j in T.grid(8, 5):
        if bx * 8 + i < rows:
            B[bx * 8 + i, j] = A[bx * 8 + i, j] * factor + T.Cast("float32", add)


@T.prim_func
def count(A: T.Buffer((64,), "int32")):
    bx = T.launch_thread("blockIdx.x", 64)
    A[bx] = A[bx] + bx


def operands(*shapes, dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("device", ["wormhole_n150", "blackhole_p100", "grayskull_e150"])
def test_gemm(device):
    if device.startswith("grayskull"):
        with pytest.raises(errors.DeviceError, match=r"^TT314: kernel `gemm`"):
            compiled(gemm_of(), f"tenstorrent/{device}")
        return
    executable = compiled(gemm_of(), f"tenstorrent/{device}")
    a, b = operands((24, 8), (8, 16))
    c = np.full((24, 16), np.nan, "float32")
    executable(a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "int8", "uint32"])
def test_dtypes(dtype):
    @T.prim_func
    def reverse(A: T.Buffer((40, 32), dtype), B: T.Buffer((40, 32), dtype)):
        bx = T.launch_thread("blockIdx.x", 40)
        for j in range(32):
            B[bx, j] = A[39 - bx, j]

    for name in ("A", "B"):  # 8-bit floats are on Blackhole, in rows
        reverse = annotate_tt_layout(reverse, name, Layout(page_layout="row_major"))
    executable = compiled(reverse, "tenstorrent/blackhole_p150")
    a = (np.arange(1280) % 16).reshape(40, 32).astype(dtype_of(dtype))
    given = [tvm.runtime.empty((40, 32), dtype) for _ in range(2)]
    for tensor, array in zip(given, (a, np.zeros_like(a)), strict=True):
        tensor.copyfrom(array)
    executable(*given)
    np.testing.assert_array_equal(given[1].numpy().view(a.dtype), a[::-1])


def test_tensors_of_the_host():
    a, b = operands((24, 8), (8, 16))
    c = tvm.runtime.tensor(np.zeros((24, 16), "float32"))
    compiled(gemm_of())["gemm"](tvm.runtime.tensor(a), tvm.runtime.tensor(b), c)
    np.testing.assert_allclose(c.numpy(), a @ b, rtol=1e-4, atol=1e-4)


def test_target_object_and_inputs():
    chosen = make_target("blackhole_p150", schedule_policy="strided", cores=[[0, 0, 1, 0]])
    executable = compiled(gemm_of(), chosen)
    planned = make_plan(gemm_of(), device="blackhole_p150", schedule_policy="strided", cores=[[0, 0, 1, 0]])
    assert executable.plan.kernels == planned.kernels
    a, b = operands((24, 8), (8, 16))
    c = np.zeros((24, 16), "float32")
    executable(a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 8, 30])
def test_symbolic_sizes_and_scalars(rows):
    executable = compiled(scale)
    (a,) = operands((rows, 5))
    b = np.zeros((rows, 5), "float32")
    executable(a, b, 2.5, 7)
    np.testing.assert_allclose(b, a * np.float32(2.5) + 7, rtol=1e-6)


def test_in_place():
    a = np.arange(64, dtype="int32")
    compiled(count)(a)
    np.testing.assert_array_equal(a, 2 * np.arange(64))


def test_several_kernels():
    executable = compiled(tvm.IRModule({"gemm": gemm_of(), "count": count}))
    assert [kernel.name for kernel in executable.plan.kernels] == ["count", "gemm"]
    a = np.zeros(64, "int32")
    executable["count"](a)
    np.testing.assert_array_equal(a, np.arange(64))


def test_exported_library(tmp_path):
    path = tmp_path / "gemm.so"
    compiled(gemm_of(), "tenstorrent/blackhole_p150").export_library(str(path))
    out = run_python(
        f"""
        import tvm, numpy as np
        import tilelang.tt
        library = tvm.runtime.load_module({str(path)!r})
        a, b, c = np.ones((24, 8), "float32"), np.ones((8, 16), "float32"), np.zeros((24, 16), "float32")
        library["gemm"](a, b, c)
        print(c.min(), c.max(), tilelang.tt.backend.plan_of(library).kernels[0].device.name)
        """,
        tmp_path,
    )
    assert out.split() == ["8.0", "8.0", "blackhole_p150"]


def test_what_the_executable_says():
    executable = compiled(gemm_of(), "tenstorrent/blackhole_p150")
    assert executable.backend == "reference"
    assert executable.plan == plan_of(executable)
    assert executable.source == source_of(executable)
    assert str(executable.plan).rstrip() in executable.source
    assert "def gemm_core(" in executable.source
    assert executable.plan.kernels == make_plan(gemm_of(), device="blackhole_p150").kernels


def test_executables_of_other_targets():
    other = tvm.compile(tvm.IRModule({}), target="llvm")
    assert not hasattr(other, "plan")
    assert not hasattr(other, "backend")
    assert not hasattr(other, "source")
    with pytest.raises(errors.ArgumentError, match=r"^TT944: found Executable"):
        plan_of(other)


def test_plan_of_something_else():
    with pytest.raises(errors.ArgumentError, match=r"^TT944: found PrimFunc"):
        plan_of(count)


def test_inputs_of_the_kernel():
    kernel = apply_tt_defaults(gemm_of(), device="blackhole_p100", schedule_policy="strided")
    own = compiled(kernel).plan.kernel()
    assert (own.device.name, own.inputs.schedule_policy) == ("blackhole_p100", "strided")
    other = compiled(kernel, "tenstorrent/wormhole_n300").plan.kernel()
    assert (other.device.name, other.inputs.schedule_policy) == ("wormhole_n300", "strided")


def test_log(caplog):
    executable = compiled(count.with_attr("tt_test", "log"))
    a = np.zeros(64, "int32")
    with caplog.at_level(logging.INFO, "tilelang.tt.target"):
        executable(a)
        executable(a)
    assert [(record.name, record.levelname) for record in caplog.records] == [("tilelang.tt.target", "WARNING")]
    assert "runs on the CPU, by the reference executor of tilelang.tt for wormhole_n150" in caplog.text
    assert "not on a chip" in caplog.text


def test_findings_are_logged_once(caplog):
    @T.prim_func
    def partial(A: T.Buffer((40,), "float32"), B: T.Buffer((40,), "float32")):
        bx = T.launch_thread("blockIdx.x", 4)
        for i in range(8):
            B[bx * 8 + i] = A[bx * 8 + i]

    executable = compiled(partial)
    a, b = np.ones(40, np.float32), np.full(40, 7, np.float32)
    with caplog.at_level(logging.WARNING, "tilelang.tt.target"):
        executable(a, b)
        executable(a, b)
    assert b.tolist() == [1] * 32 + [7] * 8
    _, said = [record.getMessage() for record in caplog.records]
    assert said == "kernel partial: `B`: 8 of 40 elements are never written; the first is (32,)"


def test_stock_pipeline():
    with pytest.raises(errors.OptionError, match=r'^TT941: .*\n.*add tir_pipeline="tenstorrent"'):
        tvm.compile(count, target="tenstorrent")


def test_function_without_a_grid():
    @T.prim_func
    def plain(A: T.Buffer((64,), "int32")):
        A[0] = 1

    with pytest.raises(errors.NoKernelError, match=r"^TT943: function `plain` has no launch grid"):
        compiled(tvm.IRModule({"count": count, "plain": plain}))


def test_function_of_another_target():
    bound = count.with_attr("target", tvm.target.Target("llvm"))
    with pytest.raises(errors.NoKernelError, match=r"^TT943: function `count` is for target .*llvm"):
        compiled(bound)


def test_unknown_model():
    with pytest.raises(errors.DeviceError, match=r'unknown device "wormhole".*did you mean wormhole_n150'):
        compiled(count, tvm.target.Target({"tag": "tenstorrent", "model": "wormhole"}))


def test_refusals_when_compiled():
    @T.prim_func
    def flags(A: T.Buffer((64,), "bool")):
        bx = T.launch_thread("blockIdx.x", 64)
        A[bx] = T.bool(True)

    with pytest.raises(errors.DtypeError, match=r"^TT404: "):
        compiled(flags)


def test_refusals_when_called():
    @T.prim_func
    def outside(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "int32")):
        bx = T.launch_thread("blockIdx.x", 64)
        B[bx] = A[bx + 1]

    executable = compiled(outside)
    with pytest.raises(errors.ExecutionError, match=r"^TT910: "):
        executable(np.zeros(64, "int32"), np.zeros(64, "int32"))


def test_what_is_not_covered_is_refused_before_it_is_logged(caplog):
    @T.prim_func
    def foreign(A: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        A[bx] = T.call_extern("float32", "nobody_knows", A[bx])

    executable = compiled(foreign)
    for _ in range(2):
        with pytest.raises(errors.NotCoveredError, match=r"^TT920: "):
            executable(np.zeros(64, "float32"))
    assert not caplog.records


def test_it_is_prepared_at_the_first_call_only(monkeypatch):
    executable = compiled(count.with_attr("tt_test", "once"))
    a = np.zeros(64, "int32")
    executable(a)
    monkeypatch.setattr(launch, "Executable", None)
    executable(a)
    np.testing.assert_array_equal(a, 2 * np.arange(64))


def test_arguments_are_checked_by_the_host():
    executable = compiled(gemm_of())
    a, b = operands((24, 8), (8, 16))
    with pytest.raises(TypeError, match="Expected 3 arguments"):
        executable(a, b)
    with pytest.raises(ValueError, match="C"):
        executable(a, b, np.zeros((24, 8), "float32"))
    with pytest.raises((TypeError, ValueError), match="dtype"):
        executable(a, b, np.zeros((24, 16), "float16"))


def test_build_gives_what_the_host_compiles():
    kernel = compile_kernel(gemm_of(), "blackhole_p150", {"schedule_policy": "strided"})
    executable = kernel.build()
    assert isinstance(executable, tvm.runtime.Executable)
    assert executable.plan.kernels == kernel.plan.kernels
    a, b = operands((24, 8), (8, 16))
    c = np.zeros((24, 16), "float32")
    executable(a, b, c)
    np.testing.assert_array_equal(c, kernel(a, b, np.zeros_like(c)))


def test_build_takes_what_the_host_takes():
    with pytest.raises(errors.OptionError, match=r"^TT941: "):
        compile_kernel(gemm_of()).build(tir_pipeline="default")
    with pytest.raises(TypeError, match="colour"):
        compile_kernel(gemm_of()).build(colour="red")


def test_others_of_the_same_kind_are_left_alone(tmp_path):
    """Who has registered code for targets of that kind keeps it, for targets that are not ours."""
    kernel = """
@T.prim_func
def f(A: T.Buffer((8,), "float32")):
    for i in T.thread_binding(8, thread="blockIdx.x"):
        A[i] = A[i] + T.float32(1)
"""
    printed = run_python(
        """
        import os, tvm, tvm_ffi

        def theirs(mod, target):
            print("theirs", target.attrs["model"])
            return tvm_ffi.get_global_func("runtime.CSourceModuleCreate")("/* theirs */", "c", ["f_kernel"], [])

        tvm_ffi.register_global_func("target.build.ext_dev", theirs)
        import tilelang.tt

        f = tvm.script.from_source(os.environ["KERNEL"])
        built = tvm.compile(f, target={"kind": "ext_dev", "model": "mine", "host": "c"})
        print(built.mod.imports[0].inspect_source())
        print(hasattr(tvm.compile(f, target="tenstorrent", tir_pipeline="tenstorrent"), "plan"))
        """,
        tmp_path,
        KERNEL=kernel,
    )
    assert printed.splitlines() == ["theirs mine", "/* theirs */", "True"]
