"""Proofs by execution: what is right is found right, and every way to be wrong is found."""

from support.host import ON_TILELANG, T  # isort: skip  # the host comes before tvm

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import kernels_tirx
from test_execution import SIZES

from tilelang.tt import compile as compile_kernel
from tilelang.tt.executor.arrays import Parameter, dtype_of
from tilelang.tt.executor.execution import Prepared
from tilelang.tt.executor.program import Program
from tilelang.tt.service import proof_inputs
from tilelang.tt.service.artifact import Artifact
from tilelang.tt.service.proof import Proof, prove, prove_bytes, request_of
from tilelang.tt.service.proof_inputs import choose_arguments, choose_sizes, seconds_of

pytestmark = pytest.mark.stage("search")

if ON_TILELANG:
    from support import kernels_tilelang

FOUR_CORES = {"cores": [[0, 0, 1, 1]]}


def artifact(kernel, device=None, **options):
    return Artifact(compile_kernel(kernel, device, options)._artifact.entry)


def add(block=8, last=40, factor=1, extra=0):
    """C = A + factor * B of as many rows as there are, in blocks of some rows; right as it is by default."""

    @T.prim_func
    def add(a: T.handle, b: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 40), "float32")
        B = T.match_buffer(b, (m, 40), "float32")
        C = T.match_buffer(c, (m, 40), "float32")
        bx = T.launch_thread("blockIdx.x", (m + block - 1) // block)
        for i, j in T.grid(block + extra, last):
            if bx * block + i < m:
                C[bx * block + i, j] = A[bx * block + i, j] + B[bx * block + i, j] * T.float32(factor)

    return add


def sums(block=8, start=0.0, is_cleared=True):
    """The sum of a function of each row's elements, rounded in another way for each block."""

    @T.prim_func
    def sums(A: T.Buffer((16, 64), "float32"), S: T.Buffer((16,), "float32")):
        bx = T.launch_thread("blockIdx.x", 16)
        part = T.alloc_buffer((2,), "float32", scope="local")
        if is_cleared:
            part[1] = T.float32(start)
        for k in range(64 // block):
            part[0] = T.float32(0)
            for j in range(block):
                part[0] = part[0] + T.exp(A[bx, k * block + j])
            part[1] = part[1] + part[0]
        S[bx] = part[1]

    return sums


def gather(stride=1, shift=0):
    @T.prim_func
    def gather(A: T.Buffer((12,), "float32"), I: T.Buffer((12,), "int32"), C: T.Buffer((12,), "float32")):
        bx = T.launch_thread("blockIdx.x", 12)
        C[bx] = A[I[bx] * stride + shift]

    return gather


# What is right.


def test_another_schedule_gives_the_same_bits():
    found = prove(artifact(add()), artifact(add(), "blackhole_p150", schedule_policy="strided"))
    reason = "both were executed and gave the same bits with m=7; m=21; m=1045"
    assert found == Proof(True, True, reason, 0.0, ({"m": 7}, {"m": 21}, {"m": 1045}))


def test_other_blocks_are_equal():
    found = prove(artifact(add(), **FOUR_CORES), artifact(add(block=5), **FOUR_CORES))
    assert found.is_equal, found.reason
    assert [sizes["m"] for sizes in found.sizes] == [7, 21, 34]


def test_a_kernel_of_fixed_sizes():
    kernel = kernels_tirx.elementwise_ragged(50, 40, 32, 16, "float32")
    found = prove(artifact(kernel), artifact(kernel, schedule_policy="block_cyclic", schedule_block_size=2))
    assert found == Proof(True, True, "both were executed and gave the same bits", 0.0, ({},))


def test_sums_may_be_rounded_in_another_way():
    found = prove(artifact(sums()), artifact(sums(block=4)))
    assert found.is_equal, found.reason
    assert 0 < found.largest_difference < 1e-4
    assert "largest difference" in found.reason


def test_scalars_that_are_sizes():
    kernel = kernels_tirx.scalar_params(**SIZES["scalar_params"])
    found = prove(artifact(kernel), artifact(kernel, schedule_policy="strided"))
    assert found.is_equal, found.reason
    assert [sizes["n"] for sizes in found.sizes] == [31, 81]


@pytest.mark.parametrize("stride", [1, 100], ids=["in range", "in range where all are 0"])
def test_integers_are_indices(stride):
    found = prove(artifact(gather(stride)), artifact(gather(stride), schedule_policy="strided"))
    assert found.is_equal, found.reason


@pytest.mark.skipif(not ON_TILELANG, reason="the form of this host is a load and a store")
def test_atomic_updates_may_be_in_another_order():
    kernel = kernels_tilelang.atomic_add(64, 16, 8, 8) if ON_TILELANG else None
    found = prove(artifact(kernel), artifact(kernel, schedule_policy="strided"))
    assert found.is_equal, found.reason


# What is wrong.


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (add(factor=2), r"element \(0, \d+\) of C is \S+ with m=7; expected \S+, and \d+ of 280 elements are as wrong"),
        (add(last=39), r"the candidate does what the reference does not with m=7: `C`: 7 of 280 .* never written"),
        (add(extra=1), r"the candidate does what the reference does not with m=21: `C`: .* without changing it"),
        (gather(), r"the candidate takes .*; expected "),
    ],
    ids=["value", "too few", "too many", "parameters"],
)
def test_another_program(wrong, reason):
    found = prove(artifact(add(), **FOUR_CORES), artifact(wrong, **FOUR_CORES))
    assert not found.is_equal
    assert re.match(reason, found.reason), found.reason
    assert Proof.from_bytes(found.to_bytes()) == found


@pytest.mark.parametrize("block", [8, 4])
def test_a_sum_that_is_wrong_by_little(block):
    found = prove(artifact(sums()), artifact(sums(block, start=0.01)))
    assert not found.is_equal
    assert found.largest_difference == pytest.approx(0.01, rel=0.1)


def test_memory_that_nobody_has_written():
    found = prove(artifact(sums()), artifact(sums(is_cleared=False)))
    assert not found.is_equal
    assert found.reason.startswith("the candidate is refused: TT917: tensor `S`")


def test_an_index_outside_of_its_tensor():
    found = prove(artifact(gather()), artifact(gather(shift=11)))
    assert not found.is_equal
    assert found.reason.startswith("the candidate is refused: TT910: ")


def test_a_program_that_is_not_the_kernels():
    entry = artifact(add(), **FOUR_CORES).entry
    wrong = replace(entry, program=artifact(add(factor=2), **FOUR_CORES).entry.program)
    found = prove(Artifact(entry), Artifact(wrong))
    assert not found.is_equal
    assert found.reason.startswith("element (0, ")


def off_by_one(arguments):
    """All cores but the first one, as numbers of work tiles wrap around at the end of the grid."""
    start, count, *rest = arguments
    return [start + (start > 0), count, *rest]


def one_less(arguments):
    """Only cores that have several work tiles leave one out."""
    start, count, *rest = arguments
    return [start, count - (count > 1), *rest]


@pytest.mark.parametrize(("wrong", "rows"), [(off_by_one, 21), (one_less, 37)])
def test_wrong_runtime_arguments(monkeypatch, wrong, rows):
    reference, candidate = artifact(add(), **FOUR_CORES), artifact(add(), **FOUR_CORES)
    real = Prepared.schedule_arguments

    def arguments(self, launch, core):
        given = real(self, launch, core)
        return wrong(given) if self.executable is candidate.executable else given

    monkeypatch.setattr(Prepared, "schedule_arguments", arguments)
    found = prove(reference, candidate)
    assert not found.is_equal
    assert f" with m={rows}" in found.reason


# What is not executed.


@pytest.fixture
def no_execution(monkeypatch):
    def run(self, core, arguments):
        raise AssertionError("executed")

    monkeypatch.setattr(Program, "run", run)


def large(height, width, block):
    @T.prim_func
    def large(A: T.Buffer((height, width), "float32"), C: T.Buffer((height, width), "float32")):
        bx = T.launch_thread("blockIdx.x", width // block)
        by = T.launch_thread("blockIdx.y", height)
        for k in range(height):
            for j in range(block):
                C[by, bx * block + j] = A[k, bx * block + j]

    return large


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (large(4096, 128, 128), r"it takes about \S+ s, and \S+ s are left for it"),
        (large(1 << 16, 1 << 16, 1), r"it takes about \S+ s, and \S+ s are left for it"),
        (large(16, 1 << 23, 1 << 22), r"its tensors have 268,435,456 elements, and at most 67,108,864 are executed"),
    ],
    ids=["long", "many work tiles", "much memory"],
)
def test_a_kernel_that_is_too_large_is_not_executed(no_execution, kernel, why):
    found = prove(artifact(kernel), artifact(kernel, schedule_policy="strided"), time_limit_s=9)
    assert (found.is_equal, found.is_executed, found.sizes, found.largest_difference) == (False, False, (), None)
    assert re.fullmatch(f"not executed: large is too large: {why}", found.reason), found.reason


def test_no_time_is_left(no_execution):
    found = prove(artifact(add()), artifact(add()), time_limit_s=0)
    assert not found.is_equal
    assert found.reason.startswith("not executed with m=7: add is too large")


def test_the_time_limit_holds_while_it_is_executed(monkeypatch):
    """Nothing is said to be equal whose last sizes were not executed."""
    monkeypatch.setattr("tilelang.tt.service.proof.excess_of", lambda *whatever: None)
    times = iter([*range(7), *[2000.0] * 9])
    monkeypatch.setattr("tilelang.tt.service.proof.monotonic", lambda: next(times))
    found = prove(artifact(add(), **FOUR_CORES), artifact(add(), **FOUR_CORES), time_limit_s=1000)
    assert not found.is_equal
    assert found.is_executed
    assert found.reason == "not executed with m=37: the time limit has passed"
    assert [sizes["m"] for sizes in found.sizes] == [7, 21]


def test_a_reference_that_cannot_be_executed():
    outside = artifact(gather(shift=12))
    found = prove(outside, outside)
    assert not found.is_equal
    assert not found.is_executed
    assert found.reason.startswith("not executed: the reference cannot be; TT910: ")


# Over a process boundary.


def test_bytes_in_and_out():
    reference, candidate = artifact(add(), **FOUR_CORES), artifact(add(block=5), **FOUR_CORES)
    answer = Proof.from_bytes(prove_bytes(request_of(reference.entry, candidate.entry, seed=3, time_limit_s=50)))
    assert answer == prove(reference, candidate, seed=3)
    assert answer.is_equal


# Sizes and arrays.


@pytest.mark.parametrize(
    ("formula", "period"),
    [("(m + 31) // 32", 32), ("m // 16", 16), ("m", 1), ("(m + 7) // 8 * ((n + 3) // 4)", 8), ("(m + 999) // 1000", 0)],
)
def test_periods(formula, period):
    assert proof_inputs._period(formula, "m") == period


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 8), st.integers(1, 8))
@example(block=2, other=3, columns=1, rows=2)
@example(block=1, other=3, columns=1, rows=2)
def test_sizes_reach_every_boundary(block, other, columns, rows):
    cores = {"cores": [[0, 0, columns - 1, rows - 1]]}
    kernels = [artifact(add(one), "blackhole_p150", **cores).plan.kernel() for one in (block, other)]
    sizes = [one["m"] for one in choose_sizes(kernels)]
    assert len(set(sizes)) == len(sizes) <= 3
    for one in (block, other):
        tiles = [-(-size // one) for size in sizes]
        assert any(count > columns * rows for count in tiles)
        assert any(count % (columns * rows) for count in tiles) or columns * rows == 1
        assert any(size % one for size in sizes) or one == 1
    assert min(sizes) < max(block, other) or block == other == 1


@given(
    st.sampled_from(["float32", "bfloat16", "float16", "float8_e4m3fn", "int8", "uint32", "int32", "bool"]),
    st.lists(st.integers(1, 9), max_size=3),
    st.integers(0, 99),
)
def test_arrays(dtype, shape, seed):
    parameters = [Parameter(0, "A", dtype, ("m", *shape), "read"), Parameter(1, "m", "int32", None, "read")]
    array, scalar = choose_arguments(parameters, {"m": 5}, seed)
    assert scalar == 5
    assert array.shape == (5, *shape)
    assert array.dtype == dtype_of(dtype)
    np.testing.assert_array_equal(choose_arguments(parameters, {"m": 5}, seed)[0], array)
    values = array.astype(np.float64)
    if array.dtype.kind in "iu":
        assert values.min() >= 0
        assert values.max() < min(extent for extent in (5, 8, *shape) if extent > 1)
        assert not choose_arguments(parameters, {"m": 5}, seed, has_indices=False)[0].any()
    elif dtype != "bool":
        assert set(np.unique(values * 4)) <= set(range(-8, 9))


def test_the_cost_is_that_of_what_is_moved():
    """Of two kernels the one of twice the rows takes twice as long, but for what does not depend on them."""
    small, big = (seconds_of(artifact(add()).executable.sized({"m": m})) for m in (800, 1600))
    assert big == pytest.approx(2 * small)
    moved = 3 * 800 * 40 + 2 * 3 * 800 * 40
    assert small == pytest.approx(proof_inputs._PER_ELEMENT * moved + proof_inputs._PER_TILE * 100)


def test_bits_of_floats_that_numpy_has_not():
    assert prove(artifact(halves()), artifact(halves(), schedule_policy="strided")).is_equal


def halves():
    @T.prim_func
    def halves(A: T.Buffer((64,), "bfloat16"), C: T.Buffer((64,), "bfloat16")):
        bx = T.launch_thread("blockIdx.x", 64)
        C[bx] = A[bx] * T.bfloat16(0.5)

    return halves
