"""The arithmetic of the host: its analyzer, intervals, linear equations and iteration maps."""

import pytest
from host import arith, tirx, tvm

X, Y = tirx.Var("x", "int32"), tirx.Var("y", "int32")

SIMPLIFIED = {
    "folded": (lambda: X * 0 + 3, "3"),
    "cancelled": (lambda: X + Y - X, "y"),
    "collected": (lambda: X * 2 + X * 3, "x * 5"),
    "divided": (lambda: (X * 8) // 8, "x"),
    "divided_of_known": (lambda: X // 8, "0"),
    "modulo_of_known": (lambda: tirx.floormod(X, 8), "x"),
    "compared_of_known": (lambda: X < 8, "T.bool(True)"),
    "max_of_known": (lambda: tirx.max(X, -1), "x"),
    "select_of_known": (lambda: tirx.Select(X >= 0, Y, X), "y"),
    "split_and_fused": (lambda: X // 4 * 4 + X % 4, "x"),
}


@pytest.fixture
def analyzer():
    analyzer = arith.Analyzer()
    analyzer.bind(X, tvm.ir.Range(0, 8))
    return analyzer


@pytest.mark.parametrize("name", SIMPLIFIED)
def test_simplify(analyzer, name):
    make, text = SIMPLIFIED[name]
    assert str(analyzer.simplify(make())) == text


def test_const_int_bound(analyzer):
    bound = analyzer.const_int_bound(X * 2 + 1)
    assert (bound.min_value, bound.max_value) == (1, 15)


def test_unknown_bound():
    bound = arith.Analyzer().const_int_bound(tirx.min(Y, 5))
    assert (bound.min_value, bound.max_value) == (-(2**31), 5)


def test_modular_set(analyzer):
    modular = analyzer.modular_set(Y * 4 + 1)
    assert (modular.coeff, modular.base) == (4, 1)


def test_can_prove(analyzer):
    assert analyzer.can_prove(X < 8)
    assert not analyzer.can_prove(X < 7)


def test_constraint(analyzer):
    with analyzer.constraint_scope(Y > 3):
        assert analyzer.can_prove(Y > 2)
    assert not analyzer.can_prove(Y > 2)


def test_int_set(analyzer):
    found = analyzer.int_set(X + 1, {X: arith.IntervalSet(0, 7)})
    assert (int(found.min_value), int(found.max_value)) == (1, 8)


def test_linear_equation():
    assert [str(term) for term in arith.detect_linear_equation(X * 3 + Y + 2, [X, Y])] == ["3", "1", "2"]
    assert not arith.detect_linear_equation(X * Y, [X, Y])


def test_deduced_bound():
    deduced = arith.deduce_bound(X, X * 2 < 8, {X: arith.IntervalSet(0, 100)}, {})
    assert str(deduced.max_value) == "3"


def test_iteration_map():
    mapped = arith.detect_iter_map([X // 4, X % 4], {X: tvm.ir.Range(0, 32)})
    assert [str(index.args[0].extent) for index in mapped.indices] == ["8", "4"]
    assert not arith.detect_iter_map([X // 3, X % 4], {X: tvm.ir.Range(0, 32)}).indices


def test_simplified_iteration_map():
    simplified = arith.iter_map_simplify([X // 4 * 4 + X % 4], {X: tvm.ir.Range(0, 32)})
    assert [str(index) for index in simplified] == ["x"]
