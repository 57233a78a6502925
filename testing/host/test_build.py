"""Building IR: nodes by their constructors, functions by TVMScript, the builder and te, and schedules."""

import pytest
from host import ADD_ONE, MATMUL, SCRIPTS, SYMBOLIC, T, function, tirx, tvm, tvm_ffi
from tvm import s_tir, te
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as build

X = tirx.Var("x", "int32")
F = tirx.Var("f", "float32")
I64 = tirx.Var("i", "int64")

EXPRESSIONS = {
    "add": (lambda: X + 1, "x + 1"),
    "add_reversed": (lambda: 1 + X, "1 + x"),
    "sub": (lambda: X - 2, "x - 2"),
    "mul": (lambda: X * 2, "x * 2"),
    "floor_div": (lambda: X // 2, "x // 2"),
    "floor_mod": (lambda: tirx.floormod(X, 2), "x % 2"),
    "trunc_div": (lambda: tirx.truncdiv(X, 2), "T.Div(x, 2)"),
    "trunc_mod": (lambda: tirx.truncmod(X, 2), "T.truncmod(x, 2)"),
    "less": (lambda: X < 1, "x < 1"),
    "not_equal": (lambda: tirx.NE(X, tirx.IntImm("int32", 3)), "x != 3"),
    "all": (lambda: tirx.all(X < 1, X > 0), "x < 1 and x > 0"),
    "any": (lambda: tirx.any(X < 1, X > 5), "x < 1 or x > 5"),
    "not": (lambda: tirx.Not(X < 1), "not x < 1"),
    "negated": (lambda: -X, "x * -1"),
    "max": (lambda: tirx.max(X, 0), "T.max(x, 0)"),
    "min": (lambda: tirx.min(X, 0), "T.min(x, 0)"),
    "select": (lambda: tirx.Select(X < 1, X, 0), "T.Select(x < 1, x, 0)"),
    "if_then_else": (lambda: tirx.if_then_else(X < 1, X, 0), "T.if_then_else(x < 1, x, 0)"),
    "cast": (lambda: tirx.Cast("float32", X), 'T.Cast("float32", x)'),
    "cast_of_mixed": (lambda: F + X, 'f + T.Cast("float32", x)'),
    "ramp": (lambda: tirx.Ramp(X, 1, 4), "T.Ramp(x, 1, 4)"),
    "broadcast": (lambda: tirx.Broadcast(X, 4), "T.Broadcast(x, 4)"),
    "let": (lambda: tirx.Let(X, tirx.IntImm("int32", 1), X + 1), "T.Let(x + 1, where={x: 1})"),
    "call": (lambda: tirx.exp(F), "T.exp(f)"),
    "call_extern": (lambda: tirx.call_extern("int32", "g", X), 'T.call_extern("int32", "g", x)'),
    "constant_folded": (lambda: tirx.IntImm("int32", 3) + 4, "7"),
    "float": (lambda: tirx.FloatImm("float32", 0.5), "T.float32(0.5)"),
    "smallest": (lambda: tirx.min_value("int8"), "T.int8(-128)"),
    "infinity": (lambda: tirx.infinity("float32"), 'T.float32("inf")'),
    "reciprocal": (lambda: 1 / F, "T.float32(1.0) / f"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expression(name):
    make, text = EXPRESSIONS[name]
    assert str(make()) == text


def test_division_by_zero():
    with pytest.raises(tvm.error.InternalError, match="Divide by zero"):
        tirx.floordiv(X, 0)


def test_mismatched_types():
    with pytest.raises(TypeError, match=r"mismatched types. int32 vs. float32"):
        tirx.Add(X, F)


def test_truth_of_a_symbol():
    with pytest.raises(ValueError, match="Cannot use and / or / not operator"):
        bool(X < 1)


def test_statements_by_constructor():
    A = tirx.decl_buffer((8,), "int32", name="A")
    i = tirx.Var("i", "int32")
    store = tirx.BufferStore(A, tirx.BufferLoad(A, [i]) + 1, [i])
    loop = tirx.For(i, 0, 8, tirx.ForKind.SERIAL, store)
    assert isinstance(loop.body, tirx.BufferStore)
    assert loop.body.buffer.same_as(A)
    assert int(loop.extent) == 8
    assert loop.kind == tirx.ForKind.SERIAL


def test_function_by_constructor():
    func = tirx.PrimFunc([X], tirx.Evaluate(X + 1))
    assert func.params[0].same_as(X)
    assert not func.attrs
    assert dict(func.with_attr("key", 3).attrs) == {"key": 3}
    assert not func.attrs, "with_attr gives another function"


def test_builder():
    with IRBuilder() as builder, build.prim_func():
        build.func_name("add_one")
        A = build.arg("A", build.Buffer((8,), "float32"))
        B = build.arg("B", build.Buffer((8,), "float32"))
        with build.serial(8) as i:
            build.buffer_store(B, A[i] + T.float32(1), [i])
    tvm.ir.assert_structural_equal(builder.get(), function(ADD_ONE))


def test_tensor_expression():
    A = te.placeholder((8,), name="A")
    func = te.create_prim_func([A, te.compute((8,), lambda i: A[i] + 1, name="B")])
    assert len(func.params) == 2
    assert "B[v_i] = A[v_i] + T.float32(1.0)" in func.script()


def test_schedule():
    schedule = s_tir.Schedule(function(MATMUL))
    i, _, _ = schedule.get_loops(schedule.get_sblock("C"))
    schedule.split(i, [4, None])
    assert "for i_0, i_1, j, k in T.grid(4, 4, 16, 16):" in schedule.mod.script()


def test_schedule_refuses():
    schedule = s_tir.Schedule(function(MATMUL))
    i, _, _ = schedule.get_loops(schedule.get_sblock("C"))
    with pytest.raises(s_tir.ScheduleError, match="reorder"):
        schedule.reorder(i, i)


def test_specialize():
    func = function(SYMBOLIC)
    known = func.specialize({func.params[0]: tirx.decl_buffer((3, 4), "float16")})
    assert 'A: T.Buffer((3, 4), "float16")' in known.script()
    assert 'B: T.Buffer((3, 4), "float16")' in known.script()


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"matmul"}))  # of blocks, not every host has a verifier
def test_well_formed(name):
    assert tirx.analysis.verify_well_formed(function(SCRIPTS[name]))


def test_decorated_function():
    @T.prim_func
    def add_one(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
        for i in T.serial(8):
            B[i] = A[i] + T.float32(1)

    assert tvm_ffi.structural_equal(add_one, function(ADD_ONE))


def test_index_map():
    split = tirx.IndexMap.from_func(lambda i: [i // 4, i % 4])
    assert [str(index) for index in split.map_indices([I64 + 8])] == ["i // T.int64(4) + T.int64(2)", "i % T.int64(4)"]
