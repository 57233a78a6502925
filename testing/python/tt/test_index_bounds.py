"""Whether an index stays inside: what is proven holds for every value, counted one at a time.

The proof shows in `tt_padding_value`: "any" where no access of a TIRx kernel leaves its tensor.
"""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import T
from support.infer import infer
from tvm import tirx

from tilelang.tt import buffer_attrs

pytestmark = pytest.mark.stage("reading")

ROWS = 50  # not a multiple of a tile, so that there is padding


def value_of(func):
    return buffer_attrs(infer(func), "A")["tt_padding_value"]


# An index is ("constant", c), ("var", i), or (operator, index, index); the text is both Python and TVMScript.
INDICES = st.recursive(
    st.one_of(st.integers(-3, 60).map(str), st.sampled_from(["bx", "i", "j"])),
    lambda index: st.one_of(
        st.tuples(index, st.sampled_from("+-"), index).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(index, st.sampled_from(["*", "//", "%"]), st.integers(1, 40)).map(
            lambda p: f"({p[0]} {p[1]} {p[2]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), index, index).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    ),
    max_leaves=6,
)
COMPARISONS = st.tuples(INDICES, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), INDICES).map(" ".join)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda condition: st.one_of(
        st.tuples(condition, st.sampled_from(["and", "or"]), condition).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        condition.map(lambda inner: f"not ({inner})"),
    ),
    max_leaves=3,
)


@st.composite
def guarded(draw):
    """A condition about an index, and others that have nothing to do with it."""
    index, condition = draw(INDICES), draw(st.one_of(st.none(), CONDITIONS))
    own = draw(st.sampled_from([None, f"{index} < {ROWS}", f"0 <= {index} and {index} < {ROWS}", f"{index} >= 0"]))
    return index, [part for part in (own, condition) if part], draw(st.booleans())


def expression(text, names):
    """The expression as IR."""
    operators = {
        "min": tirx.min,
        "max": tirx.max,
    }
    return eval(text, {**operators, **names})


def condition_of(text, names):
    """`and`, `or` and `not` of Python as those of the IR."""
    import ast

    def build(node):
        if isinstance(node, ast.BoolOp):
            combine = tirx.And if isinstance(node.op, ast.And) else tirx.Or
            return combine(*map(build, node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return tirx.Not(build(node.operand))
        found = expression(ast.unparse(node), names)
        return tirx.const(bool(found), "bool") if isinstance(found, (bool, int)) else found

    return build(ast.parse(text, mode="eval").body)


def kernel(index, conditions, negated, extents):
    """A[index] is read where the conditions hold, or in the else branch where they do not."""
    names = {name: tirx.Var(name, "int32") for name in ("bx", "i", "j")}
    A = tirx.decl_buffer((ROWS,), "float32", name="A")
    place = expression(index, names)
    place = tirx.IntImm("int32", place) if isinstance(place, int) else place
    body = tirx.Evaluate(tirx.BufferLoad(A, [place]))
    for text in reversed(conditions):
        condition = condition_of(text, names)
        nothing = tirx.Evaluate(0)
        body = tirx.IfThenElse(condition, nothing, body) if negated else tirx.IfThenElse(condition, body, None)
    for name in ("j", "i"):
        body = tirx.For(names[name], 0, extents[name], tirx.ForKind.SERIAL, body)
    thread = tirx.IterVar((0, extents["bx"]), names["bx"], tirx.IterVar.ThreadIndex, "blockIdx.x")
    body = tirx.AttrStmt(thread, "thread_extent", extents["bx"], body)
    return tirx.PrimFunc([A], body).with_attr("global_symbol", "main")


def leaves(index, conditions, negated, extents):
    """Whether an access lies outside, by trying all."""
    names = sorted(extents)
    for values in product(*(range(extents[name]) for name in names)):
        known = dict(zip(names, values, strict=True))
        if (
            all(bool(eval(text, {}, known)) != negated for text in conditions)
            and not 0 <= eval(index, {}, known) < ROWS
        ):
            return True
    return False


@settings(max_examples=300)
@given(guarded(), st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 40)))
def test_what_is_proven_holds(access, extents):
    extents = dict(zip(("bx", "i", "j"), extents, strict=True))
    proven = value_of(kernel(*access, extents)) == "any"
    assert not (proven and leaves(*access, extents))


PROVEN = [
    ("i", [], {"bx": 1, "i": 50, "j": 1}),
    ("bx * 10 + i", [], {"bx": 5, "i": 10, "j": 1}),
    ("bx * 32 + i", ["bx * 32 + i < 50"], {"bx": 2, "i": 32, "j": 1}),
    ("bx * 32 + i", ["i + bx * 32 <= 49"], {"bx": 2, "i": 32, "j": 1}),
    ("bx * 32 + i", ["50 > bx * 32 + i"], {"bx": 2, "i": 32, "j": 1}),
    ("(bx * 1000 + i * 10 + j) // 100", [], {"bx": 5, "i": 100, "j": 10}),
    ("(bx * 50 + i) % 50", [], {"bx": 4, "i": 60, "j": 1}),
    ("min(bx * 32 + i, 49)", [], {"bx": 9, "i": 32, "j": 1}),
    ("i - j", ["i >= j"], {"bx": 1, "i": 50, "j": 9}),
    ("i + j", ["i < 30 and j < 21"], {"bx": 1, "i": 99, "j": 99}),
]


@pytest.mark.parametrize(("index", "conditions", "extents"), PROVEN)
def test_what_people_write_is_proven(index, conditions, extents):
    assert not leaves(index, conditions, False, extents)
    assert value_of(kernel(index, conditions, False, extents)) == "any"


@pytest.mark.parametrize(("index", "conditions", "extents"), PROVEN)
def test_one_beyond_is_not(index, conditions, extents):
    assert value_of(kernel(f"{index} + 1", conditions, False, extents)) == "unknown"


def test_else_branch():
    assert value_of(kernel("bx * 32 + i", ["bx * 32 + i >= 50"], True, {"bx": 2, "i": 32, "j": 1})) == "any"
    assert value_of(kernel("bx * 32 + i", ["bx * 32 + i > 50"], True, {"bx": 2, "i": 32, "j": 1})) == "unknown"


def test_names():
    @T.prim_func
    def main(A: T.Buffer((50, 50), "float32"), C: T.Buffer((50, 50), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        for i, j in T.grid(32, 50):
            row = bx * 32 + i
            if T.likely(row < 50):
                C[row, j] = A[row, j]

    assert value_of(main) == "any"


def test_a_name_that_changes():
    @T.prim_func
    def main(A: T.Buffer((50,), "float32"), C: T.Buffer((50,), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        row = T.alloc_buffer((1,), "int32", scope="local")
        row[0] = bx
        if row[0] < 50:
            row[0] = row[0] + 50
            C[row[0]] = A[row[0]]

    assert value_of(main) == "unknown"


def test_a_name_that_another_branch_sets():
    @T.prim_func
    def main(A: T.Buffer((50,), "float32"), C: T.Buffer((50,), "float32")):
        bx = T.launch_thread("blockIdx.x", 2)
        row = T.alloc_buffer((1,), "int32", scope="local")
        if bx > 0:
            row[0] = bx
        C[row[0]] = A[row[0]]

    assert value_of(main) == "unknown"


def test_index_from_memory():
    @T.prim_func
    def main(A: T.Buffer((50,), "float32"), order: T.Buffer((64,), "int32"), C: T.Buffer((64,), "float32")):
        bx = T.launch_thread("blockIdx.x", 64)
        C[bx] = A[order[bx]]

    assert value_of(main) == "unknown"


def test_symbolic_extent():
    @T.prim_func
    def main(a: T.handle, c: T.handle):
        n = T.int32()
        A = T.match_buffer(a, (n,), "float32")
        C = T.match_buffer(c, (64,), "float32")
        bx = T.launch_thread("blockIdx.x", 2)
        for i in range(32):
            if bx * 32 + i < n:
                C[bx * 32 + i] = A[bx * 32 + i]
        for k in range(n):
            C[0] = A[k]

    assert value_of(main) == "any"


def test_too_large_for_arithmetic():
    func = kernel(f"i * {2**31 - 1}", [], False, {"bx": 1, "i": 2**30, "j": 1})
    assert value_of(func) == "unknown"


def test_a_loop_that_may_not_run_says_nothing_outside():
    @T.prim_func
    def main(A: T.Buffer((50,), "float32"), m: T.int32):
        bx = T.launch_thread("blockIdx.x", 2)
        for i in range(m, 50):
            T.evaluate(bx + i)
        if m >= 0:
            T.evaluate(A[m])

    @T.prim_func
    def last(A: T.Buffer((50,), "float32"), m: T.int32):
        bx = T.launch_thread("blockIdx.x", 2)
        for i in range(m):
            T.evaluate(bx + i)
        if m <= 50:
            T.evaluate(A[m - 1])

    @T.prim_func
    def inside(A: T.Buffer((50,), "float32"), m: T.int32):
        bx = T.launch_thread("blockIdx.x", 2)
        if m <= 50:
            for i in range(m):
                T.evaluate(A[m - 1] + T.float32(bx + i))

    assert value_of(main) == "unknown"
    assert value_of(last) == "unknown"
    assert value_of(inside) == "any"


def guarded_by_its_cast(index, dtype):
    """A[index(m)] where m, cast to int32, is inside."""
    A, m = tirx.decl_buffer((ROWS,), "float32", name="A"), tirx.Var("m", dtype)
    cast = tirx.Cast("int32", m) if dtype != "int32" else m
    condition = tirx.And(tirx.GE(cast, tirx.IntImm("int32", 0)), tirx.LT(cast, tirx.IntImm("int32", ROWS)))
    read = tirx.Evaluate(tirx.BufferLoad(A, [index(m)]))
    bx = tirx.Var("bx", "int32")
    thread = tirx.IterVar((0, 2), bx, tirx.IterVar.ThreadIndex, "blockIdx.x")
    body = tirx.AttrStmt(thread, "thread_extent", 2, tirx.IfThenElse(condition, read, None))
    return tirx.PrimFunc([A, m], body).with_attr("global_symbol", "main")


def test_a_cast_that_drops_digits():
    assert value_of(guarded_by_its_cast(lambda m: m, "int32")) == "any"
    assert value_of(guarded_by_its_cast(lambda m: m, "int64")) == "unknown"  # m = 2**32
    assert value_of(guarded_by_its_cast(lambda m: tirx.Cast("int64", m), "int32")) == "any"


def test_unsigned_numbers_have_no_negative_ones():
    A, m = tirx.decl_buffer((ROWS,), "float32", name="A"), tirx.Var("m", "uint32")
    number = lambda value: tirx.IntImm("uint32", value)  # noqa: E731
    index = tirx.Sub(m, number(5))  # of 0: 2**32 - 5
    condition = tirx.And(tirx.LT(m, number(ROWS)), tirx.GE(index, number(0)))
    read = tirx.Evaluate(tirx.BufferLoad(A, [index]))
    bx = tirx.Var("bx", "int32")
    thread = tirx.IterVar((0, 2), bx, tirx.IterVar.ThreadIndex, "blockIdx.x")
    body = tirx.AttrStmt(thread, "thread_extent", 2, tirx.IfThenElse(condition, read, None))
    assert value_of(tirx.PrimFunc([A, m], body).with_attr("global_symbol", "main")) == "unknown"
