"""Which core runs which work tiles, as numbers; `test_infer_tt_schedule.py` has the pass."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.strategies import ORDERS, core_sets

from tilelang.tt import _native, errors


@given(core_sets(), st.integers(0, 600), st.sampled_from(ORDERS))
def test_oracle(cores, num_tiles, order):
    num_cores = len(oracle.cells_of(cores))
    assert _native.tiles_per_core(cores, num_tiles, order).tolist() == oracle.tiles_per_core(num_tiles, num_cores)


@given(core_sets(), st.integers(0, 600), st.sampled_from(ORDERS))
def test_properties(cores, num_tiles, order):
    table = _native.tiles_per_core(cores, num_tiles, order).tolist()
    assert len(table) == len(oracle.cells_of(cores))
    # Every tile exactly once, in the order of the cores.
    assert [tile for start, count in table for tile in range(start, start + count)] == list(range(num_tiles))
    counts = [count for _, count in table]
    assert max(counts) - min(counts) <= 1
    assert all(start == 0 for start, count in table if count == 0)


@pytest.mark.parametrize("num_tiles", [2**32, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("cores", [[[0, 0, 0, 0]], [[0, 0, 7, 7]], [[0, 0, 6, 0]]], ids=str)
def test_64_bits(cores, num_tiles):
    table = _native.tiles_per_core(cores, num_tiles, "row_major").tolist()
    assert sum(count for _, count in table) == num_tiles
    assert all(start + count == next_start for (start, count), (next_start, _) in pairwise(table))


def test_beyond_64_bits():
    with pytest.raises((TypeError, OverflowError)):
        _native.tiles_per_core([[0, 0, 7, 7]], 2**63, "row_major")


def test_refused_number_of_tiles():
    with pytest.raises(errors.GridError, match="-1"):
        _native.tiles_per_core([[0, 0, 7, 7]], -1, "row_major")
