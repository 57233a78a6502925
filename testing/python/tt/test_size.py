"""Reading sizes from the IR, against the host's own folding of constants."""

import pytest
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from support.host import T
from tvm import tirx

from tilelang.tt import _native, errors

pytestmark = pytest.mark.stage("sizes")

NAMES = ("m", "n", "k")


def read(func, expression):
    """The text of an integer expression that may use the shape variables of a function."""
    return str(tvm_ffi.get_global_func("tilelang.tt.read_size")(func, expression))


def refuse(func, expression, message):
    with pytest.raises(errors.ShapeError, match=message):
        read(func, expression)


def function(*variables, scalars=()):
    """A function with a tensor of that shape, and with scalars beside it."""
    buffer = tirx.decl_buffer(variables, "float32", name="A")
    return tirx.PrimFunc([buffer, *scalars], tirx.Evaluate(0))


def variables(names=NAMES, dtype="int64"):
    return [tirx.Var(name, dtype) for name in names]


CONSTANTS = st.integers(-99, 99)
POSITIVE = st.integers(1, 40)
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "min": tirx.min,
    "max": tirx.max,
}
BY_CONSTANT = {
    "mul": (lambda a, c: a * c, CONSTANTS),
    "floordiv": (lambda a, c: tirx.floordiv(a, tirx.const(c, "int64")), POSITIVE),
    "floormod": (lambda a, c: tirx.floormod(a, tirx.const(c, "int64")), POSITIVE),
    "shift_left": (lambda a, c: a << tirx.const(c, "int64"), st.integers(0, 4)),
    "shift_right": (lambda a, c: a >> tirx.const(c, "int64"), st.integers(0, 4)),
}


def _expressions(operand):
    """Functions that build an expression over the leaves they are given."""
    binary = st.sampled_from(list(BINARY.values())).flatmap(
        lambda op: st.builds(lambda a, b: lambda env: op(a(env), b(env)), operand, operand)
    )
    by_constant = st.sampled_from(list(BY_CONSTANT)).flatmap(
        lambda op: st.builds(lambda a, c: lambda env: BY_CONSTANT[op][0](a(env), c), operand, BY_CONSTANT[op][1])
    )
    return binary | by_constant


LEAVES = st.sampled_from(NAMES).map(lambda name: lambda env: env[name]) | CONSTANTS.map(
    lambda constant: lambda env: tirx.const(constant, "int64")
)
SIZES = st.fixed_dictionaries({name: st.integers(0, 10**4) for name in NAMES})


@given(st.recursive(LEAVES, _expressions, max_leaves=10), SIZES)
def test_has_the_value_that_the_host_computes(build, sizes):
    names = variables()
    text = read(function(*names), build(dict(zip(NAMES, names, strict=True))))
    folded = build({name: tirx.const(size, "int64") for name, size in sizes.items()})
    assert _native.evaluate(text, sizes) == int(folded)


@given(st.integers(0, 10**4), st.integers(0, 99), st.integers(1, 40))
def test_truncated_division_of_what_is_not_negative(size, offset, divisor):
    (m,) = variables(["m"])
    number = tirx.const(size, "int64")
    for divide in (tirx.truncdiv, tirx.truncmod):
        text = read(function(m), divide(m + offset, tirx.const(divisor, "int64")))
        assert _native.evaluate(text, {"m": size}) == int(divide(number + offset, tirx.const(divisor, "int64")))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda m, n: (m + 31) // 32, "(m + 31) // 32"),
        (lambda m, n: tirx.ceildiv(m, 32) * n, "(m + 31) // 32 * n"),
        (lambda m, n: tirx.truncdiv(m + 32 - 1, 32), "(m + 31) // 32"),
        (lambda m, n: tirx.truncmod(tirx.max(m - 5, 0), n + 1), "max(m - 5, 0) % (n + 1)"),
        (lambda m, n: tirx.Cast("int32", m + n), "m + n"),
        (lambda m, n: tirx.Cast("uint32", m * n), "m * n"),
        (lambda m, n: tirx.const(7, "int64"), "7"),
        (lambda m, n: 7, "7"),
    ],
)
def test_text(build, text):
    m, n = variables(["m", "n"])
    assert read(function(m, n), build(m, n)) == text


def test_variables_of_shapes_strides_offsets_and_scalars():
    m, stride, offset, scalar = variables(["m", "stride", "offset", "scalar"])
    buffer = tirx.decl_buffer((m * 2, 4), "float32", name="A", strides=(stride, 1), elem_offset=offset)
    func = tirx.PrimFunc([buffer, scalar], tirx.Evaluate(0))
    assert read(func, m + stride + offset + scalar) == "m + stride + offset + scalar"


def test_matched_buffer():
    @T.prim_func
    def main(a: T.handle):
        m = T.int32()
        A = T.match_buffer(a, (m, 4), "float32")
        for bx in T.thread_binding((m + 31) // 32, thread="blockIdx.x"):
            A[bx, 0] = T.float32(0)

    loop = main.body.block.body if hasattr(main.body, "block") else main.body
    assert read(main, loop.extent) == "(m + 31) // 32"


def load(buffer):
    return tirx.BufferLoad(buffer, [0])


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (lambda m: tirx.Var("other", "int64") + m, "variable `other`, which is no shape variable"),
        (lambda m: load(tirx.decl_buffer((4,), "int64", name="B")) + m, "a load from `B`"),
        (lambda m: tirx.if_then_else(m > 3, m, 3), r"a call of (tirx|prim)\.if_then_else"),
        (lambda m: tirx.Select(m > 3, m, m + 1), r"a node of type (tirx|prim)\.Select"),
        (lambda m: tirx.truncdiv(m - 1, 32), "a truncated division of what may be negative"),
        (lambda m: tirx.truncmod(m, m - 1), "a truncated remainder of what may be negative"),
        (lambda m: tirx.Cast("int16", m), "a cast to int16, which may drop digits"),
        (lambda m: tirx.Cast("uint64", m - 1), "a cast to uint64 of what may be negative"),
        (lambda m: tirx.Cast("int64", tirx.Cast("float32", m)), "a cast from or to what is no integer"),
        (lambda m: m << m, "a shift that is not by a constant from 0 to 62"),
        (lambda m: "m", "a value that is no integer expression"),
    ],
)
def test_refused_expression(build, found):
    (m,) = variables(["m"])
    refuse(function(m), build(m), rf"^TT507: a size depends on {found}; expected .* of constants and of m")


def test_refused_without_variables():
    refuse(function(4), tirx.Var("m", "int32"), r"variable `m`.*of constants \(no shape has variables\)")


def test_a_scalar_may_be_negative():
    scalar = tirx.Var("n", "int32")
    func = function(4, scalars=[scalar])
    assert read(func, scalar // 2) == "n // 2"
    refuse(func, tirx.truncdiv(scalar, 2), "a truncated division of what may be negative")


def test_unsigned_variables_are_not_negative():
    scalar = tirx.Var("n", "uint32")
    assert read(function(4, scalars=[scalar]), tirx.truncdiv(scalar, tirx.const(2, "uint32"))) == "n // 2"


if hasattr(tirx, "SizeVar"):

    def test_size_variables_are_not_negative():
        scalar = tirx.SizeVar("n", "int32")
        assert read(function(4, scalars=[scalar]), tirx.truncdiv(scalar, 2)) == "n // 2"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["m", "m"], "^TT508: two shape variables are named `m`"),
        (["core_id"], "`core_id`, which formulas call the core"),
        (["m.1"], '^TT504: "m.1" cannot name a size; expected an identifier'),
        (["min"], '"min" cannot name a size'),
    ],
    ids=str,
)
def test_refused_name(names, message):
    found = variables(names)
    refuse(function(*found), found[0] + 1, message)
    assert read(function(*found), 1) == "1"  # what is not used does no harm


def test_refused_divisor():
    (m,) = variables(["m"])
    refuse(function(m), tirx.floordiv(m, tirx.const(-2, "int64")), "^TT505: division by -2; expected at least 1")


def test_shared_subexpressions_are_read_once():
    (m,) = variables(["m"])
    total = m
    for _ in range(60):
        total = tirx.Min(total, total)
    assert read(function(m), total) == "m"


def test_refused_depth():
    (m,) = variables(["m"])
    deep = m
    for _ in range(1500):
        deep = tirx.Min(deep, m)
    refuse(function(m), deep, "an expression that is nested too deeply")
