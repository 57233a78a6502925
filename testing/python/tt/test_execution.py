"""Kernels executed: the result never depends on where and in which order, and what is counted is what the plan says."""

from support.host import ON_TILELANG, T  # isort: skip  # the host comes before tvm

import ml_dtypes
import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kernels_tirx
from support.kernels import CASES, POLICIES
from support.touched import READ, WRITE, touched

from tilelang.tt import apply_tt_defaults, errors, execute, infer_default_tt_schedule, infer_default_tt_shard
from tilelang.tt.executor import run
from tilelang.tt.plan import make_plan
from tilelang.tt.testing import strategies

pytestmark = pytest.mark.stage("execute")

SINGLE = [[0, 0, 0, 0]]
DEVICES = [
    {"device": "wormhole_n150"},
    {"device": "blackhole_p150"},
    {"cores": SINGLE},
    {"cores": [[1, 0, 1, 2], [3, 3, 5, 3]], "core_order": "column_major"},
]
# Sizes in which the kernels of the suite are executed in no time.
GEMM = {"M": 16, "N": 24, "K": 8, "block_M": 8, "block_N": 8}
ATTENTION = {"batch": 1, "heads": 2, "seq": 16, "dim": 8, "block_M": 8}
SIZES = {
    **dict.fromkeys(("gemm", "gemm_thread_binding", "gemm_cta_id", "renamed_gemm", "gemm_bias_relu"), GEMM),
    "dequant_gemm": GEMM,
    "batched_gemm": {**GEMM, "batch": 2},
    **dict.fromkeys(("flash_attention", "flash_attention_causal"), ATTENTION),
    "conv2d": {"height": 4, "width": 4, "channels": 4, "filters": 8, "block_M": 8, "block_N": 4},
    "row_softmax": {"M": 8, "N": 40},
    "elementwise_ragged": {"M": 50, "N": 40, "block_M": 32, "block_N": 16},
    "result_first": {"M": 32, "N": 64},
    "vector_add": {"N": 100, "block": 16},
    "in_place": {"M": 32, "N": 64, "block_M": 16, "block_N": 32},
    "atomic_add": {"M": 16, "N": 16, "block_M": 8, "block_N": 8},
    "atomic_add_elements": {"M": 16, "N": 16, "block_M": 8, "block_N": 8},
    "unused_param": {"M": 32, "N": 64},
    "aliased_abs": {"M": 16, "N": 64},
    "scalar_params": {"M": 32, "N": 64},
}


def numbers(shape, dtype="float32"):
    """Small integers, which all dtypes have and whose sums are exact."""
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    low = 0 if dtype.kind == "u" else -8
    return np.random.default_rng(1).integers(low, 8, shape).astype(dtype)


def small(case):
    return case.build(**SIZES[case.name])


def arguments(func):
    """Inputs of a kernel, by its plan."""
    buffers = {buffer.param_index: buffer for buffer in make_plan(func).kernel().buffers}
    scalars = iter((100, 0.5))
    return [
        numbers(buffers[index].shape, buffers[index].dtype) if index in buffers else next(scalars)
        for index in range(len(func.params))
    ]


def elementwise(M, N, block_M=8, block_N=16):
    return kernels_tirx.elementwise_ragged(M, N, block_M, block_N, "float32")


def double(N=64, dtype="float32"):
    @T.prim_func
    def double(A: T.Buffer((N,), dtype), C: T.Buffer((N,), dtype)):
        bx = T.launch_thread("blockIdx.x", N)
        C[bx] = A[bx] + A[bx]

    return double


# Sums over grid cells by a load and a store, and by a function that is not known.
NOT_EXECUTED = ("tirx-atomic_add", "tirx-atomic_add_elements")


@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.TTWarning")
@pytest.mark.parametrize("case", [case for case in CASES if case.id not in NOT_EXECUTED])
@pytest.mark.parametrize("inputs", POLICIES[:3], ids=["contiguous", "strided", "block_cyclic"])
def test_counts_are_the_plans(case, inputs):
    func = small(case)
    execution = run(func, *arguments(func), **inputs)
    name = case.name
    comparisons = {one.name: one.comparison for one in execution.counts}
    assert set(comparisons.values()) <= {"equal", "covered", "not known"}
    reasons = {one.name for one in execution.counts if one.planned.reason}
    assert reasons <= {"Data", "Weight", "Output", "X", "Y", "Total", "K", "V"}
    if ON_TILELANG and "gemm" in name and not any(one.has_single_elements for one in execution.counts):
        assert set(comparisons.values()) == {"equal"}


@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.TTWarning")
@pytest.mark.parametrize("name", ["elementwise_ragged", "result_first", "vector_add", "in_place", "unused_param"])
def test_elements_are_counted(name):
    """Those that a kernel touches one by one are those that a walk over its cells, loops and accesses touches."""
    func = {case.name: small(case) for case in kernels_tirx.CASES}[name]
    execution = run(func, *arguments(func), cores=SINGLE)
    oracle = touched(func)
    for counts in execution.counts:
        index = next(b.param_index for b in execution.kernel.buffers if b.name == counts.name)
        for way, found in ((READ, counts.elements_read), (WRITE, counts.elements_written)):
            expected = sum(
                len(elements) for (_, param, bit), elements in oracle.items() if (param, bit) == (index, way)
            )
            twice = 2 if name == "in_place" and way == READ else 1
            assert found.tolist() == [twice * expected]


def test_a_launch_that_sums_up_by_a_load_and_a_store():
    func = kernels_tirx.atomic_add(**SIZES["atomic_add"])
    with pytest.raises(errors.ExecutionError, match="TT916: tensor `Total`: "):
        execute(func, *arguments(func))


# Where and in which order.


@st.composite
def places(draw):
    """Options of an execution: cores of any chip, how work is dealt to them, and in which order they run."""
    schedule = draw(strategies.schedules((13, 10)))
    cores = sum((x1 + 1 - x0) * (y1 + 1 - y0) for x0, y0, x1, y1 in schedule["cores"])
    return {
        "device": "blackhole_p150",
        **schedule,
        "order": draw(st.sampled_from([None, "random", list(range(cores))[::-1]])),
        "seed": draw(st.integers(0, 9)),
        "threads": draw(st.integers(1, 3)),
    }


@settings(max_examples=40)
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from([(8, 16), (3, 7), (32, 32)]), places())
def test_result_never_changes(M, N, blocks, place):
    a, b = numbers((M, N)), numbers((M, N))[::-1]
    execution = run(elementwise(M, N, *blocks), a, b, **place)
    assert np.array_equal(execution.result, a + b)
    assert not execution.findings
    assert {one.comparison for one in execution.counts} == {"covered"}


@settings(max_examples=10)
@given(places())
def test_gemm_never_changes(place):

    @T.prim_func
    def gemm(A: T.Buffer((24, 5), "float32"), B: T.Buffer((5, 33), "float32"), C: T.Buffer((24, 33), "float32")):
        bx = T.launch_thread("blockIdx.x", 5)
        by = T.launch_thread("blockIdx.y", 3)
        total = T.alloc_buffer((1,), "float32", scope="local")
        for i, j in T.grid(8, 7):
            if bx * 7 + j < 33:
                total[0] = T.float32(0)
                for k in range(5):
                    total[0] = total[0] + A[by * 8 + i, k] * B[k, bx * 7 + j]
                C[by * 8 + i, bx * 7 + j] = total[0]

    a, b = numbers((24, 5)), numbers((5, 33))
    assert np.array_equal(execute(gemm, a, b, **place), a @ b)


@pytest.mark.parametrize("place", DEVICES, ids=range(len(DEVICES)))
def test_more_cores_than_tiles_and_more_tiles_than_cores(place):
    for size in (1, 5, 200):
        a = numbers(size)
        assert np.array_equal(execute(double(size), a, **place), 2 * a)


def test_random_order_is_seeded(monkeypatch):
    from tilelang.tt.executor.program import Program

    ran = []
    real = Program.run
    monkeypatch.setattr(Program, "run", lambda self, core, values: (ran.append(core.number), real(self, core, values)))
    for seed in (1, 1, 2):
        execute(double(), numbers(64), order="random", seed=seed)
    first, again, other = ran[:64], ran[64:128], ran[128:]
    assert first == again != other
    assert sorted(first) == sorted(other) == list(range(64))
    execute(double(), numbers(64))
    assert ran[192:] == list(range(64))


def test_each_core_has_its_own_arguments_only(monkeypatch):
    """A core that is told nothing does nothing."""
    from tilelang.tt.executor.execution import Prepared

    real = Prepared.schedule_arguments
    monkeypatch.setattr(
        Prepared,
        "schedule_arguments",
        lambda self, launch, core: real(self, launch, core) if core != 3 else [0] * len(real(self, launch, core)),
    )
    execution = run(double(), numbers(64))
    assert execution.findings == ("`C`: 1 of 64 elements are never written; the first is (3,)",)
    assert execution.result[3] == 0


# Arguments.


def test_inputs_are_not_changed_and_outputs_are_new():
    a, c = numbers(64), numbers(64)
    kept = a.copy(), c.copy()
    result = execute(double(), a, c)
    assert np.array_equal(result, 2 * a)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(c, kept[1])
    assert not np.shares_memory(result, c)
    assert np.array_equal(execute(double(), a, None), result)
    x = numbers((32, 64), "bfloat16")
    before = x.copy()
    assert np.array_equal(execute(kernels_tirx.in_place(**SIZES["in_place"]), x), 2 * before)
    assert np.array_equal(x, before)


@pytest.mark.parametrize("poison", [False, True])
def test_elements_that_nobody_writes_stay(poison):
    @T.prim_func
    def half(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 32)
        C[bx * 2] = A[bx]

    execution = run(half, numbers(64), np.full(64, 5, np.float32), poison=poison)
    assert (execution.result[1::2] == 5).all()
    assert np.array_equal(execution.result[::2], numbers(64)[:32])
    assert execution.findings == ("`C`: 32 of 64 elements are never written; the first is (1,)",)
    assert (execute(half, numbers(64), poison=poison)[1::2] == 0).all()


def test_several_outputs_none_and_their_names():
    @T.prim_func
    def both(A: T.Buffer((8,), "int32"), C: T.Buffer((8,), "int32"), D: T.Buffer((8,), "int32")):
        bx = T.launch_thread("blockIdx.x", 8)
        C[bx] = A[bx] + 1
        D[bx] = A[bx] + 2

    a = numbers(8, "int32")
    execution = run(both, a)
    assert list(execution.outputs) == ["C", "D"]
    c, d = execution.result
    assert np.array_equal(c, a + 1)
    assert np.array_equal(d, a + 2)

    @T.prim_func
    def nothing(A: T.Buffer((8,), "int32")):
        bx = T.launch_thread("blockIdx.x", 8)
        T.evaluate(A[bx])

    assert execute(nothing, a) == ()


@pytest.mark.parametrize("form", ["raw", "inputs", "schedule", "planned", "module"])
def test_every_stage_of_a_kernel(form):
    func = double()
    stages = {
        "raw": lambda: func,
        "inputs": lambda: apply_tt_defaults(func, device="blackhole_p150"),
        "schedule": lambda: infer_default_tt_schedule(apply_tt_defaults(func)),
        "planned": lambda: infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(func))),
        "module": lambda: tvm.IRModule({"double": func}),
    }
    execution = run(stages[form](), numbers(64))
    assert np.array_equal(execution.result, 2 * numbers(64))
    assert execution.kernel.device.name == ("blackhole_p150" if form == "inputs" else "wormhole_n150")


def test_one_kernel_of_a_module():
    mod = tvm.IRModule({"small": double(8), "large": double(64)})
    assert execute(mod, numbers(8), kernel="small").shape == (8,)
    with pytest.raises(
        errors.BufferLookupError, match="TT871: the module has 2 kernels; expected the name of one of them: "
    ):
        execute(mod, numbers(8))
    with pytest.raises(errors.BufferLookupError, match="TT870: the module has no kernel other; kernels: large, small"):
        execute(mod, numbers(8), kernel="other")
    with pytest.raises(errors.BufferLookupError, match=r"TT870: the kernel is .*; expected that name, or none"):
        execute(double(8), numbers(8), kernel="other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "gpu"}, "TT914: engine is 'gpu'; expected one of: reference, llvm"),
        ({"engine": ["llvm"]}, r"TT914: engine is \['llvm'\]"),
        ({"threads": 0}, "TT914: threads is 0"),
        ({"threads": True}, "TT914: threads is True"),
        ({"order": "random", "seed": -1}, "TT914: seed is -1"),
        ({"order": 5}, "TT914: order is 5"),
        ({"threads": 1.5}, "TT914: threads is 1.5"),
        ({"order": "backwards"}, "TT914: order is 'backwards'"),
        ({"order": [0, 1]}, r"TT914: order is \[0, 1\]; expected \"random\", or the numbers 0 to 63"),
        ({"order": [0] * 64}, "TT914: order is"),
        ({"policy": "none"}, "TT"),
    ],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(errors.OptionError, match=message):
        execute(double(), numbers(64), **options)


def test_other_arguments():
    with pytest.raises(TypeError, match="colour"):
        execute(double(), numbers(64), colour="red")
    with pytest.raises(errors.ArgumentError, match="TT101"):
        execute(double, numbers(64))
    with pytest.raises(errors.ArgumentError, match="TT911"):
        execute(double())


@pytest.mark.parametrize("n", [-3, 0, 1, 10, 64])
def test_scalars(n):
    x = numbers((32, 64))
    execution = run(kernels_tirx.scalar_params(**SIZES["scalar_params"]), x, n, 0.5)
    assert execution.kernel.shape_variables == (() if n >= 1 else ("n",))
    assert np.array_equal(execution.result, np.where(np.arange(64) < n, x * np.float32(0.5), 0))


# Sizes that are not known.


def symbolic_add():
    @T.prim_func
    def add(a: T.handle, b: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 40), "float32")
        B = T.match_buffer(b, (m, 40), "float32")
        C = T.match_buffer(c, (m, 40), "float32")
        bx = T.launch_thread("blockIdx.x", (m + 7) // 8)
        for i, j in T.grid(8, 40):
            if bx * 8 + i < m:
                C[bx * 8 + i, j] = A[bx * 8 + i, j] + B[bx * 8 + i, j]

    return add


@settings(max_examples=15)
@given(st.integers(1, 90), places())
def test_symbolic_sizes(m, place):
    a, b = numbers((m, 40)), numbers((m, 40))[::-1]
    execution = run(symbolic_add(), a, b, **place)
    assert np.array_equal(execution.result, a + b)
    assert execution.kernel.buffers[0].shape == (m, 40)
    assert execution.kernel.launches[0].num_tiles == -(-m // 8)
    assert {one.comparison for one in execution.counts} == {"covered"}


# Several launches.


def two_launches():
    """C = (A + 1) reversed, by way of B, in two launches of which the second reads what all of the first wrote."""

    @T.prim_func
    def main(A: T.Buffer((40,), "float32"), B: T.Buffer((40,), "float32"), C: T.Buffer((40,), "float32")):
        with T.launch_thread("blockIdx.x", 5) as bx:
            for i in range(8):
                B[bx * 8 + i] = A[bx * 8 + i] + T.float32(1)
        with T.launch_thread("blockIdx.x", 10) as bx:
            for i in range(4):
                C[bx * 4 + i] = B[39 - (bx * 4 + i)]

    return main


@settings(max_examples=15)
@given(places())
def test_launches_follow_each_other(place):
    a = numbers(40)
    execution = run(two_launches(), a, np.zeros(40, np.float32), **place)
    assert np.array_equal(execution.outputs["C"], (a + 1)[::-1])
    assert np.array_equal(execution.outputs["B"], a + 1)
    assert [one.launch for one in execution.counts] == [0] * 3 + [1] * 3
    assert "B of launch 1" in str(execution)


def test_formats_round_between_launches():
    a = np.random.default_rng(2).standard_normal(40).astype(np.float32)
    inputs = {"data_format": "Bfp8_b"}
    plan = make_plan(two_launches(), **inputs)

    def stored(array, name):
        return plan.untilize(plan.tilize(array, name), name)

    c = run(two_launches(), a, np.zeros(40, np.float32), **inputs).outputs["C"]
    b = stored(stored(a, "A") + np.float32(1), "B")
    assert np.array_equal(c, stored(b[::-1], "C"))


# Formats, and torch.


@pytest.mark.parametrize(
    ("dtype", "data_format"),
    [("float16", "Float16_b"), ("float32", "Bfp8_b"), ("bfloat16", "Bfp4_b"), ("float16", "Bfp8_b")],
)
def test_formats_are_real(dtype, data_format):
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    a = np.random.default_rng(2).standard_normal(64).astype(dtype)
    plan = make_plan(double(dtype=dtype.name), data_format=data_format)

    def stored(array):
        return plan.untilize(plan.tilize(array, "A"), "A")

    result = execute(double(dtype=dtype.name), a, data_format=data_format)
    assert np.array_equal(result, stored(stored(a) * dtype.type(2)))
    assert not np.array_equal(result, a * dtype.type(2))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "uint8", "int8", "uint16"])
@pytest.mark.filterwarnings("ignore::tilelang.tt.errors.FormatWarning")
def test_dtypes(dtype):
    a = numbers(64, dtype)
    result = execute(double(dtype=dtype), a)
    assert result.dtype == a.dtype
    assert np.array_equal(result, a + a)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_torch(dtype):
    torch = pytest.importorskip("torch")
    a = torch.arange(64).to(getattr(torch, dtype))
    result = execute(double(dtype=dtype), a)
    assert isinstance(result, torch.Tensor)
    assert result.dtype == a.dtype
    assert torch.equal(result, a + a)
    execution = run(double(dtype=dtype), a, torch.zeros_like(a))
    assert f"result C: (64,) {dtype}" in str(execution)


# What is printed.


@pytest.mark.skipif(ON_TILELANG, reason="the host has no LLVM")
def test_text_of_an_engine_that_does_not_count():
    lines = str(run(double(), numbers(64), engine="llvm")).splitlines()
    assert lines[1:] == ["result C: (64,) float32", "nothing counted, nothing looked for"]


def test_text():
    a = numbers((40, 70))
    execution = run(elementwise(40, 70), a, a, cores=[[0, 0, 1, 1]], policy="strided")
    assert str(execution) == "\n".join(
        [
            "main: 25 work tiles on 4 of 4 cores of wormhole_n150, strided",
            "tensor  elements read  written  bytes of boxes read  written  and the plan's",
            "A               2,800        0                    0        0  covered",
            "B               2,800        0                    0        0  covered",
            "C                   0    2,800                    0        0  covered",
            "result C: (40, 70) float32",
            "no findings",
        ]
    )


if ON_TILELANG:
    from support import kernels_tilelang

    @pytest.mark.parametrize("policy", ["contiguous", "strided"])
    def test_boxes_are_counted(policy):
        func = kernels_tilelang.gemm(64, 96, 64, 32, 32, 32, "float32")
        a, b = numbers((64, 64)), numbers((64, 96))
        execution = run(func, a, b, policy=policy, cores=[[0, 0, 1, 1]])
        assert np.array_equal(execution.result, a @ b)
        assert {one.comparison for one in execution.counts} == {"equal"}
        counts = execution.counts[0]
        assert counts.read_bytes_per_core.sum() == 6 * 2 * 4096
        assert np.array_equal(counts.elements_read * 4, counts.read_bytes_per_core)

    @settings(max_examples=6)
    @given(places())
    def test_atomic_updates_in_any_order(place):
        """Integers, whose sums do not depend on who is first."""
        func = kernels_tilelang.atomic_add(**SIZES["atomic_add"])
        x, total = numbers((16, 16)), numbers(16)
        execution = run(func, x, total, **place)
        assert np.array_equal(execution.result, total + x.sum(0))
        assert not execution.findings

    def test_two_launches_of_tilelang():
        import tilelang.language as L

        @L.prim_func
        def main(A: L.Tensor((40, 40), "float32"), B: L.Tensor((40, 40), "float32"), C: L.Tensor((40, 40), "float32")):
            with L.Kernel(2, 2, threads=32) as (bx, by):
                tile = L.alloc_shared((32, 32), "float32")
                L.copy(A[by * 32, bx * 32], tile)
                L.copy(tile, B[by * 32, bx * 32])
            with L.Kernel(5, threads=32) as bx:
                rows = L.alloc_shared((8, 40), "float32")
                L.copy(B[bx * 8, 0], rows)
                L.copy(rows, C[32 - bx * 8, 0])

        a = numbers((40, 40))
        execution = run(main, a, np.zeros_like(a), order="random", threads=2)
        assert np.array_equal(execution.outputs["C"], a.reshape(5, 8, 40)[::-1].reshape(40, 40))
        assert {one.comparison for one in execution.counts} == {"equal"}


# ---- LLVM ------------------------------------------------------------------------------------------------------------

needs_llvm = pytest.mark.skipif(ON_TILELANG, reason="the host has no LLVM")


def assert_close(ours, theirs):
    for one, other in zip(
        *(result if isinstance(result, tuple) else (result,) for result in (ours, theirs)), strict=True
    ):
        tolerance = 0 if one.dtype.kind in "iu" else 1e-2 if one.itemsize == 2 else 1e-5
        np.testing.assert_allclose(one.astype("float64"), other.astype("float64"), rtol=tolerance, atol=tolerance)


@needs_llvm
@pytest.mark.parametrize("case", [case for case in CASES if "atomic_add" not in case.id])
def test_llvm_agrees(case):
    func = small(case)
    given = arguments(func)
    expected = execute(func, *given)
    for turn, inputs in enumerate([*POLICIES, *DEVICES]):
        assert_close(execute(func, *given, engine="llvm", threads=1 + turn % 2, order="random", **inputs), expected)


@needs_llvm
def test_llvm_and_symbolic_sizes():
    @T.prim_func
    def double(x: T.handle, y: T.handle):
        m = T.int32()
        X = T.match_buffer(x, (m, 5), "float32")
        Y = T.match_buffer(y, (m, 5), "float32")
        bx = T.launch_thread("blockIdx.x", (m + 7) // 8)
        tx = T.launch_thread("threadIdx.x", 8)
        for j in range(5):
            if bx * 8 + tx < m:
                Y[bx * 8 + tx, j] = X[bx * 8 + tx, j] * T.float32(2)

    for rows in (1, 8, 1001):
        x = numbers((rows, 5))
        np.testing.assert_array_equal(execute(double, x, engine="llvm"), 2 * x)


@needs_llvm
def test_llvm_does_not_watch_memory():
    case = CASES[0].values[0]
    with pytest.raises(errors.OptionError, match="TT914: poison is True"):
        execute(small(case), *arguments(small(case)), engine="llvm", poison=True)
