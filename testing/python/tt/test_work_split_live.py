"""Splitting work against ttnn itself; collected only where it is installed."""

import pytest
import ttnn
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import core_sets

from tilelang.tt import split_work_to_cores

pytestmark = pytest.mark.stage("schedule")


def plain(split):
    """A result of ttnn's with its ranges as tuples."""
    num_cores, *groups, units_1, units_2 = split
    ranges = (tuple((r.start.x, r.start.y, r.end.x, r.end.y) for r in group.ranges()) for group in groups)
    return (num_cores, *ranges, units_1, units_2)


@given(st.tuples(st.integers(1, 14), st.integers(1, 12)), st.integers(0, 1000), st.booleans())
def test_grid(grid, units, row_wise):
    expected = ttnn.split_work_to_cores(ttnn.CoreCoord(*grid), units, row_wise)
    assert split_work_to_cores(grid, units, row_wise) == plain(expected)


@given(core_sets(), st.integers(0, 1000), st.booleans())
def test_core_range_set(cores, units, row_wise):
    ranges = [ttnn.CoreRange(ttnn.CoreCoord(x0, y0), ttnn.CoreCoord(x1, y1)) for x0, y0, x1, y1 in cores]
    expected = ttnn.split_work_to_cores(ttnn.CoreRangeSet(ranges), units, row_wise)
    assert split_work_to_cores(cores, units, row_wise) == plain(expected)
