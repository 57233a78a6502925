"""Memory of executed kernels: what is stored is loaded, and nothing outside is touched."""

import ml_dtypes
import numpy as np
import pytest

from tilelang.tt import errors
from tilelang.tt.executor.memory import Box, Core, OnChip, Poison, Unwritten

pytestmark = pytest.mark.stage("execute")

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


@pytest.mark.parametrize("index", [(0, np.arange(7)), (0, -1), (4, 0), (np.arange(-1, 3), 0)])
def test_index_outside(index):
    with pytest.raises(errors.ExecutionError, match="TT910: `tile`: found an index"):
        tile().load(CORE, index)


def test_masked_lanes_around_a_single_element():
    memory = OnChip("one", (1,), np.dtype("float32"))
    index = np.array([-1, 0, 1])
    memory.store(CORE, (index,), np.float32(3), index == 0)
    assert memory.load(CORE, (index,), index == 0)[1] == 3


def test_view_shares_bytes():
    memory = tile()
    memory.view("bits", (24,), np.dtype("uint32")).store(CORE, (7,), 0x3F800000)
    assert memory.data[1, 1] == 1


def test_combine_a_box():
    memory = tile()
    Box(memory, (1, 2), (2, 3)).combine(CORE, np.add, np.ones((2, 3), np.float32))
    Box(memory, (1, 2), (2, 3)).combine(CORE, np.maximum, np.zeros((2, 3), np.float32))
    assert memory.data.sum() == 6


FLOATS = ["float32", "float16", "bfloat16", "float8_e4m3fn"]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("pattern", ["nan", "inf"])
def test_poison_of_floats(name, pattern):
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    filled = Poison(pattern, 1).fill((3, 2), dtype).astype(np.float32)
    expected = np.isinf if pattern == "inf" and name != "float8_e4m3fn" else np.isnan
    assert filled.shape == (3, 2)
    assert expected(filled).all()


@pytest.mark.parametrize("name", ["int8", "uint32", "bool", *FLOATS])
def test_random_poison(name):
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    first, again, other = (Poison("random", seed).fill((64,), dtype).tobytes() for seed in (1, 1, 2))
    assert first == again != other
    assert Poison("nan", 1).fill((64,), np.dtype("int32")).any()


def poisoned(shape=(4, 6)):
    core = Core(3, poison=Poison("nan", 0))
    return core, core.allocate("tile", shape, np.dtype("float32"))


def test_fresh_memory_is_zero_without_poison():
    assert not CORE.allocate("tile", (4,), np.dtype("float32")).data.any()


@pytest.mark.parametrize(
    "read",
    [
        lambda core, memory: memory.load(core, (2, 4)),
        lambda core, memory: memory.load(core, (2, np.arange(6)), np.arange(6) == 4),
        lambda core, memory: memory.update(core, (2, 4), np.add, np.float32(1)),
        lambda core, memory: memory.read(core, (1, 4), (2, 1)),
        lambda core, memory: memory.combine(core, (1, 4), np.add, np.ones((2, 1), np.float32)),
        lambda core, memory: memory.view("bits", (48,), np.dtype("uint16")).load(core, (33,)),
    ],
)
def test_reads_of_what_is_not_written(read):
    core, memory = poisoned()
    memory.write(core, (0, 0), np.ones((2, 6), np.float32))
    memory.store(core, (2, np.arange(6)), np.float32(0), np.arange(6) != 4)
    core.turn = 5
    read(core, memory)
    (unwritten,) = core.unwritten
    assert unwritten in (Unwritten("tile", (2, 4), 0, 5), Unwritten("bits", (33,), 0, 5))


def test_reads_of_what_is_written():
    core, memory = poisoned()
    bits = memory.view("bits", (48,), np.dtype("uint16"))
    bits.store(core, (np.arange(24),), np.uint16(0))
    memory.write(core, (2, 0), np.ones((1, 6), np.float32))
    memory.store(core, (3, np.arange(6)), np.float32(1))
    memory.read(core, (0, 0), (4, 6))
    memory.load(core, (np.arange(4)[:, None], np.arange(6)))
    bits.load(core, (np.arange(48),))
    assert core.unwritten == []


def test_reads_are_noted_once_in_a_work_tile():
    core, memory = poisoned()
    for core.turn in (0, 0, 1):
        memory.load(core, (0, 0))
        memory.read(core, (1, 0), (1, 1))
    assert [(unwritten.index, unwritten.turn) for unwritten in core.unwritten] == [((0, 0), 0), ((0, 0), 1)]


def test_masked_lanes_read_nothing():
    core, memory = poisoned()
    memory.store(core, (0, 3), np.float32(1))
    memory.load(core, (0, np.arange(6)), np.arange(6) == 3)
    assert core.unwritten == []


@pytest.mark.parametrize(
    "read",
    [lambda core, memory: memory.load(core, (0, 0)), lambda core, memory: memory.read(core, (0, 0), (1, 1))],
)
def test_a_part_of_an_element_is_not_all_of_it(read):
    core, memory = poisoned()
    parts = memory.view("bytes", (96,), np.dtype("uint8"))
    parts.write(core, (0,), np.zeros(3, np.uint8))
    read(core, memory)
    assert [unwritten.index for unwritten in core.unwritten] == [(0, 0)]
    core.unwritten.clear()
    parts.store(core, (3,), np.uint8(0))
    read(core, memory)
    assert core.unwritten == []


def test_updates_write():
    core, memory = poisoned()
    memory.update(core, (0, 0), np.add, np.float32(1))
    core.unwritten.clear()
    memory.load(core, (0, 0))
    assert core.unwritten == []
