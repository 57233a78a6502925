"""Which cell of the grid is which work tile: against TileLang's rule and by walking the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle

from tilelang.tt import errors, tile_coordinates, tile_ids
from tilelang.tt.testing.strategies import grids, tile_orders

pytestmark = pytest.mark.stage("schedule")


@given(grids(9), tile_orders())
def test_oracle(grid, inputs):
    found = tile_coordinates(grid, **inputs)
    expected = oracle.tile_order(grid, inputs["schedule_order"], inputs.get("swizzle_panel"))
    assert [tuple(cell) for cell in found.tolist()] == expected


@given(grids(9), tile_orders())
def test_bijection(grid, inputs):
    cells = tile_coordinates(grid, **inputs)
    assert {*map(tuple, cells.tolist())} == set(np.ndindex(grid))
    assert tile_ids(grid, cells, **inputs).tolist() == list(range(len(cells)))


@pytest.mark.parametrize("order", ["swizzled_row", "swizzled_column"])
def test_all_small_panels(order):
    for *extents, panel in np.ndindex(5, 6, 2, 6):
        grid, inputs = tuple(extent + 1 for extent in extents), {"schedule_order": order, "swizzle_panel": panel + 1}
        cells = tile_coordinates(grid, **inputs)
        assert [tuple(cell) for cell in cells.tolist()] == oracle.tile_order(grid, order, panel + 1)
        assert tile_ids(grid, cells, **inputs).tolist() == list(range(len(cells)))


@given(st.tuples(*[st.integers(1, 2**20)] * 3), tile_orders(), st.data())
def test_there_and_back_in_large_grids(grid, inputs, data):
    number = data.draw(st.integers(0, grid[0] * grid[1] * grid[2] - 1))
    assert tile_ids(grid, tile_coordinates(grid, [number], **inputs), **inputs).tolist() == [number]


def test_a_swizzled_grid():
    """Panels of two rows, the second one from right to left, and one row that is left over."""
    order = {"schedule_order": "swizzled_row", "swizzle_panel": 2}
    rows = np.zeros((5, 3), dtype=int)
    for number, (x, y, _) in enumerate(tile_coordinates((3, 5, 1), **order)):
        rows[y, x] = number
    assert rows.tolist() == [[0, 2, 4], [1, 3, 5], [10, 8, 6], [11, 9, 7], [12, 13, 14]]


def test_a_panel_larger_than_the_grid():
    whole = tile_coordinates((3, 5, 2), schedule_order="swizzled_row", swizzle_panel=2**62)
    assert whole.tolist() == tile_coordinates((3, 5, 2), schedule_order="column_major").tolist()


def test_shapes_and_dtype():
    assert tile_coordinates((4, 2, 1)).shape == (8, 3)
    assert tile_coordinates((4, 2, 1), []).shape == (0, 3)
    assert tile_coordinates((4, 2, 1), np.arange(3, dtype=np.uint8)).dtype == np.int64
    assert tile_ids((4, 2, 1), []).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tile_coordinates((4, 2, 1), [8]), "work tile 8 is not in the 4x2x1 grid"),
        (lambda: tile_coordinates((4, 2, 1), [0, -1]), "work tile -1 is not in the 4x2x1 grid"),
        (lambda: tile_ids((4, 2, 1), [[0, 2, 0]]), r"cell \(0, 2, 0\) is not in the 4x2x1 grid"),
        (lambda: tile_ids((4, 2, 1), [[0, 0, -1]]), r"cell \(0, 0, -1\) is not in the 4x2x1 grid"),
        (lambda: tile_coordinates((4, 0, 1)), "grid extent y is 0; expected at least 1"),
    ],
)
def test_refused_tiles(call, message):
    with pytest.raises(errors.GridError, match=message):
        call()


@pytest.mark.parametrize(
    ("order", "panel", "message"),
    [
        ("diagonal", None, 'unknown schedule order "diagonal"; expected one of: row_major, column_major, swizzled_row'),
        ("swizzled_row", None, '"swizzled_row" with no swizzle panel; expected a swizzle_panel of at least 1'),
        ("swizzled_column", 0, "with a swizzle panel of 0; expected a swizzle_panel of at least 1"),
        ("column_major", 4, '"column_major" with a swizzle panel of 4; expected none'),
    ],
)
def test_refused_order(order, panel, message):
    with pytest.raises(errors.OptionError, match=message):
        tile_coordinates((4, 2, 1), schedule_order=order, swizzle_panel=panel)


@pytest.mark.parametrize(
    "call",
    [
        lambda: tile_coordinates((4, 2)),
        lambda: tile_coordinates((4, 2, 1), [[0]]),
        lambda: tile_coordinates((4, 2, 1), [0.5]),
        lambda: tile_ids((4, 2, 1), [0, 0, 0]),
        lambda: tile_ids((4, 2, 1), [[0, 0]]),
    ],
)
def test_refused_arguments(call):
    with pytest.raises(errors.ArgumentError, match="expected"):
        call()
