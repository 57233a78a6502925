"""Which core runs which work tiles, as numbers; `test_infer_tt_schedule.py` has the pass."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.conformance import split_work_cases
from support.strategies import schedules

from tilelang.tt import _native, errors
from tilelang.tt.testing import strategies
from tilelang.tt.testing.strategies import ORDERS, POLICIES

pytestmark = pytest.mark.stage("schedule")

WHOLE = [[0, 0, 7, 7]]


def plan(
    grid, cores=WHOLE, core_order="row_major", policy="contiguous", block_size=None, order="row_major", panel=None
):
    """`_native.schedule` with defaults; extents may be numbers or texts."""
    return _native.schedule([str(extent) for extent in grid], cores, core_order, policy, block_size, order, panel)


def tiles_of(share):
    return [tile for run in share[2] for tile in oracle.expand(run)]


@given(schedules())
def test_oracle(arguments):
    schedule = plan(**arguments)
    hands = oracle.tiles_of_cores(**arguments)
    assert [tiles_of(share) for share in schedule["shares"]] == hands
    assert [(start, count) for start, count, _ in schedule["shares"]] == [
        (hand[0], len(hand)) if hand else (0, 0) for hand in hands
    ]
    assert schedule["num_tiles"] == sum(map(len, hands))
    assert schedule["num_active_cores"] == sum(map(bool, hands))
    assert schedule["active_ranges"] == oracle.active_ranges(
        arguments["cores"], arguments["core_order"], hands, arguments["policy"]
    )


@pytest.mark.parametrize(("policy", "block_size"), [("contiguous", None), ("strided", None), ("block_cyclic", 1)])
def test_active_cores_are_those_of_ttnn(policy, block_size):
    for cores, units, core_order, expected in split_work_cases():
        if units:
            schedule = plan((units, 1, 1), cores, core_order, policy, block_size)
            assert schedule["num_active_cores"] == expected["num_cores"]
            assert schedule["active_ranges"] == expected["all_cores"]


@given(schedules())
def test_every_tile_exactly_once(arguments):
    schedule = plan(**arguments)
    tiles = [tile for share in schedule["shares"] for tile in tiles_of(share)]
    assert sorted(tiles) == list(range(schedule["num_tiles"]))
    active = {*oracle.cells_of(schedule["active_ranges"])}
    cores = oracle.cores_of(arguments["cores"], arguments["core_order"])
    assert {core for core, share in zip(cores, schedule["shares"], strict=True) if share[1]} == active


@given(schedules())
def test_balance(arguments):
    counts = [share[1] for share in plan(**arguments)["shares"]]
    if arguments["policy"] == "rectangular":
        return  # test_blocks_of_rectangular has its bound
    assert max(counts) - min(counts) <= (arguments["block_size"] or 1)


@given(schedules())
def test_runs_are_few_and_in_normal_form(arguments):
    """Of full blocks and of the last one at most; a rectangle is one run."""
    most = 2 if arguments["policy"] == "block_cyclic" else 1
    for share in plan(**arguments)["shares"]:
        assert len(share[2]) <= most
        for start, length, stride, repeat in share[2]:
            assert start >= 0
            assert length >= 1
            assert (stride > length and repeat >= 2) or (stride, repeat) == (0, 1)
        tiles = tiles_of(share)
        assert tiles == sorted(tiles)
        # One run of tiles without gaps is said as one.
        assert (len(oracle.runs_of(tiles)) == 1) == (len(share[2]) == 1 and share[2][0][3] == 1)


@given(strategies.cores((21, 8)), st.sampled_from(ORDERS), st.integers(1, 2**40))
def test_work_never_moves_to_a_later_core(cores, core_order, num_tiles):
    """One more tile makes the share of one core bigger by one and leaves all others as they are."""
    for policy in ("contiguous", "strided"):
        before, after = (
            [share[1] for share in plan((n, 1, 1), cores, core_order, policy)["shares"]]
            for n in (num_tiles, num_tiles + 1)
        )
        assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0] * (len(before) - 1) + [1]
        assert all(a >= b for a, b in pairwise(after))


def evaluated(share, sizes):
    """The formulas of a share as numbers, without runs that are empty and with neighbours merged."""

    def value(number):
        return _native.evaluate(str(number), sizes)

    runs = []
    for start, length, stride, repeat in ([value(number) for number in run] for run in share[2]):
        if length and repeat:
            runs += (
                [(start, length * repeat, 0, 1)]
                if stride == length or repeat == 1
                else [(start, length, stride, repeat)]
            )
    if len(runs) == 2 and runs[0][3] == runs[1][3] == 1 and runs[0][0] + runs[0][1] == runs[1][0]:
        runs = [(runs[0][0], runs[0][1] + runs[1][1], 0, 1)]
    return value(share[0]), value(share[1]), runs


@given(schedules(), st.sets(st.sampled_from("xyz"), min_size=1))
def test_formulas_are_the_schedule(arguments, symbolic):
    """Evaluated at sizes and for a core, the formulas give what a static grid of these sizes gives."""
    sizes = dict(zip("xyz", arguments["grid"], strict=True))
    grid = [axis if axis in symbolic else extent for axis, extent in sizes.items()]
    formulas, static = plan(**{**arguments, "grid": grid}), plan(**arguments)
    for core_id, share in enumerate(static["shares"]):
        assert evaluated(formulas["share"], {**sizes, "core_id": core_id}) == share
    for key in ("num_tiles", "num_active_cores"):
        assert _native.evaluate(str(formulas[key]), sizes) == static[key]
    assert formulas["active_ranges"] == arguments["cores"]


def test_formulas():
    contiguous = plan(("m", 1, 1))["share"]
    assert contiguous[1] == "(m - core_id + 63) // 64"
    start = "(core_id * (m // 64) + min(core_id, m % 64)) * min((m - core_id + 63) // 64, 1)"
    assert contiguous[0] == start
    assert contiguous[2] == [(start, contiguous[1], 0, 1)]
    assert plan(("m", 1, 1), policy="strided")["share"][2] == [("core_id", 1, 64, "(m - core_id + 63) // 64")]
    full, partial = plan(("m", 1, 1), policy="block_cyclic", block_size=4)["share"][2]
    assert full == ("core_id * 4", 4, 256, "(m // 4 - core_id + 63) // 64")
    assert partial[:3] == ("m // 4 * 4", "m % 4", 0)
    _, _, ((start, length, stride, repeat),) = plan(("m", "n", 1), policy="rectangular")["share"]
    assert length == "min((m + 7) // 8, max(m - core_id % 8 * ((m + 7) // 8), 0))"
    assert stride == "m"
    assert repeat == "min((n + 7) // 8, max(n - core_id // 8 * ((n + 7) // 8), 0))"
    assert plan(("m", "n", 1), policy="rectangular")["num_active_cores"] == (
        "(m + (m + 7) // 8 - 1) // ((m + 7) // 8) * ((n + (n + 7) // 8 - 1) // ((n + 7) // 8))"
    )


def test_blocks_of_rectangular():
    """10 columns and 9 rows on 4 x 4 cores: blocks of 3 x 3, one column left over and no row for the last cores."""
    schedule = plan((10, 3, 3), [[2, 1, 5, 4]], policy="rectangular")
    assert schedule["active_ranges"] == [[2, 1, 5, 3]]
    assert [share[2] for share in schedule["shares"][:5]] == [
        [(0, 3, 10, 3)],
        [(3, 3, 10, 3)],
        [(6, 3, 10, 3)],
        [(9, 1, 10, 3)],
        [(30, 3, 10, 3)],
    ]
    assert schedule["shares"][12:] == [(0, 0, [])] * 4


def test_column_major_rectangles_are_transposed():
    """Swapping the axes of grid and cores and both orders swaps nothing else."""
    rows = plan((10, 9, 1), [[0, 0, 3, 1]], "row_major", "rectangular", order="row_major")
    columns = plan((9, 10, 1), [[0, 0, 1, 3]], "column_major", "rectangular", order="column_major")
    assert rows["shares"] == columns["shares"]


def test_block_cyclic_of_one_core_is_one_run():
    assert plan((10, 1, 1), [[0, 0, 0, 0]], policy="block_cyclic", block_size=4)["shares"] == [(0, 10, [(0, 10, 0, 1)])]


def test_strided_is_block_cyclic_by_one():
    for grid in [(1, 1, 1), (5, 3, 2), (100, 1, 1)]:
        strided, cyclic = plan(grid, policy="strided"), plan(grid, policy="block_cyclic", block_size=1)
        assert strided == cyclic


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("grid", [(2**31, 1, 1), (2**16, 2**16, 1), (2**20, 2**10, 2**10), (1, 1, 2**62)], ids=str)
def test_large_grids(grid, order, policy):
    """As many numbers as for a small grid, and every tile in one of them."""
    schedule = plan(grid, policy=policy, order=order, block_size=1000 if policy == "block_cyclic" else None)
    runs = [run for share in schedule["shares"] for run in share[2]]
    assert len(runs) <= 2 * 64
    assert sum(length * repeat for _, length, _, repeat in runs) == schedule["num_tiles"]
    assert sum(share[1] for share in schedule["shares"]) == grid[0] * grid[1] * grid[2]
    assert all(
        start + (repeat - 1) * stride + length <= schedule["num_tiles"] for start, length, stride, repeat in runs
    )


@given(strategies.cores((21, 8)), st.integers(1, 2**63 - 1), st.sampled_from(ORDERS), st.integers(1, 2**40))
def test_64_bits(cores, num_tiles, core_order, block_size):
    for policy, size in [("contiguous", None), ("strided", None), ("block_cyclic", block_size)]:
        shares = plan((num_tiles, 1, 1), cores, core_order, policy, size)["shares"]
        assert sum(share[1] for share in shares) == num_tiles
    contiguous = plan((num_tiles, 1, 1), cores, core_order)["shares"]
    assert all(a[0] + a[1] == b[0] for a, b in pairwise(contiguous) if b[1])


@pytest.mark.parametrize("grid", [(2**63, 1, 1), (2**32, 2**31, 1), (2**62, 1, 2)], ids=str)
def test_beyond_64_bits(grid):
    with pytest.raises(errors.TTError):
        plan(grid)


@pytest.mark.parametrize("grid", [(0, 1, 1), (1, -1, 1), (1, 1, 0)], ids=str)
def test_refused_grid(grid):
    with pytest.raises(errors.GridError, match="expected at least 1"):
        plan(grid)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"policy": "striped"}, errors.OptionError,
         'unknown schedule policy "striped"; expected one of: contiguous, strided, block_cyclic, rectangular'),
        ({"policy": "block_cyclic"}, errors.OptionError, '"block_cyclic" with no block size; expected a'),
        ({"policy": "block_cyclic", "block_size": 0}, errors.OptionError, "with a block size of 0; expected a"),
        ({"policy": "strided", "block_size": 4}, errors.OptionError,
         '"strided" with a block size of 4; expected none, as only block_cyclic has blocks'),
        ({"policy": "block_cyclic", "block_size": 2**60}, errors.IntegerOverflowError, "does not fit"),
        ({"policy": "rectangular", "order": "swizzled_row", "panel": 4}, errors.OptionError,
         '"rectangular" with a swizzled schedule order; expected row_major or column_major'),
        ({"policy": "rectangular", "cores": [[0, 0, 3, 3], [4, 0, 7, 1]]}, errors.OptionError,
         r'"rectangular" on 24 of the 32 cores of \[0, 0, 7, 3\]; expected cores that fill a rectangle'),
    ],
)  # fmt: skip
def test_refused_policy(arguments, error, message):
    with pytest.raises(error, match=message):
        plan((5, 3, 1), **arguments)
