"""The pass InferDefaultTTSchedule: before and after. `test_work_split.py` and `test_schedule.py` have the numbers."""

import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from support import host, oracle
from support.conformance import split_work_cases
from support.infer import INPUTS, bare, copy_kernel, infer, module, results
from support.strategies import schedules
from tvm import tirx

from tilelang.tt import (
    apply_tt_defaults,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    schedule_attrs,
)
from tilelang.tt.testing import check_pass, check_rejects
from tilelang.tt.testing.strategies import ORDERS

pytestmark = pytest.mark.stage("schedule")


def test_before_and_after():
    """Three rows of two work tiles on four cores: the first two cores get two tiles."""
    inputs = {**INPUTS, "tt_cores": [[4, 2, 5, 3]]}
    before = copy_kernel(grid=(2, 3, 1)).with_attrs(inputs)
    expected = before.with_attrs(
        {
            "tt_grid_x": 2,
            "tt_grid_y": 3,
            "tt_grid_z": 1,
            "tt_num_tiles": 6,
            "tt_core_grid": [8, 8],
            "tt_num_cores": 4,
            "tt_num_active_cores": 4,
            "tt_tiles_per_core": [[0, 2], [2, 2], [4, 1], [5, 1]],
            "tt_core_ranges": [[4, 2, 5, 3]],
            "tt_runtime_args_schema": oracle.runtime_args_schema((2, 3, 1), params=[("A", None), ("C", None)]),
        }
    )
    after = check_pass(before, expected, infer_default_tt_schedule, idempotent=True, round_trip=True)
    assert after.body.same_as(before.body)


GRIDS = [
    ((1, 1, 1), 1, [[0, 0, 0, 0]]),
    ((8, 1, 1), 8, [[0, 0, 7, 0]]),
    ((9, 1, 1), 9, [[0, 0, 7, 0], [0, 1, 0, 1]]),
    ((4, 4, 4), 64, [[0, 0, 7, 7]]),
    ((5, 13, 1), 64, [[0, 0, 7, 7]]),
    ((65536, 65536, 1), 64, [[0, 0, 7, 7]]),
]


@pytest.mark.parametrize(("grid", "active", "ranges"), GRIDS, ids=str)
def test_grids_on_the_whole_chip(grid, active, ranges):
    attrs = schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(bare(grid))))
    assert (attrs["tt_num_cores"], attrs["tt_num_active_cores"], attrs["tt_core_ranges"]) == (64, active, ranges)
    assert sum(count for _, count in attrs["tt_tiles_per_core"]) == attrs["tt_num_tiles"]


CORES = [
    [[0, 0, 7, 7]],
    [[0, 0, 0, 0]],
    [[7, 7, 7, 7]],
    [[3, 1, 6, 4]],
    [[4, 0, 7, 1], [0, 0, 3, 3]],
    [[0, 5, 7, 7], [2, 2, 2, 2], [0, 0, 7, 1]],
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cores", CORES, ids=str)
@pytest.mark.parametrize("grid", [(1, 1, 1), (5, 3, 1), (7, 5, 3)], ids=str)
def test_cores(grid, cores, order):
    func = infer_default_tt_schedule(apply_tt_defaults(bare(grid), cores=cores, core_order=order))
    assert results(func) == oracle.schedule_attrs(grid, cores, order)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.sampled_from(CORES), st.sampled_from(ORDERS))
def test_every_tile_exactly_once(grid, cores, order):
    attrs = schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(bare(grid), cores=cores, core_order=order)))
    owners = {}
    for core, (start, count) in zip(oracle.cores_of(cores, order), attrs["tt_tiles_per_core"], strict=True):
        for tile in range(start, start + count):
            x, y, z = tile % grid[0], tile // grid[0] % grid[1], tile // (grid[0] * grid[1])
            assert owners.setdefault((x, y, z), core) == core
    assert len(owners) == grid[0] * grid[1] * grid[2]
    assert {*oracle.cells_of(attrs["tt_core_ranges"])} == {*owners.values()}


@given(schedules())
def test_policies_and_orders(arguments):
    """Of the schedule as numbers; tt_tile_runs is there where some core's tiles are not [first, first + count)."""
    inputs = {
        "cores": arguments["cores"],
        "core_order": arguments["core_order"],
        "schedule_policy": arguments["policy"],
        "schedule_block_size": arguments["block_size"],
        "schedule_order": arguments["order"],
        "swizzle_panel": arguments["panel"],
    }
    attrs = results(infer_default_tt_schedule(apply_tt_defaults(bare(arguments["grid"]), **inputs)))
    runs = attrs.pop("tt_tile_runs", None)
    assert attrs == oracle.schedule_attrs(**arguments, runs=max(map(len, runs or [[]])))
    hands = oracle.tiles_of_cores(**arguments)
    if runs is None:
        assert all(len(oracle.runs_of(hand)) <= 1 for hand in hands)
    else:
        assert any(len(oracle.runs_of(hand)) > 1 for hand in hands)
        assert [[tile for run in core for tile in oracle.expand(run)] for core in runs] == hands


def test_before_and_after_with_runs():
    """Five rows of three work tiles in blocks of 2 x 3 on 2 x 2 cores."""
    inputs = {**INPUTS, "tt_cores": [[4, 2, 5, 3]], "tt_schedule_policy": "rectangular"}
    before = copy_kernel(grid=(3, 5, 1)).with_attrs(inputs)
    after = infer_default_tt_schedule(before)
    assert results(after)["tt_tiles_per_core"] == [[0, 6], [2, 3], [9, 4], [11, 2]]
    assert results(after)["tt_tile_runs"] == [[[0, 2, 3, 3]], [[2, 1, 3, 3]], [[9, 2, 3, 2]], [[11, 1, 3, 2]]]
    assert results(after)["tt_core_ranges"] == [[4, 2, 5, 3]]


def test_runs_of_an_idle_core():
    func = infer(bare((3, 3, 1)), cores=[[0, 0, 3, 1]], schedule_policy="rectangular")
    assert results(func)["tt_tile_runs"][3] == []
    assert results(func)["tt_tiles_per_core"][3] == [0, 0]
    assert results(func)["tt_core_ranges"] == [[0, 0, 2, 1]]
    read = tvm.ir.load_json(tvm.ir.save_json(func))
    assert results(read) == results(func)


def test_script_round_trip_with_runs():
    inputs = {"schedule_policy": "block_cyclic", "schedule_block_size": 4}
    order = {"schedule_order": "swizzled_column", "swizzle_panel": 3}
    func = infer(copy_kernel(grid=(30, 30, 1)), **inputs, **order)
    check_pass(func, None, infer_default_tt_schedule, round_trip=True)


def test_runs_of_another_policy_do_not_stay():
    strided = infer_default_tt_schedule(apply_tt_defaults(bare((99, 1, 1)), schedule_policy="strided"))
    by_hand = strided.with_attr("tt_schedule_policy", "contiguous")
    contiguous = infer_default_tt_schedule(apply_tt_defaults(bare((99, 1, 1))))
    assert "tt_tile_runs" in results(strided)
    tvm.ir.assert_structural_equal(infer_default_tt_schedule(by_hand), contiguous)
    assert infer_default_tt_schedule(strided).same_as(strided)


@pytest.mark.parametrize("policy", ["contiguous", "strided", "block_cyclic"])
def test_conformance(policy):
    """The active cores are those of ttnn, in its decomposition, for all policies that deal tiles out in a line."""
    for cores, units, core_order, expected in split_work_cases():
        if units == 0 or max(map(max, cores)) > 7:
            continue
        block_size = 1 if policy == "block_cyclic" else None
        inputs = {"core_order": core_order, "schedule_policy": policy, "schedule_block_size": block_size}
        attrs = results(infer_default_tt_schedule(apply_tt_defaults(bare((units, 1, 1)), cores=cores, **inputs)))
        assert (attrs["tt_num_active_cores"], attrs["tt_core_ranges"]) == (expected["num_cores"], expected["all_cores"])
        counts = [count for _, count in attrs["tt_tiles_per_core"] if count]
        busier, others = (len(oracle.cells_of(expected[group])) for group in ("g1", "g2"))
        assert counts == [expected["u1"]] * busier + [expected["u2"]] * others


@pytest.mark.parametrize(
    ("grid", "start_id", "count"),
    [
        ((2**16, 2**16 - 1, 1), "uint32", "uint32"),
        ((2**16, 2**16, 1), "uint32", "uint32"),  # tile ids still fit
        ((2**16 + 1, 2**16, 1), "uint64", "uint32"),
        ((2**21, 2**21, 2**20), "uint64", "uint64"),
    ],
    ids=str,
)
def test_width_of_tile_numbers(grid, start_id, count):
    schema = schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(bare(grid))))["tt_runtime_args_schema"]
    assert [argument["dtype"] for argument in schema[:5]] == [start_id, count, "uint32", "uint32", "uint32"]


def test_one_core_of_a_grid_of_2_32_tiles():
    """A count of 2^32 does not fit the 32 bits that a tile's number still fits."""
    func = infer_default_tt_schedule(apply_tt_defaults(bare((2**16, 2**16, 1)), cores=[[0, 0, 0, 0]]))
    schema = schedule_attrs(func)["tt_runtime_args_schema"]
    assert (schema[1]["name"], schema[1]["dtype"]) == ("count", "uint64")


@pytest.mark.parametrize("grid", [(2**33, 2, 1), (2, 2**32, 1), (2**32 - 1, 2, 1)], ids=str)
def test_values_fit_their_dtypes(grid):
    schema = schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(bare(grid))))["tt_runtime_args_schema"]
    assert [argument["value"] for argument in schema[2:4]] == [grid[0], grid[1]]
    for argument in schema[2:]:
        assert argument["value"] < 2 ** int(argument["dtype"].removeprefix("uint")), argument


@pytest.mark.parametrize("grid", [(2**32, 2**31, 1), (2**21, 2**21, 2**21), (2**62, 1, 2)], ids=str)
def test_grid_beyond_64_bits(grid):
    func = apply_tt_defaults(bare(grid))
    check_rejects(func, infer_default_tt_schedule, code="TT501", match="does not fit a signed 64-bit integer")


def test_again_changes_nothing():
    once = infer_default_tt_schedule(apply_tt_defaults(copy_kernel()))
    assert infer_default_tt_schedule(once).same_as(once)
    mod = infer_default_tt_schedule(apply_tt_defaults(module(copy_kernel())))
    tvm.ir.assert_structural_equal(infer_default_tt_schedule(mod), mod)


def test_stale_results_never_survive():
    """Whatever is written under the key of a result is recomputed, and nothing is left of an earlier grid."""
    fresh = infer_default_tt_schedule(apply_tt_defaults(copy_kernel(grid=(2, 2, 2))))
    stale = fresh.with_attrs(
        {"tt_grid_x": 99, "tt_num_tiles": "nonsense", "tt_tiles_per_core": [[0, 1]], "tt_runtime_args_schema": {}}
    )
    tvm.ir.assert_structural_equal(infer_default_tt_schedule(stale), fresh)


def test_independent_of_shard():
    func = apply_tt_defaults(copy_kernel())
    one = infer_default_tt_shard(infer_default_tt_schedule(func))
    other = infer_default_tt_schedule(infer_default_tt_shard(func))
    tvm.ir.assert_structural_equal(one, other)


def test_json_round_trip():
    mod = infer(module(copy_kernel()))
    read = tvm.ir.load_json(tvm.ir.save_json(mod))
    tvm.ir.assert_structural_equal(read, mod)
    assert results(read["main"]) == results(mod["main"])
    tvm.ir.assert_structural_equal(infer_default_tt_schedule(read), mod)


def test_json_is_stable():
    assert tvm.ir.save_json(infer(module(copy_kernel()))) == tvm.ir.save_json(infer(module(copy_kernel())))


if host.ON_TILELANG:
    from support import kernels_tilelang

    def test_json_round_trip_of_a_tilelang_kernel():
        func = infer(kernels_tilelang.gemm())
        read = tvm.ir.load_json(tvm.ir.save_json(func))
        tvm.ir.assert_structural_equal(read, func)
        assert results(read) == results(func)


def test_grid_of_constants_in_an_expression():
    """Hosts fold constants when they build; what they leave unfolded is no constant."""
    func = bare((tirx.IntImm("int32", 3) * tirx.IntImm("int32", 2), None, None))
    assert schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(func)))["tt_grid_x"] == 6
