"""Expressions: what numpy makes of them is what Python's integers make of them, and what LLVM does."""

import math
import operator

import ml_dtypes
import numpy as np
import pytest
import tvm
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support.host import ON_TILELANG

from tilelang.tt.executor.intrinsics import FLOAT_FUNCTIONS
from tilelang.tt.executor.memory import Core, OnChip
from tilelang.tt.executor.program import Program

pytestmark = pytest.mark.stage("execute")

LANES = 16
HEAD = "# from tvm.script import tirx as T\n@T.prim_func\ndef main({}):\n    for i in range({}):\n"
with_llvm = pytest.mark.skipif(ON_TILELANG, reason="TileLang is built without LLVM")


def function_of(expressions, inputs):
    """A function that computes each expression, a pair of text and dtype, for all elements of inputs."""
    outputs = {f"out{number}": dtype for number, (_, dtype) in enumerate(expressions)}
    tensors = {**{name: str(array.dtype) for name, array in inputs.items()}, **outputs}
    parameters = ", ".join(f'{name}: T.Buffer(({LANES},), "{dtype}")' for name, dtype in tensors.items())
    lines = [f"        out{number}[i] = {text}\n" for number, (text, _) in enumerate(expressions)]
    return tvm.script.from_source(HEAD.format(parameters, LANES) + "".join(lines))


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def fresh(expressions):
    return [np.zeros(LANES, dtype_of(dtype)) for _, dtype in expressions]


def executed(func, arrays):
    memories = [
        OnChip(f"buffer{number}", array.shape, array.dtype, array.copy()) for number, array in enumerate(arrays)
    ]
    Program(func).run(Core(0), memories)
    return [memory.data for memory in memories]


def compiled(func, arrays):
    tensors = [tvm.runtime.tensor(array) for array in arrays]
    with tvm.transform.PassContext():  # without the instrument of the tests, which TVM's own passes do not bear
        kernel = tvm.compile(func, target="llvm")
    kernel(*tensors)
    return [tensor.numpy() for tensor in tensors]


def value_of(text, dtype, **inputs):
    """The values of one expression."""
    arrays = {name: np.resize(np.asarray(array), LANES) for name, array in inputs.items()}
    func = function_of([(text, dtype)], arrays)
    return executed(func, [*arrays.values(), *fresh([(text, dtype)])])[-1]


def operator_of(name):
    """What the host calls an operator: it may be one of the primitive ones."""
    try:
        tvm.ir.Op.get(name)
    except Exception:  # of which class differs between hosts
        return name.replace("tirx.", "prim.")
    return name


# --- integers, against Python's ---


def truncated(a, b):
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


INTEGERS = {
    "({} + {})": operator.add,
    "({} - {})": operator.sub,
    "({} * {})": operator.mul,
    "T.floordiv({}, {})": operator.floordiv,
    "T.floormod({}, {})": operator.mod,
    "T.truncdiv({}, {})": truncated,
    "T.truncmod({}, {})": lambda a, b: a - truncated(a, b) * b,
    "T.min({}, {})": min,
    "T.max({}, {})": max,
    "T.bitwise_and({}, {})": operator.and_,
    "T.bitwise_or({}, {})": operator.or_,
    "T.bitwise_xor({}, {})": operator.xor,
    "T.shift_left({}, {} % 4)": lambda a, b: a << b % 4,
    "T.shift_right({}, {} % 4)": lambda a, b: a >> b % 4,
}
COMPARISONS = {
    "{} < {}": operator.lt,
    "{} <= {}": operator.le,
    "{} == {}": operator.eq,
    "{} != {}": operator.ne,
    "{} > {}": operator.gt,
    "{} >= {}": operator.ge,
}


def wrapped(value, dtype):
    """An integer as a dtype keeps it."""
    bits = 8 * np.dtype(dtype).itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.startswith("int") and value >> (bits - 1) else value


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("form", INTEGERS)
def test_integers(form, dtype):
    limits = np.iinfo(dtype)
    a = np.array([0, 1, 2, 7, 100, limits.max, limits.min, limits.max - 3], dtype)
    b = np.array(
        [1, 3, 5, 7, limits.max, 2, 100, limits.max - 1] if limits.min == 0 else [-1, -3, 5, -7, 3, 2, 7, -2], dtype
    )
    a, b = np.repeat(a, 2), np.resize(b, LANES)
    found = value_of(form.format("A[i]", "B[i]"), dtype, A=a, B=b)
    expected = [wrapped(INTEGERS[form](int(x), int(y)), dtype) for x, y in zip(a, b, strict=True)]
    assert found.tolist() == expected


@pytest.mark.parametrize("form", COMPARISONS)
def test_comparisons(form):
    a, b = np.resize(np.arange(-3, 4, dtype=np.int32), LANES), np.resize(np.arange(2, -3, -1, dtype=np.int32), LANES)
    found = value_of(form.format("A[i]", "B[i]"), "bool", A=a, B=b)
    assert found.tolist() == [COMPARISONS[form](*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]


# --- conversions ---


@pytest.mark.parametrize(
    "source", ["int8", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "bool"]
)
@pytest.mark.parametrize(
    "target",
    ["int8", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float8_e4m3fn", "float8_e5m2", "bool"],
)
def test_casts(source, target):
    values = np.array([0, 1, 2.75, 7.5, 100.25, 3] + ([] if source[0] in "ub" else [-1.75, -3]))
    array = np.resize(values.astype(dtype_of(source)), LANES)
    found = value_of(f'T.cast(A[i], "{target}")', target, A=array)
    exact = array.astype(np.float64)
    if target == "bool":
        expected = exact != 0
    elif target.startswith(("int", "uint")):
        expected = np.array([wrapped(math.trunc(x), target) for x in exact.tolist()])
    else:
        expected = exact.astype(np.float32).astype(dtype_of(target))
    assert found.tobytes() == expected.astype(dtype_of(target)).tobytes()


def test_reinterpret():
    a = np.linspace(-2, 2, LANES, dtype=np.float32)
    assert (value_of('T.reinterpret("int32", A[i])', "int32", A=a) == a.view(np.int32)).all()
    assert (value_of('T.reinterpret("float32", T.reinterpret("int32", A[i]))', "float32", A=a) == a).all()


# --- what is not evaluated ---


def test_a_guarded_load_is_not_executed():
    text = "T.if_then_else(i < 3, A[i + {0}], T.float32(-1))"
    assert (
        value_of(text.format(13), "float32", A=np.arange(LANES, dtype=np.float32)).tolist() == [13, 14, 15] + [-1] * 13
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T.Select(i < 3, A[i + 13], T.float32(-1))", [13, 14, 15] + [-1] * 13),
        ("T.cast(T.And(i < 3, A[i + 13] > T.float32(13)), 'float32')", [0, 1, 1] + [0] * 13),
        ("T.cast(T.Or(i >= 3, A[i + 13] > T.float32(13)), 'float32')", [0, 1, 1] + [1] * 13),
    ],
)
def test_short_circuits(text, expected):
    assert value_of(text, "float32", A=np.arange(LANES, dtype=np.float32)).tolist() == expected


# --- functions of floats ---

# Where a function is not defined on (0, 1), and its meaning where numpy has another name for it.
ABOVE_ONE = ("acosh",)
MEANINGS = {
    "tirx.erf": math.erf,
    "tirx.exp10": lambda x: 10.0**x,
    "tirx.fma": lambda a, b, c: a * b + c,
    "tirx.nearbyint": round,
    "tirx.nextafter": lambda a, b: float(np.nextafter(np.float32(a), np.float32(b))),
    "tirx.round": round,
    "tirx.rsqrt": lambda x: x**-0.5,
    "tirx.sigmoid": lambda x: 1 / (1 + math.exp(-x)),
}
ARGUMENTS = {"atan2": 2, "copysign": 2, "fmod": 2, "hypot": 2, "nextafter": 2, "pow": 2, "fma": 3}
OF_TVM = [name for name in FLOAT_FUNCTIONS if name.startswith("tirx.")]
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 3e-6, "float64": 1e-13}


def inputs_of(name, dtype):
    """Arguments at which a function is defined."""
    rng = np.random.default_rng(0)
    count = ARGUMENTS.get(name.partition(".")[2], 1)
    return [
        (rng.uniform(0.1, 0.9, LANES) + (name.partition(".")[2] in ABOVE_ONE)).astype(dtype_of(dtype))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", OF_TVM)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_functions(dtype, name):
    arrays = dict(zip("ABC", inputs_of(name, dtype), strict=False))
    call = f'T.call_intrin("{dtype}", "{operator_of(name)}", {", ".join(f"{letter}[i]" for letter in arrays)})'
    if name == "tirx.nextafter" and dtype != "float32":
        return
    found = value_of(call, dtype, **arrays)
    plain = name.partition(".")[2]
    meaning = MEANINGS.get(name) or getattr(math, plain)
    expected = [meaning(*map(float, values)) for values in zip(*arrays.values(), strict=True)]
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert found.dtype == dtype_of(dtype)


def test_rounding():
    a = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6] * 2, np.float32)
    for name, meaning in {
        "round": round,
        "nearbyint": round,
        "trunc": math.trunc,
        "floor": math.floor,
        "ceil": math.ceil,
    }.items():
        found = value_of(f'T.call_intrin("float32", "{operator_of("tirx." + name)}", A[i])', "float32", A=a)
        assert found.tolist() == [meaning(x) for x in a.tolist()], name


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_kinds_of_floats(dtype):
    a = np.array([0, 1, -1, math.inf, -math.inf, math.nan, 65504, -0.0] * 2).astype(dtype_of(dtype))
    for name in ("isnan", "isinf", "isfinite"):
        found = value_of(f"T.{name}(A[i])", "bool", A=a)
        assert found.tolist() == [getattr(math, name)(float(x)) for x in a]
    assert (value_of("T.abs(A[i])", dtype, A=a).view(np.uint8) == np.abs(a).view(np.uint8)).all()


def test_extremes_of_nan():
    a = np.array([1, math.nan] * 8, np.float32)
    assert value_of("T.max(A[i], T.float32(0))", "float32", A=a).tolist() == [1, 0] * 8
    assert value_of("T.min(T.float32(0), A[i])", "float32", A=a).tolist() == [0, 0] * 8


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint8"])
def test_bits(dtype):
    a = np.array([0, 1, 2, 3, 7, 100, 127, np.iinfo(dtype).max] * 2, dtype)
    bits = 8 * a.itemsize
    found = value_of(f'T.call_intrin("{dtype}", "tirx.popcount", A[i])', dtype, A=a)
    assert found.tolist() == [bin(x).count("1") for x in a.tolist()]
    found = value_of(f'T.call_intrin("{dtype}", "{operator_of("tirx.clz")}", A[i])', dtype, A=a)
    assert found.tolist() == [bits - x.bit_length() for x in a.tolist()]


# --- random trees, against LLVM ---


ANY = ("int32", "int64", "float32", "float16", "uint8")
LEAVES = dict(zip(ANY, "JKFHU", strict=True))
DIVISIONS = [
    f"T.{name}({{a}}, T.max(T.abs({{b}}), {{one}}))" for name in ("floordiv", "floormod", "truncdiv", "truncmod")
]


def forms_of(dtype):
    """What an expression of a dtype may be; of no integer that is small does it make one that overflows."""
    forms = ["({a} + {b})", "T.min({a}, {b})", "T.max({a}, {b})", "T.Select({c}, {a}, {b})"]
    forms += ["T.if_then_else({c}, {a}, {b})", "T.if_then_else(T.And({c}, {d}), {a}, {b})"]
    forms += ["T.if_then_else(T.Or({c}, T.Not({d})), {a}, {b})"]
    if dtype != "uint8":
        forms += ["({a} - {b})", "({a} * {b})", 'T.cast({byte}, "{dtype}")']
    if dtype.startswith("int"):
        forms += [*DIVISIONS, "T.bitwise_xor({a}, {b})", "T.shift_right({a}, T.bitwise_and({b}, {three}))"]
    if dtype.startswith("float"):
        forms += ["T.floor({a})", "T.sqrt(T.abs({a}))", "({a} / T.max(T.abs({b}), {one}))"]
    return forms


@st.composite
def tree(draw, dtype, depth):
    """The text of an expression of a dtype."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        leaf = LEAVES[dtype]
        number = draw(st.integers(1, 5))
        return draw(st.sampled_from([f"{leaf}[i]", f"{leaf}[{LANES - 1} - i]", f"T.{dtype}({number})"]))
    form = draw(st.sampled_from(forms_of(dtype)))
    parts = {"one": f"T.{dtype}(1)", "three": f"T.{dtype}(3)", "dtype": dtype}
    for name in "abcd":
        if f"{{{name}}}" in form:
            parts[name] = draw(tree(dtype, depth - 1) if name in "ab" else condition(depth - 1))
    if "{byte}" in form:
        parts["byte"] = draw(tree("uint8", depth - 1))
    return form.format(**parts)


@st.composite
def condition(draw, depth):
    dtype = draw(st.sampled_from(ANY))
    comparison = draw(st.sampled_from(["<", "<=", "==", "!="]))
    return f"({draw(tree(dtype, depth))} {comparison} {draw(tree(dtype, depth))})"


@with_llvm
@settings(max_examples=8)
@given(st.data())
def test_random_trees(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    inputs = {
        "J": rng.integers(-4, 5, LANES, np.int32),
        "K": rng.integers(-4, 5, LANES, np.int64),
        "F": rng.integers(-8, 9, LANES).astype(np.float32) / 4,
        "H": rng.integers(-8, 9, LANES).astype(np.float16) / 4,
        "U": rng.integers(0, 4, LANES, np.uint8),
    }
    dtypes = ["int32", "int64", "float32", "float16", "uint8"] * 2
    expressions = [(data.draw(tree(dtype, 3)), dtype) for dtype in dtypes]
    func = function_of(expressions, inputs)
    arrays = [*inputs.values(), *fresh(expressions)]
    try:
        expected = compiled(func, arrays)
    except tvm.error.InternalError as error:
        if "will cause a negative uint" not in str(error):  # of terms that it moves from one side to the other
            raise
        reject()
    found = executed(func, arrays)
    for (text, _), one, other in zip(expressions, found[len(inputs) :], expected[len(inputs) :], strict=True):
        np.testing.assert_array_equal(one, other, err_msg=text)


@with_llvm
@pytest.mark.parametrize(
    "name", [name for name in OF_TVM if name not in ("tirx.fmod", "tirx.exp10", "tirx.fma", "tirx.erf")]
)
def test_functions_of_llvm(name):
    arrays = dict(zip("ABC", inputs_of(name, "float32"), strict=False))
    text = f'T.call_intrin("float32", "{operator_of(name)}", {", ".join(f"{letter}[i]" for letter in arrays)})'
    func = function_of([(text, "float32")], arrays)
    inputs = [*arrays.values(), np.zeros(LANES, np.float32)]
    np.testing.assert_allclose(executed(func, inputs)[-1], compiled(func, inputs)[-1], rtol=1e-5, atol=1e-6)


# --- operators of TileLang ---

if ON_TILELANG:
    import tilelang.language as L
    from tvm import tirx

    ON_ELEMENTS = {
        "tl.__exp": (math.exp, 1),
        "tl.__exp10": (lambda x: 10.0**x, 1),
        "tl.__log": (math.log, 1),
        "tl.__log2": (math.log2, 1),
        "tl.__log10": (math.log10, 1),
        "tl.__cos": (math.cos, 1),
        "tl.__sin": (math.sin, 1),
        "tl.__tan": (math.tan, 1),
        "tl.clamp": (lambda x, low, high: min(max(x, low), high), 3),
        "tl.fast_rcp": (lambda x: 1 / x, 1),
        "tl.fma": (lambda a, b, c: a * b + c, 3),
        "tl.fmul": (operator.mul, 2),
        "tl.ieee_add": (operator.add, 2),
        "tl.ieee_fdiv": (operator.truediv, 2),
        "tl.ieee_fmaf": (lambda a, b, c: a * b + c, 3),
        "tl.ieee_frcp": (lambda x: 1 / x, 1),
        "tl.ieee_frsqrt": (lambda x: x**-0.5, 1),
        "tl.ieee_fsqrt": (math.sqrt, 1),
        "tl.ieee_mul": (operator.mul, 2),
        "tl.ieee_sub": (operator.sub, 2),
        "tl.max_nan": (max, 2),
        "tl.min_nan": (min, 2),
        "tl.pow_of_int": (lambda x, n: x**n, 2),
        "tl.round_ties_away_from_zero": (lambda x: math.floor(x + 0.5), 1),
    }

    @pytest.mark.parametrize("name", ON_ELEMENTS)
    def test_operators_of_tilelang(name):
        meaning, count = ON_ELEMENTS[name]
        values = [1.5, 0.25, 0.75][:count] if name != "tl.pow_of_int" else [1.5, 3]
        literals = [tirx.const(value, "int32" if isinstance(value, int) else "float32") for value in values]
        rounding = ["rn"] if "ieee" in name else []
        call = tirx.call_intrin("float32", tvm.ir.Op.get(name), *literals, *rounding)
        assert constant(call) == pytest.approx(meaning(*values), rel=1e-6)

    def constant(call):
        """The value of an expression without variables."""
        buffer = tirx.decl_buffer((1,), call.dtype, "A")
        handle = tirx.Var("a", "handle")
        func = tirx.PrimFunc([handle], tirx.BufferStore(buffer, call, [0]), buffer_map={handle: buffer})
        return executed(func, [np.zeros(1, call.dtype)])[0][0]

    def test_constants_of_tilelang():
        assert constant(tirx.call_intrin("float16", tvm.ir.Op.get("tl.infinity"), "float16")) == np.inf
        assert constant(tirx.call_intrin("uint64", tvm.ir.Op.get("tirx.large_uint_imm"), 1, 1 << 31)) == (1 << 63) + 1

    def test_atomics():
        @L.prim_func
        def main(A: L.Tensor((8,), "int32"), B: L.Tensor((4,), "float32"), C: L.Tensor((4,), "float32")):
            previous = L.alloc_var("int32")
            for i in L.Parallel(8):
                L.atomic_add(A[i % 2], i)
            for i in L.serial(3):
                previous = L.atomic_max(A[2], i * 2, return_prev=True)
                A[3 + i] = previous
            L.atomic_min(A[6], -1)
            L.atomic_or(A[7], 6)
            L.atomic_addx2(B[2], C[1])
            L.atomic_store(B[0], L.atomic_load(C[0]))

        a = np.array([0, 10, 1, 0, 0, 0, 4, 1], np.int32)
        b, c = np.ones(4, np.float32), np.arange(4, dtype=np.float32) + 5
        a, b, _ = executed(main, [a, b, c])
        assert a.tolist() == [12, 26, 4, 1, 1, 2, -1, 7]
        assert b.tolist() == [5, 1, 7, 8]
