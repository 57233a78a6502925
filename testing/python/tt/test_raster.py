"""raster: merged cells against counting each of them, and cores of work tiles against walking the runs."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.infer import infer
from support.plan_pages import filled

from tilelang.tt import Layout, Shard, annotate_tt_layout, buffer_attrs, page_location
from tilelang.tt.plan import make_plan
from tilelang.tt.plan.model import TileRun
from tilelang.tt.plan.page.raster import MIXED, banks_of, cores_of, merge, progressions

pytestmark = pytest.mark.stage("report")


def walk(run):
    return [run.start + r * run.stride + i for r in range(run.repeat) for i in range(run.length)]


@st.composite
def run_lists(draw):
    """Runs of several cores that have no work tile in common."""
    runs, taken = [], set()
    for core in range(draw(st.integers(1, 5))):
        length, repeat = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        stride = draw(st.integers(length, 9)) if repeat > 1 else 0
        run = TileRun(core, draw(st.integers(0, 40)), length, stride, repeat)
        if not taken & set(walk(run)):
            runs.append(run)
            taken |= set(walk(run))
    return runs


@given(run_lists())
def test_cores_of_work_tiles(runs):
    owner = {tile: run.core for run in runs for tile in walk(run)}
    assert cores_of(np.arange(80), runs).tolist() == [owner.get(tile, MIXED) for tile in range(80)]


LAYOUTS = {
    "interleaved": Layout(),
    "rows": Layout(page_layout="row_major"),
    "height": Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 3, 1)])),
    "block": Layout(memory="l1", shard=Shard.block((64, 32), [(0, 0, 2, 3)])),
    "nd": Layout(memory="dram", shard=Shard.nd((32, 32), [(0, 0, 4, 0)])),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_banks_of_pages(layout):
    mod = infer(annotate_tt_layout(filled(70, 250, 1), "B", layout))
    entry, buffer = buffer_attrs(mod, "B"), make_plan(mod).kernel().buffers[1]
    pages = np.arange(buffer.num_pages)
    assert banks_of(pages, buffer).tolist() == [page_location(entry, int(page)).bank for page in pages]


@given(st.tuples(st.integers(1, 150), st.integers(1, 9), st.integers(1, 4)), st.integers(1, 6), st.integers(4, 8))
def test_cells_have_the_owner_of_most(grid, num_owners, max_side):
    raster = merge(grid, lambda at: (at[:, 0] // 3 + at[:, 1] * at[:, 2]) % num_owners, max_side)
    assert not raster.is_sampled
    cells = [range(count) for count in raster.cells]
    for number, (k, j, i) in enumerate(product(*reversed(cells))):
        spans = [
            range(at * size, min(at * size + size, extent))
            for at, size, extent in zip((i, j, k), raster.block, grid, strict=True)
        ]
        owners = Counter((x // 3 + y * z) % num_owners for x, y, z in product(*spans))
        most = max(owners.values())
        assert raster.looked_at[number] == sum(owners.values())
        assert raster.shares[number] == most
        expected = min(owner for owner, count in owners.items() if count == most)
        assert raster.owners[number] == (expected if 2 * most >= sum(owners.values()) else MIXED)


@pytest.mark.parametrize("grid", [(1, 1, 1), (4096, 1, 1), (64, 64, 1), (2, 3, 5), (1, 4096, 1)])
def test_small_grids_are_drawn_as_they_are(grid):
    raster = merge(grid, lambda at: at[:, 0])
    assert not raster.is_merged
    assert raster.cells == grid
    assert raster.corners().tolist() == [[x, y, z] for z, y, x in product(*map(range, reversed(grid)))]


@pytest.mark.parametrize("grid", [(1024, 1024, 1), (10**6, 1, 1), (100, 100, 100), (1, 7, 10**9), (129, 2, 1)])
def test_large_grids_are_merged(grid):
    raster = merge(grid, lambda at: at[:, 1] % 2)
    assert raster.is_merged
    assert len(raster.owners) <= 4096
    assert all(count * size >= extent for count, size, extent in zip(raster.cells, raster.block, grid, strict=True))
    if not raster.is_sampled:
        assert raster.looked_at.sum() == np.prod(grid)


def test_a_million_work_tiles_are_counted_one_by_one():
    assert not merge((1000, 1000, 1), lambda at: at[:, 0]).is_sampled


def test_samples_do_not_fall_in_step_with_strides():
    raster = merge((8192, 8192, 4), lambda at: at[:, 0] % 64)
    assert raster.is_sampled
    assert (raster.owners == MIXED).all()


@given(st.lists(st.integers(-2, 5)))
def test_progressions(values):
    found = [tuple(map(int, text.split(","))) for text in progressions(values).split()]
    assert [start + step * at for start, step, count in found for at in range(count)] == values


def test_progressions_are_short():
    assert progressions(range(1000)) == "0,1,1000"
    assert progressions([3] * 50 + [4] * 50) == "3,0,50 4,0,50"
