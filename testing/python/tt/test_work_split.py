"""How work units split over cores: against ttnn's own results, and against the oracle."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import oracle
from support.strategies import ORDERS, core_sets

from tilelang.tt import _native, errors

CONFORMANCE = json.loads((Path(__file__).parent / "data" / "split_work.json").read_text())


def split(cores, units, order):
    """The split with its rectangles as lists."""
    count, *groups, units_1, units_2 = _native.split_work(cores, units, order)
    return (count, *([list(rectangle) for rectangle in group] for group in groups), units_1, units_2)


def test_conformance_is_complete():
    assert (len(CONFORMANCE["grid"]), len(CONFORMANCE["core_range_set"])) == (253, 48)


@pytest.mark.parametrize("key", ["grid", "core_range_set"])
def test_conformance(key):
    for case in CONFORMANCE[key]:
        cores = case["core_ranges"] if key == "core_range_set" else [[0, 0, case["grid"][0] - 1, case["grid"][1] - 1]]
        order = "row_major" if case["row_wise"] else "column_major"
        expected = tuple(case[name] for name in ("num_cores", "all_cores", "g1", "g2", "u1", "u2"))
        assert split(cores, case["units"], order) == expected, case
        # The oracle, too, must agree with ttnn, or it is no oracle.
        assert oracle.split_work(cores, case["units"], order) == expected, case


@given(core_sets(), st.integers(0, 400), st.sampled_from(ORDERS))
def test_oracle(cores, units, order):
    assert split(cores, units, order) == oracle.split_work(cores, units, order)


@given(core_sets(), st.integers(0, 400), st.sampled_from(ORDERS))
def test_groups_are_the_active_cores(cores, units, order):
    num_cores, everyone, group_1, group_2, units_1, units_2 = split(cores, units, order)
    first, second = oracle.cells_of(group_1), oracle.cells_of(group_2)
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(oracle.cells_of(everyone))
    assert len(first + second) == len(set(first + second)) == num_cores
    assert set(first + second) <= set(oracle.cells_of(cores))
    assert len(first) * units_1 + len(second) * units_2 == units
    assert units_2 in ([0] if not second else [units_1 - 1])


@given(core_sets(), st.integers(0, 2**63 - 1), st.sampled_from(ORDERS))
def test_units_up_to_64_bits(cores, units, order):
    _, _, group_1, group_2, units_1, units_2 = split(cores, units, order)
    assert len(oracle.cells_of(group_1)) * units_1 + len(oracle.cells_of(group_2)) * units_2 == units


@pytest.mark.parametrize(
    ("cores", "message"),
    [
        ([], "at least one rectangle"),
        ([[0, 0, -1, 0]], r"\[0, 0, -1, 0\]"),
        ([[0, 1, 0, 0]], r"\[0, 1, 0, 0\]"),
        ([[-1, 0, 0, 0]], r"\[-1, 0, 0, 0\]"),
        ([[0, -1, 0, 0]], r"\[0, -1, 0, 0\]"),
        ([[0, 0, 3, 3], [3, 3, 4, 4]], r"\[0, 0, 3, 3\] and \[3, 3, 4, 4\] overlap"),
        ([[0, 0, 3, 3], [5, 5, 6, 6], [0, 0, 3, 3]], r"\[0, 0, 3, 3\] and \[0, 0, 3, 3\] overlap"),
    ],
)
def test_refused_cores(cores, message):
    with pytest.raises(errors.DeviceError, match=message):
        _native.split_work(cores, 5, "row_major")


def test_neighbours_do_not_overlap():
    assert split([[0, 0, 3, 3], [4, 0, 4, 3], [0, 4, 3, 4]], 24, "row_major")[0] == 24


def test_refused_order():
    with pytest.raises(errors.OptionError, match='"diagonal"; expected one of: row_major, column_major'):
        _native.split_work([[0, 0, 1, 1]], 5, "diagonal")


def test_refused_units():
    with pytest.raises(errors.GridError, match=r"^TT323: -1 work units; expected 0 or more"):
        _native.split_work([[0, 0, 1, 1]], -1, "row_major")


def test_refused_number_of_cores():
    far = 2**62
    with pytest.raises(errors.IntegerOverflowError, match="does not fit"):
        _native.split_work([[0, 0, far, far]], 5, "row_major")
