"""How work units split over cores: against ttnn's own results, and against the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.conformance import SPLIT_WORK, split_work_cases

from tilelang.tt import (
    corerange_to_cores,
    errors,
    grid_to_cores,
    num_cores_to_corerangeset,
    split_work_to_cores,
    split_work_to_cores_bulk,
)
from tilelang.tt.testing import strategies

pytestmark = pytest.mark.stage("schedule")


def order_of(row_wise):
    return "row_major" if row_wise else "column_major"


def as_lists(split):
    """A split with its rectangles as lists."""
    count, *groups, units_1, units_2 = split
    return (count, *([list(rectangle) for rectangle in group] for group in groups), units_1, units_2)


def split(cores, units, row_wise=False):
    return as_lists(split_work_to_cores(cores, units, row_wise))


def test_conformance_is_complete():
    assert (len(SPLIT_WORK["grid"]), len(SPLIT_WORK["core_range_set"])) == (253, 48)


def test_conformance():
    for rectangles, units, order, case in split_work_cases():
        expected = tuple(case[name] for name in ("num_cores", "all_cores", "g1", "g2", "u1", "u2"))
        for cores in [rectangles, *([case["grid"]] if "grid" in case else [])]:
            assert split(cores, units, case["row_wise"]) == expected, case
            assert as_lists(split_work_to_cores_bulk(cores, [units], case["row_wise"])[0]) == expected, case
        # The oracle, too, must agree with ttnn, or it is no oracle.
        assert oracle.split_work(rectangles, units, order) == expected, case


def test_names_and_defaults_of_ttnn():
    by_columns = split_work_to_cores(grid_size=(8, 8), units_to_divide=10)
    assert by_columns == (10, ((0, 0, 0, 7), (1, 0, 1, 1)), ((0, 0, 0, 7), (1, 0, 1, 1)), (), 1, 0)
    assert split_work_to_cores((8, 8), 10, row_wise=False) == by_columns
    assert split_work_to_cores((8, 8), 10, row_wise=True)[1] == ((0, 0, 7, 0), (0, 1, 1, 1))


@pytest.mark.parametrize(
    "cores", [(4, 3), [4, 3], np.array([4, 3]), [[0, 0, 3, 2]], ((0, 0, 3, 2),), np.array([[0, 0, 3, 2]])], ids=repr
)
def test_forms_of_cores(cores):
    assert split(cores, np.int32(13)) == oracle.split_work([[0, 0, 3, 2]], 13, "column_major")


@given(strategies.cores((21, 8)), st.integers(0, 400), st.booleans())
def test_oracle(cores, units, row_wise):
    assert split(cores, units, row_wise) == oracle.split_work(cores, units, order_of(row_wise))


@given(strategies.cores((21, 8)), st.lists(st.integers(0, 400)), st.booleans())
def test_bulk(cores, units, row_wise):
    splits = split_work_to_cores_bulk(cores, units, row_wise)
    assert len(splits) == len(units)
    assert [splits[i] for i in range(len(units))] == [split_work_to_cores(cores, n, row_wise) for n in units]
    for i in range(len(units)):
        groups = (splits[i][2], splits[i][3])
        sizes = (splits.num_cores_group_1[i], splits.num_cores_group_2[i])
        assert tuple(len(oracle.cells_of(group)) for group in groups) == sizes


@given(strategies.cores((21, 8)), st.integers(0, 400), st.booleans())
def test_groups_are_the_active_cores(cores, units, row_wise):
    num_cores, everyone, group_1, group_2, units_1, units_2 = split_work_to_cores(cores, units, row_wise)
    first, second = oracle.cells_of(group_1), oracle.cells_of(group_2)
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(oracle.cells_of(everyone))
    assert len(first + second) == len(set(first + second)) == num_cores
    assert set(first + second) <= set(oracle.cells_of(cores))
    assert len(first) * units_1 + len(second) * units_2 == units
    assert units_2 in ([0] if not second else [units_1 - 1])


@given(strategies.cores((21, 8)), st.integers(0, 2**63 - 1), st.booleans())
def test_units_up_to_64_bits(cores, units, row_wise):
    _, _, group_1, group_2, units_1, units_2 = split_work_to_cores(cores, units, row_wise)
    assert len(oracle.cells_of(group_1)) * units_1 + len(oracle.cells_of(group_2)) * units_2 == units
    assert split_work_to_cores_bulk(cores, [units], row_wise)[0] == split_work_to_cores(cores, units, row_wise)


def test_splits_over_changing_cores():
    """What is remembered of some cores does not show for others."""
    for _ in range(2):
        for cores in [(2, 2), (3, 3), [[1, 1, 3, 3]], [[4, 0, 7, 1], [0, 0, 3, 3]]]:
            rectangles = [[0, 0, cores[0] - 1, cores[1] - 1]] if isinstance(cores, tuple) else cores
            for row_wise in (False, True):
                assert split(cores, 11, row_wise) == oracle.split_work(rectangles, 11, order_of(row_wise))


@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.data())
def test_num_cores_to_corerangeset(columns, rows, row_wise, data):
    cores = oracle.cores_of([[0, 0, columns - 1, rows - 1]], order_of(row_wise))
    first = data.draw(st.integers(0, len(cores) - 1))
    count = data.draw(st.integers(0, len(cores) - first))
    found = num_cores_to_corerangeset(count, (columns, rows), row_wise, start=cores[first])
    expected = oracle.cover([[0, 0, columns - 1, rows - 1]], first, count, order_of(row_wise))
    assert [list(rectangle) for rectangle in found] == expected


@given(strategies.cores((21, 8)), st.booleans(), st.none() | st.integers(0, 90))
def test_corerange_to_cores(cores, row_wise, max_cores):
    assert corerange_to_cores(cores, max_cores, row_wise) == oracle.cores_of(cores, order_of(row_wise))[:max_cores]


def test_grid_to_cores():
    assert grid_to_cores(4, 3, 2) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert grid_to_cores(4, 3, 2, row_wise=True) == [(0, 0), (1, 0), (2, 0), (0, 1)]
    assert grid_to_cores(0, 3, 2) == []


@pytest.mark.parametrize(
    ("cores", "message"),
    [
        ([], "at least one rectangle"),
        ((0, 8), r"\[0, 0, -1, 7\]"),
        ((8, 0), r"\[0, 0, 7, -1\]"),
        ((-3, 8), r"\[0, 0, -4, 7\]"),
        ([[0, 0, -1, 0]], r"\[0, 0, -1, 0\]"),
        ([[0, 1, 0, 0]], r"\[0, 1, 0, 0\]"),
        ([[-1, 0, 0, 0]], r"\[-1, 0, 0, 0\]"),
        ([[0, -1, 0, 0]], r"\[0, -1, 0, 0\]"),
        ([[0, 0, 3, 3], [3, 3, 4, 4]], r"\[0, 0, 3, 3\] and \[3, 3, 4, 4\] overlap"),
        ([[0, 0, 3, 3], [5, 5, 6, 6], [0, 0, 3, 3]], r"\[0, 0, 3, 3\] and \[0, 0, 3, 3\] overlap"),
    ],
)
def test_refused_cores(cores, message):
    for call in (split_work_to_cores, split_work_to_cores_bulk):
        with pytest.raises(errors.DeviceError, match=message):
            call(cores, 5 if call is split_work_to_cores else [5])


def test_neighbours_do_not_overlap():
    assert split([[0, 0, 3, 3], [4, 0, 4, 3], [0, 4, 3, 4]], 24)[0] == 24


def test_refused_units():
    for call in (lambda: split_work_to_cores((2, 2), -1), lambda: split_work_to_cores_bulk((2, 2), [3, -1])):
        with pytest.raises(errors.GridError, match="TT323: -1 work units; expected 0 or more"):
            call()


def test_refused_number_of_cores():
    far = 2**62
    with pytest.raises(errors.IntegerOverflowError, match="does not fit"):
        split_work_to_cores([[0, 0, far, far]], 5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: split_work_to_cores((8, 8), 2.5),
        lambda: split_work_to_cores((8, 8), "5"),
        lambda: split_work_to_cores((8, 8), 2**63),
        lambda: split_work_to_cores((8, 2**63), 5),
        lambda: split_work_to_cores((8.0, 8), 5),
        lambda: split_work_to_cores((8, 8, 8), 5),
        lambda: split_work_to_cores([[0, 0, 7]], 5),
        lambda: split_work_to_cores([[0, 0, 7, "7"]], 5),
        lambda: split_work_to_cores(8, 5),
        lambda: split_work_to_cores("88", 5),
        lambda: split_work_to_cores_bulk((8, 8), [0.5]),
        lambda: split_work_to_cores_bulk((8, 8), [[5]]),
        lambda: split_work_to_cores_bulk((8, 8), 5),
        lambda: num_cores_to_corerangeset(2.5, (8, 8)),
        lambda: num_cores_to_corerangeset(2, (8,)),
        lambda: grid_to_cores(2, "8", 8),
        lambda: corerange_to_cores(7),
    ],
)
def test_refused_arguments(call):
    with pytest.raises(errors.ArgumentError, match=r"TT114: found .* expected cores as"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: num_cores_to_corerangeset(65, (8, 8)), "TT331: 65 cores of 64; expected at least 0"),
        (lambda: num_cores_to_corerangeset(-1, (8, 8)), "TT331: -1 cores of 64"),
        (lambda: num_cores_to_corerangeset(8, (8, 8), start=(7, 1)), "TT331: 8 cores of 7"),
        (lambda: num_cores_to_corerangeset(1, (8, 8), start=(8, 0)), r"TT332: start core \(8, 0\) is not in the 8x8"),
        (lambda: num_cores_to_corerangeset(1, (8, 8), start=(0, -1)), r"TT332: start core \(0, -1\) is not in"),
        (lambda: grid_to_cores(17, 4, 4), "TT331: 17 cores of 16"),
        (lambda: grid_to_cores(0, 4, 0), r"TT311: core rectangle \[0, 0, 3, -1\]"),
        (lambda: corerange_to_cores([]), "TT310: "),
    ],
)
def test_refused_cores_of_a_grid(call, message):
    with pytest.raises(errors.DeviceError, match=message):
        call()
