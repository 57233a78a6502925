"""Kernels compiled by LLVM against numpy, and against the interpreter."""

from support.host import ON_TILELANG, T  # isort: skip  # the host comes before tvm

import ml_dtypes
import numpy as np
import pytest
from support import kernels_tirx
from support.kernels import POLICIES

from tilelang.tt import (
    apply_tt_defaults,
    core_program_attrs,
    errors,
    grid_to_persistent,
    infer_default_tt_schedule,
    runtime_args,
    threads_to_loops,
)
from tilelang.tt.executor.llvm import Compiled, aligned, tensor
from tilelang.tt.executor.memory import Core, OnChip
from tilelang.tt.executor.program import Program

pytestmark = pytest.mark.stage("execute")

needs_llvm = pytest.mark.skipif(ON_TILELANG, reason="the host has no LLVM")
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# Small enough for the interpreter, with more work tiles than one and ragged where the kernel can be.
SMALL = {
    "gemm": lambda: kernels_tirx.gemm(32, 48, 8, 16, 16),
    "gemm_thread_binding": lambda: kernels_tirx.gemm_thread_binding(32, 48, 8, 16, 16, "float32"),
    "gemm_bias_relu": lambda: kernels_tirx.gemm_bias_relu(32, 48, 8, 16, 16),
    "batched_gemm": lambda: kernels_tirx.batched_gemm(3, 16, 32, 8, 16, 16),
    "dequant_gemm": lambda: kernels_tirx.dequant_gemm(32, 32, 16, 16, 16),
    "flash_attention": lambda: kernels_tirx.flash_attention(1, 2, 16, 8, 8, "float32", causal=True),
    "conv2d": lambda: kernels_tirx.conv2d(1, 4, 4, 4, 8, block_M=8, block_N=8),
    "row_softmax": lambda: kernels_tirx.row_softmax(16, 32, 4),
    "elementwise_ragged": lambda: kernels_tirx.elementwise_ragged(30, 50, 16, 16),
    "vector_add": lambda: kernels_tirx.vector_add(100, 16),
    "atomic_add": lambda: kernels_tirx.atomic_add(32, 32, 16, 16),
}


def prepare(func, sizes=None, **inputs):
    """The core program, and for each launch the arguments that every core gets from the schedule."""
    scheduled = infer_default_tt_schedule(apply_tt_defaults(func, **inputs))
    program = threads_to_loops(grid_to_persistent(scheduled))
    launches = []
    for number, places in enumerate(core_program_attrs(program)):
        several = len(core_program_attrs(program)) > 1
        known = runtime_args(scheduled, {}, number if several else None, **(sizes or {}))
        values = known.per_core | known.common
        cores = max(len(column) for column in known.per_core.values())
        columns = {place: np.broadcast_to(values[name], cores) for name, place in places.items()}
        launches.append([{place: int(column[core]) for place, column in columns.items()} for core in range(cores)])
    return program, launches


def calls(program, launches, arguments):
    """The arguments of every call of a core program, core after core."""
    for cores in launches:
        for own in cores:
            yield [*arguments, *(own.get(place, 0) for place in range(len(arguments), len(program.params)))]


def run_compiled(func, arrays, sizes=None, **inputs):
    program, launches = prepare(func, sizes, **inputs)
    compiled = Compiled(program)
    own = [aligned(array) for array in arrays]
    for arguments in calls(program, launches, [tensor(array) for array in own]):
        compiled.run(arguments)
    return own


def run_interpreted(func, arrays, **inputs):
    core_program, launches = prepare(func, **inputs)
    program = Program(core_program)
    own = [array.copy() for array in arrays]
    memories = [OnChip(f"p{i}", array.shape, array.dtype, array) for i, array in enumerate(own)]
    for arguments in calls(core_program, launches, memories):
        added = zip(program.parameters[len(own) :], arguments[len(own) :], strict=True)
        program.run(Core(0), [*memories, *(parameter.dtype.type(value) for parameter, value in added)])
    return own


def random_arrays(func):
    """An array for each tensor parameter of a function."""
    generator = np.random.default_rng(0)
    arrays = []
    for parameter in Program(threads_to_loops(prepare(func)[0])).parameters:
        if not parameter.is_tensor:
            break
        entry = func.buffer_map[func.params[len(arrays)]] if hasattr(func, "buffer_map") else None
        shape = [int(extent) for extent in (entry.shape if entry else func.params[len(arrays)].ty.shape)]
        values = generator.integers(-4, 5, shape) if parameter.dtype.kind in "iu" else generator.random(shape) - 0.5
        arrays.append(values.astype(parameter.dtype))
    return arrays


@needs_llvm
@pytest.mark.parametrize("name", SMALL)
def test_the_engines_agree(name):
    func = SMALL[name]()
    arrays = random_arrays(func)
    for ours, theirs in zip(run_compiled(func, arrays), run_interpreted(func, arrays), strict=True):
        if ours.dtype.kind in "iu":
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_allclose(
                ours.astype("float64"), theirs.astype("float64"), rtol=1e-2 if ours.itemsize == 2 else 1e-5, atol=1e-6
            )


@needs_llvm
@pytest.mark.parametrize("inputs", POLICIES, ids=str)
def test_policies_and_orders(inputs):
    a = np.random.default_rng(0).random((96, 64), np.float32)
    b = np.random.default_rng(1).random((64, 128), np.float32)
    result = run_compiled(
        kernels_tirx.gemm(96, 128, 64, 32, 32, "float32"), [a, b, np.zeros((96, 128), "float32")], **inputs
    )[-1]
    np.testing.assert_allclose(result, a @ b, rtol=1e-5)


@needs_llvm
def test_threads_and_symbolic_sizes():
    """Private and shared memory, threads, and a guard at a ragged edge."""

    @T.prim_func
    def scale(x: T.handle, y: T.handle):
        m = T.int32()
        X = T.match_buffer(x, (m,), "float32")
        Y = T.match_buffer(y, (m,), "float32")
        bx = T.launch_thread("blockIdx.x", (m + 31) // 32)
        tx = T.launch_thread("threadIdx.x", 32)
        stage = T.alloc_buffer((32,), "float32", scope="shared")
        own = T.alloc_buffer((1,), "float32", scope="local")
        if bx * 32 + tx < m:
            own[0] = X[bx * 32 + tx]
            stage[tx] = own[0] * T.float32(2)
            Y[bx * 32 + tx] = stage[tx]

    x = np.random.default_rng(0).random(1000, np.float32)
    result = run_compiled(scale, [x, np.zeros_like(x)], {"m": 1000}, device="wormhole_n300")[-1]
    np.testing.assert_array_equal(result, x * np.float32(2))


@needs_llvm
def test_several_launches():
    @T.prim_func
    def both(X: T.Buffer((64,), "int32")):
        for bx in T.thread_binding(64, thread="blockIdx.x"):
            X[bx] = X[bx] + 1
        for bx in T.thread_binding(32, thread="blockIdx.x"):
            X[bx] = X[bx] * 10

    result = run_compiled(both, [np.arange(64, dtype="int32")])[0]
    expected = np.arange(1, 65)
    expected[:32] *= 10
    np.testing.assert_array_equal(result, expected)


def test_aligned():
    array = np.arange(12).reshape(3, 4)[:, ::2]
    copy = aligned(array)
    assert copy.ctypes.data % 64 == 0
    assert copy.flags.c_contiguous
    np.testing.assert_array_equal(copy, array)


@needs_llvm
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64", BFLOAT16], ids=str)
def test_tensor_shares_its_memory(dtype):
    dtype = np.dtype(dtype)
    name = dtype.name

    @T.prim_func
    def move(X: T.Buffer((40,), name), Y: T.Buffer((40,), name)):
        for i in range(40):
            Y[i] = X[i]

    x, y = (aligned(values.astype(dtype)) for values in (np.arange(40) % 2, np.zeros(40)))
    Compiled(move).run([tensor(x), tensor(y)])
    np.testing.assert_array_equal(x, y)


@needs_llvm
def test_float8_is_refused():
    @T.prim_func
    def widen(X: T.Buffer((8,), "float8_e4m3fn"), Y: T.Buffer((8,), "float32")):
        for i in range(8):
            Y[i] = T.cast(X[i], "float32")

    with pytest.raises(errors.NotCoveredError, match="TT951: found float8"):
        Compiled(widen)


@needs_llvm
def test_c_functions_are_refused():
    with pytest.raises(errors.NotCoveredError, match=r"TT951: .*T\.call_extern"):
        Compiled(prepare(kernels_tirx.atomic_add_elements())[0])


@pytest.mark.skipif(not ON_TILELANG, reason="the host has LLVM")
def test_a_host_without_llvm_is_refused():
    with pytest.raises(errors.HostError, match="TT950: found a TVM without LLVM"):
        Compiled(prepare(kernels_tirx.gemm())[0])
