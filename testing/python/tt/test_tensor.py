"""Tensor parameters of executed kernels: what lies where, over the edge, under another view, and who may meet whom."""

from dataclasses import replace
from math import prod
from threading import Thread

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.buffers import make_buffer
from support.infer import copy_kernel

from tilelang.tt import errors
from tilelang.tt.executor.ledger import Workload, differ
from tilelang.tt.executor.memory import Box, Core, Poison
from tilelang.tt.executor.tensor import Edge, Tensor
from tilelang.tt.plan import make_plan

pytestmark = pytest.mark.stage("execute")

# Four work tiles: (0, 0) and (1, 0) on core 0, (0, 1) on core 1, (1, 1) on core 2.
WORKLOAD = Workload(make_plan(copy_kernel(grid=(2, 2, 1)), cores=[[0, 0, 2, 0]]).kernel())
REFUSED = Edge(False, None)


def defined(value, dtype="float32"):
    return Edge(True, np.array([value], dtype))


def numbers(shape, dtype="float32"):
    return (np.arange(prod(shape)) + 1).reshape(shape).astype(dtype)


def tensor(shape=(40, 70), dtype="float32", edge=REFUSED, access="read_write", padding="any", poison=None, **options):
    buffer = replace(make_buffer(shape, dtype, padding=padding, **options), access=access)
    memory = Tensor(buffer, numbers(shape, dtype), edge, WORKLOAD, poison)
    memory.begin_launch()
    return memory


CORE = Core(0, turn=0)


@pytest.mark.parametrize("shape", [(), (7,), (40, 70), (32, 64), (2, 3, 5, 33)])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"page_layout": "row_major"}])
def test_elements_of_every_rank(shape, options):
    memory = tensor(shape, **options)
    assert np.array_equal(memory.read(CORE, (0,) * len(shape), shape), numbers(shape))
    for index in np.ndindex(shape):
        assert memory.load(CORE, index) == numbers(shape)[index]
    assert np.array_equal(memory.result(), numbers(shape))


def test_lanes():
    memory = tensor()
    rows, columns = np.arange(40)[:, None], np.arange(70)
    mask = (rows + columns) % 3 == 0
    assert np.array_equal(memory.load(CORE, (rows, columns)), numbers((40, 70)))
    assert np.array_equal(memory.load(CORE, (rows, columns), mask)[mask], numbers((40, 70))[mask])
    memory.store(CORE, (rows, columns), np.float32(0), mask)
    assert np.array_equal(memory.result(), np.where(mask, 0, numbers((40, 70))))


def test_what_a_format_rounds_is_rounded():
    memory = tensor((32, 32), data_format="Float16_b")
    memory.store(CORE, (0, 0), np.float32(1.001))
    assert memory.load(CORE, (0, 0)) == np.float32(1.001)
    memory.end_launch()
    assert memory.load(CORE, (0, 0)) == 1
    assert memory.elements[31, 31] == np.float32(1024).astype(ml_dtypes.bfloat16)
    assert tensor((32, 32), data_format="Float16_b").elements[8, 0] == 256  # 257


def test_padding_of_the_plan_is_there():
    memory = tensor(edge=defined(7), padding="7")
    assert memory.padded.shape == (64, 96)
    assert (memory.padded[40:] == 7).all()
    assert (memory.padded[:, 70:] == 7).all()


# Over the edge, where that means something.


@st.composite
def boxes(draw):
    """A shape and a box that may lie anywhere around it."""
    shape = tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=3)))
    start = tuple(draw(st.integers(-50, 80)) for _ in shape)
    extent = tuple(draw(st.integers(1, 40)) for _ in shape)
    return shape, start, extent


def around(array, start, extent, value):
    """A box of an array, one element at a time."""
    out = np.full(extent, value, array.dtype)
    for place in np.ndindex(extent):
        index = tuple(first + i for first, i in zip(start, place, strict=True))
        if all(0 <= i < size for i, size in zip(index, array.shape, strict=True)):
            out[place] = array[index]
    return out


@given(boxes(), st.sampled_from([0.0, 1.0, -np.inf]))
def test_boxes_and_elements_over_the_edge(case, value):
    shape, start, extent = case
    memory = tensor(shape, edge=defined(value), padding=str(value))
    expected = around(numbers(shape), start, extent, value)
    assert np.array_equal(memory.read(CORE, start, extent), expected)
    lattice = np.ix_(*(np.arange(first, first + length) for first, length in zip(start, extent, strict=True)))
    assert np.array_equal(memory.load(CORE, lattice), expected)
    chosen = expected != value
    assert np.array_equal(memory.load(CORE, lattice, chosen)[chosen], expected[chosen])


@given(boxes(), st.booleans())
def test_writes_over_the_edge_are_dropped(case, single):
    shape, start, extent = case
    memory = tensor(shape, edge=defined(0), padding="0")
    values = -numbers(extent)
    expected = numbers(shape)
    lattice = np.ix_(*(np.arange(first, first + length) for first, length in zip(start, extent, strict=True)))
    for place in np.ndindex(extent):
        index = tuple(first + i for first, i in zip(start, place, strict=True))
        if all(0 <= i < size for i, size in zip(index, shape, strict=True)):
            expected[index] = values[place]
    if single:
        memory.store(CORE, lattice, values)
    else:
        memory.write(CORE, start, values)
    assert np.array_equal(memory.result(), expected)
    memory.padded[tuple(map(slice, shape)) if len(shape) > 1 else (0, slice(*shape))] = 0
    assert not memory.padded.any()


@given(boxes(), st.booleans())
def test_updates_over_the_edge_are_dropped(case, single):
    shape, start, extent = case
    memory = tensor(shape, edge=defined(0), padding="0")
    inside = around(np.ones(shape, np.float32), start, extent, 0)
    lattice = np.ix_(*(np.arange(first, first + length) for first, length in zip(start, extent, strict=True)))
    if inside.size > 300:
        single = False
    if single:
        memory.update(CORE, lattice, np.add, np.float32(1))
    else:
        memory.combine(CORE, start, np.add, np.ones(extent, np.float32))
    assert (memory.result() - numbers(shape)).sum() == inside.sum()
    assert np.count_nonzero(memory.padded) == np.count_nonzero(memory.elements)


@pytest.mark.parametrize(
    ("access", "found"),
    [
        (lambda memory: memory.load(CORE, (40, 0)), "reads element (40, 0)"),
        (lambda memory: memory.load(CORE, (0, -1)), "reads element (0, -1)"),
        (lambda memory: memory.load(CORE, (0, np.arange(72)), np.arange(72) > 5), "reads element (0, 70)"),
        (lambda memory: memory.store(CORE, (40, 1), 0), "writes element (40, 1)"),
        (lambda memory: memory.update(CORE, (0, np.arange(71)), np.add, 1), "writes element (0, 70)"),
        (lambda memory: memory.load_box(CORE, (38, 60), (9, 20)), "reads element (38, 70)"),
        (lambda memory: memory.load_box(CORE, (38, 60), (9, 10)), "reads element (40, 60)"),
        (lambda memory: memory.store_box(CORE, (0, -1), np.ones((1, 2))), "writes element (0, -1)"),
        (lambda memory: memory.read(CORE, (32, 0), (32, 32)), "reads a box at (32, 0) of (32, 32)"),
        (lambda memory: memory.write(CORE, (0, -1), np.ones((1, 2))), "writes a box at (0, -1) of (1, 2)"),
        (lambda memory: memory.combine(CORE, (0, 69), np.add, np.ones((1, 2))), "writes a box at (0, 69) of (1, 2)"),
    ],
)
def test_over_the_edge_is_refused_where_it_means_nothing(access, found):
    memory = tensor()
    with pytest.raises(errors.ExecutionError) as caught:
        access(memory)
    tile = "tensor `A`: work tile (0, 0, 0) on core 0 at (0, 0) "
    said, advice = str(caught.value).split("\n")
    assert said == f"TT910: {tile}{found}; expected one inside of (40, 70)"
    assert advice.startswith("help: guard the access")
    assert np.array_equal(memory.result(), numbers((40, 70)))


def test_masked_lanes_touch_nothing():
    memory = tensor()
    index, mask = np.arange(90), np.arange(90) < 70
    memory.store(CORE, (39, index), np.float32(0), mask)
    memory.update(CORE, (38, index), np.add, np.float32(1), mask)
    assert not memory.load(CORE, (39, index), mask)[mask].any()
    assert memory.load(CORE, (39, index), np.zeros(90, bool)).shape == (90,)
    memory.ledger.end()
    assert memory.ledger.is_written.sum() == 140


def test_lanes_may_be_masked_and_over_the_edge():
    memory = tensor(edge=defined(7), padding="7")
    index = np.array([68, 69, 70, 71, 200])
    mask = np.array([True, False, True, False, False])
    assert memory.load(CORE, (0, index), mask)[mask].tolist() == [69, 7]
    memory.store(CORE, (0, index), np.float32(0), mask)
    memory.update(CORE, (0, index), np.add, np.float32(5), mask)
    assert memory.elements[0, 67:].tolist() == [68, 5, 70]


def test_unknown_padding():
    memory = tensor(edge=Edge(True, None), padding="unknown")
    memory.read(CORE, (0, 0), (40, 70))
    memory.write(CORE, (39, 69), np.ones((2, 2)))
    for access in (lambda: memory.read(CORE, (0, 0), (41, 1)), lambda: memory.load(CORE, (0, np.arange(71)))):
        with pytest.raises(errors.ExecutionError, match=r"TT915: tensor `A`: work tile .* reads .*, outside of"):
            access()


@pytest.mark.parametrize("pattern", ["nan", "inf", "random"])
def test_poison_lies_in_padding_only(pattern):
    memory = tensor(poison=Poison(pattern, 3))
    assert np.array_equal(memory.result(), numbers((40, 70)))
    assert np.count_nonzero(memory.padded) > 6000 - 4
    same = tensor(poison=Poison(pattern, 3), padding="7", edge=defined(7))
    assert (same.padded[40:] == 7).all()


@pytest.mark.parametrize("shape", [(40,), (3, 40)])
def test_reads_over_the_edge_give_padding_where_it_is_and_the_edge_beyond(shape):
    """Padding of which nothing may be read is poison, so that it can be told from the value of the edge."""
    memory = tensor(shape, edge=defined(0), poison=Poison("nan", 0))
    rows = (0,) * (len(shape) - 1)
    expected = [*numbers(shape)[rows], *[np.nan] * 24, 0, 0]
    box = memory.read(CORE, (*rows, -1), (*np.ones_like(rows), 67)).reshape(-1)
    assert np.array_equal(box, [0, *expected], equal_nan=True)
    lanes = memory.load(CORE, (*rows, np.arange(-1, 66)))
    assert np.array_equal(lanes, [0, *expected], equal_nan=True)


@pytest.mark.parametrize(("column", "expected"), [(-1, 0), (0, np.nan), (39, np.nan), (63, np.nan), (64, 0)])
def test_reads_over_the_edge_in_two_dimensions(column, expected):
    memory = tensor((3, 40), edge=defined(0), poison=Poison("nan", 0))
    for row, value in ((-1, 0), (3, expected), (31, expected), (32, 0)):
        assert np.array_equal(memory.load(CORE, (row, column)), value, equal_nan=True)
        assert np.array_equal(memory.read(CORE, (row, column), (1, 1)), [[value]], equal_nan=True)


# Views.


@pytest.mark.parametrize("shape", [(2800,), (28, 100), (70, 40), (2, 4, 350)])
def test_view_of_another_shape(shape):
    memory = tensor()
    view = memory.view("flat", shape, np.dtype("float32"))
    assert np.array_equal(view.read(CORE, (0,) * len(shape), shape), numbers(shape))
    view.write(CORE, (0,) * len(shape), -numbers(shape))
    assert np.array_equal(memory.result(), -numbers((40, 70)))
    view.update(CORE, (0,) * len(shape), np.add, np.float32(1))
    view.combine(CORE, (0,) * len(shape), np.add, np.ones((1,) * len(shape), np.float32))
    assert memory.elements[0, 0] == 1


def test_view_of_another_dtype():
    memory = tensor()
    bits = memory.view("bits", (2800,), np.dtype("uint32"))
    assert bits.load(CORE, (0,)) == 0x3F800000
    bits.store(CORE, (np.arange(1, 3),), np.array([0x3F800000, 0x40000000], np.uint32))
    assert memory.elements[0, :4].tolist() == [1, 1, 2, 4]
    assert bits.update(CORE, (0,), np.bitwise_or, np.uint32(1 << 31)) == 0x3F800000
    assert memory.elements[0, 0] == -1


def test_view_of_smaller_elements():
    memory = tensor((3, 5), "int32")
    view = memory.view("bytes", (60,), np.dtype("uint8"))
    assert np.array_equal(view.read(CORE, (0,), (60,)), numbers((15,), "int32").view(np.uint8))
    for access in (lambda: view.store(CORE, (0,), 1), lambda: view.update(CORE, (0,), np.add, 1)):
        with pytest.raises(errors.NotCoveredError, match="TT918: `bytes` sees tensor `A` of int32 as uint8"):
            access()


def test_view_of_larger_elements():
    memory = tensor((3, 8), "uint8")
    view = memory.view("words", (6,), np.dtype("uint32"))
    assert np.array_equal(view.read(CORE, (0,), (6,)), numbers((24,), "uint8").view(np.uint32))
    view.write(CORE, (2,), np.array([0x04030201], np.uint32))
    assert memory.elements[1, :4].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("index", [2800, -1, 5000])
def test_view_over_the_edge(index):
    view = tensor(edge=defined(7), padding="7").view("flat", (2800,), np.dtype("float32"))
    view.store(CORE, (index,), np.float32(1))
    assert view.load(CORE, (index,)) == 7
    with pytest.raises(errors.ExecutionError, match="TT910"):
        tensor().view("flat", (2800,), np.dtype("float32")).load(CORE, (index,))


def test_view_of_a_row_ends_where_the_row_ends():
    view = tensor(edge=defined(7), padding="7").view("rows", (28, 100), np.dtype("float32"))
    assert view.read(CORE, (0, 99), (1, 2)).tolist() == [[100, 7]]
    assert view.read(CORE, (1, -1), (1, 2)).tolist() == [[7, 101]]


# Work tiles that meet.

SAME_CORE, OTHER = Core(0, turn=1), Core(1, turn=0)


def write(memory, core, value):
    memory.write(core, (0, 0), np.full((1, 1), value, np.float32))


@pytest.mark.parametrize("second", [SAME_CORE, OTHER])
def test_two_tiles_write(second):
    memory = tensor(access="write")
    write(memory, CORE, 5)
    write(memory, CORE, 6)
    write(memory, second, 6)
    memory.ledger.end()
    assert memory.ledger.findings()[0].startswith("`A`: 1 times a work tile writes and writes an element")
    where = "(1, 0, 0) on core 0 at (0, 0)" if second is SAME_CORE else "(0, 1, 0) on core 1 at (1, 0)"
    with pytest.raises(errors.ExecutionError) as caught:
        memory.store(second, (0, np.arange(2)), np.float32(7))
    first = "TT916: tensor `A`: work tile (0, 0, 0) on core 0 at (0, 0) writes element (0, 0), and work tile "
    assert str(caught.value).startswith(f"{first}{where} writes it; ")


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_tile_reads_what_another_one_writes(reader_first):
    memory = tensor()
    steps = [lambda: memory.read(CORE, (0, 0), (2, 2)), lambda: memory.store(OTHER, (1, 1), np.float32(0))]
    steps[not reader_first]()
    with pytest.raises(errors.ExecutionError, match=r"element \(1, 1\)"):
        steps[reader_first]()


def test_a_tile_reads_what_stays_the_same():
    memory = tensor()
    write(memory, CORE, 1)
    memory.load(OTHER, (0, 0))
    assert "writes and reads" in memory.ledger.findings()[0]


def test_several_readers_are_remembered():
    memory = tensor()
    for core in (CORE, OTHER):
        memory.load(core, (0, 0))
    for core in (CORE, OTHER):
        with pytest.raises(errors.ExecutionError, match="TT916"):
            memory.store(core, (0, 0), np.float32(9))
        memory.elements[0, 0] = 1


def test_updates_are_atomic_among_themselves():
    memory = tensor()
    for core in (CORE, OTHER, SAME_CORE):
        memory.update(core, (0, 0), np.add, np.float32(1))
        memory.combine(core, (0, 0), np.add, np.ones((1, 1), np.float32))
    assert memory.elements[0, 0] == 7
    for access in (lambda: memory.load(OTHER, (0, 0)), lambda: write(memory, OTHER, 0)):
        with pytest.raises(errors.ExecutionError, match="updates element"):
            access()


def test_an_update_of_what_another_tile_accesses():
    for access in (lambda memory: write(memory, OTHER, 3), lambda memory: memory.load(OTHER, (0, 0))):
        memory = tensor()
        access(memory)
        with pytest.raises(errors.ExecutionError, match="updates it"):
            memory.update(CORE, (0, 0), np.add, np.float32(1))


def test_only_elements_that_two_tiles_access_meet():
    memory = tensor()
    memory.write(CORE, (5, 5), np.ones((1, 2), np.float32))
    memory.write(OTHER, (5, 5), np.array([[1, 1, 9]], np.float32))
    assert memory.ledger.findings()[0].startswith("`A`: 2 times ")
    with pytest.raises(errors.ExecutionError, match=r"TT916.* writes element \(5, 7\), and .* writes it"):
        memory.write(CORE, (4, 6), np.full((2, 2), [[0, 0], [1, 0]], np.float32))


def test_what_a_core_does_outside_of_its_work_tiles_is_an_access_like_any_other():
    outside = Core(0, turn=-1)
    memory = tensor((4, 4), access="write")
    write(memory, outside, 5)
    with pytest.raises(errors.ExecutionError, match=r"TT916.*core 0 at \(0, 0\) outside of its work tiles writes"):
        write(memory, CORE, 6)
    memory.end_launch()
    assert memory.ledger.is_written.sum() == 1
    assert memory.ledger.last_writer((0, 0)) == (0, WORKLOAD.number(outside))
    assert memory.ledger.last_writer((0, 1)) is None


def test_the_last_of_several_launches_has_written():
    memory = tensor()
    for core in (CORE, OTHER):
        write(memory, core, 5)
        memory.end_launch()
        memory.begin_launch()
    assert memory.ledger.last_writer((0, 0)) == (1, WORKLOAD.number(OTHER))


NANS = np.array([0x7FC00000, 0x7FC00001, 0xFFC00000], np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (NANS, NANS[::-1].copy(), [False, False, False]),
        (NANS[:2], np.array([1, np.inf], np.float32), [True, True]),
        (np.array([1, 0, 2], np.float32), np.array([np.nan, -0.0, 2], np.float32), [True, True, False]),
        (np.array([1, -1], np.int8), np.array([1, 1], np.int8), [False, True]),
    ],
)
def test_bits_differ_and_one_nan_is_as_good_as_another(a, b, expected):
    assert differ(a, b).tolist() == expected


def test_launches_do_not_meet():
    memory = tensor()
    write(memory, CORE, 5)
    memory.end_launch()
    memory.begin_launch()
    write(memory, OTHER, 6)
    assert memory.ledger.findings() == []


def test_a_tile_meets_nobody_in_its_own_part():
    memory = tensor()
    for core in (CORE, OTHER):
        row = 2 * core.number
        memory.write(core, (row, 0), memory.read(core, (row, 0), (2, 70)) * 2)
        memory.store(core, (row, 0), memory.load(core, (row, 0)) + 1)
    assert memory.ledger.findings() == []


def test_elements_that_are_never_written():
    memory = tensor((4, 4), access="write")
    memory.write(CORE, (0, 0), np.ones((4, 3), np.float32))
    memory.update(CORE, (0, 3), np.add, np.float32(1))
    memory.end_launch()
    assert memory.ledger.findings() == ["`A`: 3 of 16 elements are never written; the first is (1, 3)"]


def test_a_write_that_the_plan_does_not_know():
    with pytest.raises(errors.InternalError, match="TT901: tensor `A` is written"):
        write(tensor(access="read"), CORE, 1)


def test_updates_from_many_threads():
    memory = tensor((4, 4))

    def work(number):
        for _ in range(200):
            memory.update(Core(number % 3, turn=number % 2), (1, 1), np.add, np.float32(1))

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.elements[1, 1] == 6 + 1200


# Counts.


def test_boxes_move_whole_pages():
    memory = tensor(edge=defined(0), padding="0")
    memory.read(CORE, (31, 31), (2, 2))
    memory.read(CORE, (32, 64), (32, 32))
    memory.read(CORE, (64, 0), (32, 32))
    Box(memory, (0, 0), (40, 1)).write(OTHER, np.ones((40, 1), np.float32))
    Box(memory, (39, 0), (1, 1)).combine(OTHER, np.add, np.ones((1, 1), np.float32))
    read, written = (memory.ledger.counts[0][way] for way in ("read", "written"))
    assert read.pages.tolist() == [4 + 1 + 0, 1, 0]
    assert read.elements.tolist() == [4 + 8 * 6, 1, 0]
    assert written.pages.tolist() == [0, 2 + 1, 0]
    assert written.elements.tolist() == [0, 41, 0]


def test_single_elements_touch_pages():
    memory = tensor()
    memory.load(CORE, (np.arange(30, 34), 63))
    memory.load(CORE, (0, np.arange(70)), np.arange(70) == 69)
    memory.store(OTHER, (0, 0), np.float32(1))
    read, written = (memory.ledger.counts[0][way] for way in ("read", "written"))
    assert read.elements.tolist() == [5, 0, 0]
    assert written.elements.tolist() == [0, 1, 0]
    assert not read.pages.any()
    assert read.touched[0].tolist() == [[False, True, True], [False, True, False]]
    assert written.touched[1].tolist() == [[True, False, False], [False, False, False]]


def test_lanes_side_by_side_are_single_elements():
    memory = tensor(edge=defined(7), padding="7")
    assert np.array_equal(memory.load_box(CORE, (39, 31), (2, 2)), [[39 * 70 + 32, 39 * 70 + 33], [7, 7]])
    memory.store_box(OTHER, (31, 0), np.ones((2, 1), np.float32))
    memory.load_box(CORE, (64, 0), (1, 1))
    assert (memory.elements[31:33, 0] == 1).all()
    read, written = (memory.ledger.counts[0][way] for way in ("read", "written"))
    assert not read.pages.any()
    assert not written.pages.any()
    assert read.elements.tolist() == [2, 0, 0]
    assert read.touched[0].tolist() == [[False, False, False], [True, True, False]]
    assert written.touched[1].tolist() == [[True, False, False], [True, False, False]]
    with pytest.raises(errors.ExecutionError, match="TT916"):
        memory.store_box(OTHER, (39, 31), np.zeros((1, 1), np.float32))


def test_numbers_of_work_tiles():
    seen = set()
    for number, tiles in enumerate((2, 1, 1)):
        for turn in range(-1, tiles):
            work = WORKLOAD.number(Core(number, turn=turn))
            assert WORKLOAD.core_and_turn(0, work) == (number, turn)
            seen.add(work)
    assert seen == set(range(7))
    assert WORKLOAD.describe(0, 6) == "work tile (1, 1, 0) on core 2 at (2, 0)"
    assert WORKLOAD.describe(0, 5) == "core 2 at (2, 0) outside of its work tiles"
