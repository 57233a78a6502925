"""Kernels of symbolic size: their formulas give, for every size, what the same kernel with constants has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import T, tvm
from support.infer import plain

from tilelang.tt import (
    _native,
    apply_tt_defaults,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    launch_attrs,
    pipeline,
    runtime_args,
    schedule_attrs,
    specialize,
    verify_tt_metadata,
)

pytestmark = pytest.mark.stage("sizes")

POLICIES = [
    {},
    {"schedule_policy": "strided"},
    {"schedule_policy": "block_cyclic", "schedule_block_size": 3},
    {"schedule_policy": "rectangular"},
    {"schedule_policy": "rectangular", "schedule_order": "column_major"},
    {"schedule_order": "swizzled_row", "swizzle_panel": 2},
    {"core_order": "column_major", "schedule_policy": "rectangular"},
]
CORES = [[[0, 0, 7, 7]], [[1, 2, 3, 4]], [[4, 0, 4, 0]]]
RUN = ("length", "stride", "repeat")
sizes = st.fixed_dictionaries({"m": st.integers(1, 900), "n": st.integers(1, 900), "k": st.integers(1, 300)})


@T.prim_func
def symbolic(a: T.handle, b: T.handle, c: T.handle):
    m = T.int32()
    n = T.int32()
    k = T.int32()
    A = T.match_buffer(a, (m, k), "bfloat16")
    B = T.match_buffer(b, (k, n), "bfloat16")
    C = T.match_buffer(c, (m, n), "float32")
    for bx in T.thread_binding((n + 63) // 64, thread="blockIdx.x"):
        for by in T.thread_binding((m + 31) // 32, thread="blockIdx.y"):
            for i, j, kk in T.grid(32, 64, k):
                if by * 32 + i < m and bx * 64 + j < n:
                    C[by * 32 + i, bx * 64 + j] = C[by * 32 + i, bx * 64 + j] + T.cast(
                        A[by * 32 + i, kk] * B[kk, bx * 64 + j], "float32"
                    )


def constant(m, n, k):
    @T.prim_func
    def main(A: T.Buffer((m, k), "bfloat16"), B: T.Buffer((k, n), "bfloat16"), C: T.Buffer((m, n), "float32")):
        for bx in T.thread_binding((n + 63) // 64, thread="blockIdx.x"):
            for by in T.thread_binding((m + 31) // 32, thread="blockIdx.y"):
                for i, j, kk in T.grid(32, 64, k):
                    if by * 32 + i < m and bx * 64 + j < n:
                        C[by * 32 + i, bx * 64 + j] = C[by * 32 + i, bx * 64 + j] + T.cast(
                            A[by * 32 + i, kk] * B[kk, bx * 64 + j], "float32"
                        )

    return main


def planned(func, **inputs):
    return pipeline(**inputs)(tvm.IRModule({"main": func}))["main"]


def results(func):
    return {key: plain(value) for key, value in func.attrs.items() if key.startswith("tt_")}


@settings(max_examples=15)
@given(sizes, st.sampled_from(POLICIES), st.sampled_from(CORES))
def test_specialized_is_concrete(sizes, policy, cores):
    inputs = {"cores": cores, **policy}
    specialized = specialize(planned(symbolic, **inputs), **sizes)
    assert results(specialized) == results(planned(constant(**sizes), **inputs))
    verify_tt_metadata(specialized)


def tiles_of(args):
    """What each core runs, tile by tile."""
    columns = {name: values.tolist() for name, values in args.per_core.items()}
    for core, (start, count) in enumerate(zip(columns["start_id"], columns["count"], strict=True)):
        runs = [(start, *(columns[f"run_{key}"][core] for key in RUN))] if "run_length" in columns else []
        if "run_start_2" in columns:
            runs.append(tuple(columns[f"run_{key}_2"][core] for key in ("start", *RUN)))
        tiles = [
            first + r * stride + i
            for first, length, stride, repeat in runs
            for r in range(repeat)
            for i in range(length)
        ]
        yield tiles if runs else list(range(start, start + count))
        assert len(tiles) == count or not runs


@settings(max_examples=15)
@given(sizes, st.sampled_from(POLICIES), st.sampled_from(CORES))
def test_runtime_args_of_the_formulas_are_those_of_the_numbers(sizes, policy, cores):
    inputs = {"cores": cores, **policy}
    formulas = runtime_args(planned(symbolic, **inputs), **sizes)
    numbers = runtime_args(planned(constant(**sizes), **inputs))
    assert list(tiles_of(formulas)) == list(tiles_of(numbers))
    for name in ("start_id", "count"):
        np.testing.assert_array_equal(formulas.per_core[name], numbers.per_core[name])
    common = {name: int(value) for name, value in formulas.common.items()}
    assert {name: int(value) for name, value in numbers.common.items()}.items() <= common.items()


def test_every_formula_evaluates_to_its_number():
    """Schedule keys that are text, at sizes that divide nothing evenly."""
    values = {"m": 1000, "n": 777, "k": 123}
    numbers = schedule_attrs(planned(constant(**values)))
    formulas = schedule_attrs(planned(symbolic))
    for key in ("tt_grid_x", "tt_grid_y", "tt_num_tiles", "tt_num_active_cores"):
        assert _native.evaluate(formulas[key], values) == numbers[key]


def test_tables_of_a_symbolic_grid_are_formulas():
    schedule = schedule_attrs(planned(symbolic))
    assert "tt_tiles_per_core" not in schedule
    assert schedule["tt_core_ranges"] == [[0, 0, 7, 7]]
    assert set(schedule["tt_tile_range"]) == {"start", "count", "runs"}


def test_half_specialized_is_half_text():
    schedule = schedule_attrs(specialize(planned(symbolic), n=640))
    assert (schedule["tt_grid_x"], schedule["tt_grid_y"]) == (10, "(m + 31) // 32")


def test_names_do_not_matter():
    @T.prim_func
    def renamed(a: T.handle, b: T.handle, c: T.handle):
        rows = T.int32()
        A = T.match_buffer(a, (rows, 32), "float32")
        for bx in T.thread_binding((rows + 31) // 32, thread="blockIdx.x"):
            A[bx, 0] = T.float32(0)

    @T.prim_func
    def main(a: T.handle, b: T.handle, c: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 32), "float32")
        for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
            A[bx, 0] = T.float32(0)

    run = lambda func: infer_default_tt_schedule(apply_tt_defaults(func))  # noqa: E731
    other = plain(launch_attrs(run(renamed)))
    assert eval(repr(other).replace("rows", "m")) == plain(launch_attrs(run(main)))


@pytest.mark.parametrize("infer", [infer_default_tt_schedule, infer_default_tt_shard])
def test_inference_is_idempotent(infer):
    once = infer(apply_tt_defaults(symbolic))
    assert infer(once).same_as(once)
