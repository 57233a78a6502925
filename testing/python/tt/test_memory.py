"""Memory of executed kernels: what is stored is loaded, and nothing outside is touched."""

import numpy as np
import pytest

from tilelang.tt import errors
from tilelang.tt.executor.memory import Box, Core, OnChip

CORE = Core(0)


def tile():
    return OnChip("tile", (4, 6), np.dtype("float32"))


def test_store_and_load_lanes():
    memory = tile()
    rows, columns = np.arange(4)[:, None], np.arange(6)
    memory.store(CORE, (rows, columns), rows * 10 + columns, mask=columns < 5)
    assert memory.data[3].tolist() == [30, 31, 32, 33, 34, 0]
    assert memory.load(CORE, (2, 4)) == 24


def test_masked_lanes_may_be_outside():
    memory = tile()
    index = np.arange(8)
    memory.store(CORE, (0, index), index, mask=index < 6)
    assert memory.load(CORE, (0, index), index < 6)[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_update_goes_lane_after_lane():
    memory = tile()
    before = memory.update(CORE, (0, np.array([1, 1, 1])), np.add, np.float32(2))
    assert before.tolist() == [0, 2, 4]
    assert memory.data[0, 1] == 6


def test_box():
    memory = tile()
    Box(memory, (1, 2), (2, 3)).write(CORE, np.ones((2, 3), np.float32))
    assert memory.data.sum() == 6
    assert Box(memory, (0, 0), (2, 6)).read(CORE).sum() == 3


@pytest.mark.parametrize("start", [(-1, 0), (1, 0), (0, 3)])
def test_box_outside(start):
    with pytest.raises(errors.ExecutionError, match="TT910: `tile`: found a box at"):
        Box(tile(), start, (4, 6)).read(CORE)


def test_index_outside():
    with pytest.raises(errors.ExecutionError, match="TT910: `tile`: found an index"):
        tile().load(CORE, (0, np.arange(7)))


def test_view_shares_bytes():
    memory = tile()
    memory.view("bits", (24,), np.dtype("uint32")).store(CORE, (7,), 0x3F800000)
    assert memory.data[1, 1] == 1
