"""Expressions over shape variables: the grammar of attribute values, against Python's own evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilelang.tt import _native
from tilelang.tt.errors import IntegerOverflowError, OptionError, ShapeError

pytestmark = pytest.mark.stage("sizes")

NAMES = ("m", "n", "batch_size")
sizes = st.fixed_dictionaries({name: st.integers(1, 10**4) for name in NAMES})


def _binary(operand):
    return st.one_of(
        st.builds("{} + {}".format, operand, operand),
        st.builds("({} - {})".format, operand, operand),
        st.builds("({}) * {}".format, operand, st.integers(-40, 40)),
        st.builds("({}) // {}".format, operand, st.integers(1, 40)),
        st.builds("({}) % {}".format, operand, st.integers(1, 40)),
        st.builds("min({}, {})".format, operand, operand),
        st.builds("max({}, {})".format, operand, operand),
    )


expressions = st.recursive(st.one_of(st.sampled_from(NAMES), st.integers(-99, 99).map(str)), _binary, max_leaves=12)


def python_value(expression, sizes):
    return eval(expression, {"__builtins__": {}, "min": min, "max": max}, dict(sizes))


@given(expressions, sizes)
def test_evaluates_as_python_does(expression, sizes):
    assert _native.evaluate(expression, sizes) == python_value(expression, sizes)


@given(expressions, sizes)
def test_simplifying_keeps_the_value_and_is_idempotent(expression, sizes):
    simple = _native.simplify(expression, {})
    assert python_value(simple, sizes) == python_value(expression, sizes)
    assert _native.simplify(simple, {}) == simple


@given(expressions, sizes)
def test_sizes_may_be_given_one_after_another(expression, sizes):
    partly = _native.simplify(expression, {"m": sizes["m"]})
    assert _native.simplify(partly, sizes) == str(python_value(expression, sizes))


@pytest.mark.parametrize(
    ("expression", "simple"),
    [
        ("32 * m", "m * 32"),
        ("m + 0", "m"),
        ("(m + 31) // 32", "(m + 31) // 32"),
        ("((m + 31) // 32 * 32 + 31) // 32 * 32", "(m + 31) // 32 * 32"),
        ("(m * 64 + 31) // 32", "m * 2"),
        ("m * 64 % 32", "0"),
        ("m // 4 // 8", "m // 32"),
        ("m - m", "0"),
        ("m + n * 3 + 4 - m - n", "n * 2 + 4"),
        ("1 - m", "m * (-1) + 1"),
        ("n - m * 2", "n - m * 2"),
        ("n - m", "n - m"),
        ("-m", "m * (-1)"),
        ("-9223372036854775808", "-9223372036854775808"),
    ],
)
def test_normal_forms(expression, simple):
    assert _native.simplify(expression, {}) == simple


@pytest.mark.parametrize(
    ("expression", "column"),
    [("", 1), ("m +", 4), ("m n", 3), ("(m", 3), ("min(m)", 6), ("m ** 2", 4), ("9223372036854775808", 1), ("m@", 2)],
)
def test_refuses_what_the_grammar_does_not_derive(expression, column):
    with pytest.raises(OptionError, match=rf"^TT503: .* at column {column}$"):
        _native.simplify(expression, {})


@pytest.mark.parametrize("expression", ["m // 0", "m % 0", "5 // (m - m)", "min", "(" * 5000 + "m" + ")" * 5000])
def test_refuses_expressions_without_a_meaning(expression):
    with pytest.raises((OptionError, ShapeError)):
        _native.simplify(expression, {})


def test_a_message_cuts_long_text_between_its_characters():
    with pytest.raises(OptionError, match=r"at column 1$"):
        _native.simplify("\u20ac" * 50, {})


def test_refuses_a_divisor_that_turns_out_to_be_zero():
    with pytest.raises(ShapeError, match=r"^TT505: division by 0; expected at least 1"):
        _native.evaluate("m // (n - 1)", {"m": 3, "n": 1})


def test_refuses_a_variable_without_a_value():
    with pytest.raises(OptionError, match=r'^TT506: size n of "m \* n" has no value'):
        _native.evaluate("m * n", {"m": 3})


def test_refuses_what_does_not_fit_64_bits():
    with pytest.raises(IntegerOverflowError):
        _native.evaluate("m * m", {"m": 2**32})
    with pytest.raises(IntegerOverflowError, match=r"^TT502: .* longer than 4096 characters$"):
        _native.simplify("+".join(f"a{i}" for i in range(700)), {})
