"""The domain of T.Persistent, against a walk over everything that its loop executes. TileLang only."""

from itertools import product

import pytest
import tvm
from support import host
from support.infer import infer, results

from tilelang.tt import _native, apply_tt_defaults, errors, grid_to_persistent

pytestmark = pytest.mark.stage("reading")

if host.ON_TILELANG:
    import tilelang.language as L
    from tvm import tirx

    OPERATORS = {
        "Add": lambda a, b: a + b,
        "Sub": lambda a, b: a - b,
        "Mul": lambda a, b: a * b,
        "Div": lambda a, b: int(a / b),
        "Mod": lambda a, b: a - b * int(a / b),
        "FloorDiv": lambda a, b: a // b,
        "FloorMod": lambda a, b: a % b,
        "Min": min,
        "Max": max,
        "LT": lambda a, b: a < b,
    }

    def evaluate(expr, values):
        if isinstance(expr, tirx.IntImm):
            return int(expr)
        if isinstance(expr, tirx.Var):
            return values[expr.name]
        return OPERATORS[type(expr).__name__](evaluate(expr.a, values), evaluate(expr.b, values))

    def statements(stmt):
        """The statements of a kernel down to the loop over waves."""
        while hasattr(stmt, "block") or not isinstance(stmt, tirx.SeqStmt):
            stmt = stmt.block.body if hasattr(stmt, "block") else stmt.body
        *before, last = stmt.seq
        return [*before, *(statements(last.block.body) if hasattr(last, "block") else [last])]

    def executed_cells(func, blocks, sizes):
        """The coordinates at which the body is executed, by running every block and every wave."""
        *binds, loop = statements(func.body)
        binds = [bind for bind in binds if not isinstance(bind.value, tirx.Call)]
        cells = []
        for block, wave in product(range(blocks), range(evaluate(loop.extent, sizes))):
            values = {**sizes, "bx": block, loop.loop_var.name: wave}
            coordinates = {bind.var.name: evaluate(bind.value, values) for bind in binds}
            stmt = loop.body
            while isinstance(stmt, tirx.IfThenElse) and evaluate(stmt.condition, values):
                stmt = stmt.then_case
            if not isinstance(stmt, tirx.IfThenElse):
                cells.append(tuple(coordinates[name] for name in ("v0", "v1", "v2") if name in coordinates))
        return cells

    def kernel(domain, wave, launched=None, shape=None, **options):
        """Marks every cell of a domain."""
        rank = len(domain)

        @L.prim_func
        def main(A: L.Tensor(shape or domain, "int32")):
            with L.Kernel(wave if launched is None else launched, threads=32) as block:
                if rank == 1:
                    for v0 in L.Persistent(domain, wave, block, **options):
                        A[v0] = 1
                elif rank == 2:
                    for v0, v1 in L.Persistent(domain, wave, block, **options):
                        A[v0, v1] = 1
                else:
                    for v0, v1, v2 in L.Persistent(domain, wave, block, **options):
                        A[v0, v1, v2] = 1

        return main

    def facts(func):
        return results(infer(func))

    DOMAINS = [(6,), (1,), (6, 4), (4, 6), (1, 5), (5, 1), (12, 20), (3, 17), (2, 3, 4), (3, 1, 9), (2, 2, 1)]

    @pytest.mark.parametrize("domain", DOMAINS, ids=str)
    @pytest.mark.parametrize("wave", [1, 5, 64])
    @pytest.mark.parametrize("group_size", [1, 3, 8])
    def test_domain(domain, wave, group_size):
        func = kernel(domain, wave, group_size=group_size)
        found = facts(func)
        grid = tuple(found[f"tt_grid_{axis}"] for axis in "xyz")
        cells = executed_cells(func, wave, {})
        assert sorted(cells) == list(product(*map(range, domain)))
        assert grid == (*domain, 1, 1)[:3]
        assert found["tt_persistent"] == {"loop": "w", "wave": wave, "group_size": min(group_size, domain[-1])}

    @pytest.mark.parametrize("domain", [domain for domain in DOMAINS if len(domain) > 1], ids=str)
    @pytest.mark.parametrize("group_size", [1, 3, 32])
    def test_order(domain, group_size):
        """Where the order is one of ours, the waves of one block run through the domain in it."""
        func = kernel(domain, 1, group_size=group_size)
        order = apply_tt_defaults(func).attrs["tt_schedule_order"]
        cells = executed_cells(func, 1, {})
        numberings = {
            "row_major": sorted(cells, key=lambda cell: cell[::-1]),
            "column_major": sorted(cells, key=lambda cell: (*cell[2:], *cell[:2])),
        }
        if cells in numberings.values():
            assert numberings[order] == cells
        else:
            assert order == "row_major"

    def test_the_user_chooses_the_order():
        func = apply_tt_defaults(kernel((4, 6), 5), schedule_order="row_major")
        assert func.attrs["tt_schedule_order"] == "row_major"

    def test_domain_of_sizes():
        m = L.dynamic("m")
        func = kernel((L.ceildiv(m, 32), 4), 64, shape=(m, 4))
        found = facts(func)
        assert (found["tt_grid_x"], found["tt_grid_y"], found["tt_grid_z"]) == ("(m + 31) // 32", 4, 1)
        for size in (1, 100, 5000):
            cells = executed_cells(func, 64, {"m": size})
            assert sorted(cells) == list(product(range(_native.evaluate(found["tt_grid_x"], {"m": size})), range(4)))

    def test_last_axis_of_sizes():
        m = L.dynamic("m")
        func = kernel((3, L.ceildiv(m, 32)), 8, shape=(3, m))
        found = facts(func)
        assert (found["tt_grid_x"], found["tt_grid_y"]) == (3, "(m + 31) // 32")
        assert found["tt_persistent"]["group_size"] == "max(1, min(8, (m + 31) // 32))"

    def refuse(func, message):
        with pytest.raises(errors.GridError, match=message) as caught:
            apply_tt_defaults(func)
        assert caught.value.code == "TT214"

    def test_refused_wave():
        refuse(kernel((6, 4), 4, launched=5), "it does not count in waves of 5 blocks, which are launched")

    @pytest.mark.parametrize("others", [(2,), (1, 2)])
    def test_refused_launch_of_several_axes(others):
        @L.prim_func
        def main(A: L.Tensor((6, 4), "int32")):
            with L.Kernel(5, *others, threads=32) as (block, *_):
                for v0, v1 in L.Persistent([6, 4], 5, block):
                    A[v0, v1] = 1

        refuse(main, "it stands in a launch that is not one-dimensional")

    def plus_1(expr):
        return tirx.Add(expr, tirx.IntImm("int32", 1))

    def other_loop(stmt, **change):
        if stmt.thread_binding is not None or stmt.loop_var.name != "w":
            return stmt
        fields = {
            "min": stmt.min,
            "extent": stmt.extent,
            **{key: new(getattr(stmt, key)) for key, new in change.items()},
        }
        return tirx.For(
            stmt.loop_var, fields["min"], fields["extent"], stmt.kind, stmt.body, annotations=stmt.annotations
        )

    def other_guard(stmt):
        """Of the condition on the number of a block's cell."""
        if isinstance(stmt.condition.a, tirx.Var):
            return stmt
        return tirx.IfThenElse(stmt.condition.a < plus_1(stmt.condition.b), stmt.then_case, None)

    def other_coordinate(stmt, name):
        """The value itself, or where it is a remainder that of another number."""
        if stmt.var.name != name:
            return stmt
        value = stmt.value
        return tirx.Bind(stmt.var, tirx.Mod(plus_1(value.a), value.b) if isinstance(value, tirx.Mod) else plus_1(value))

    CHANGES = {
        "the first wave": ("tirx.For", lambda stmt: other_loop(stmt, min=plus_1)),
        "how many waves": ("tirx.For", lambda stmt: other_loop(stmt, extent=plus_1)),
        "how many cells": ("tirx.IfThenElse", other_guard),
        "the first axis": ("tirx.Bind", lambda stmt: other_coordinate(stmt, "v0")),
        "the second axis": ("tirx.Bind", lambda stmt: other_coordinate(stmt, "v1")),
        "the last axis": ("tirx.Bind", lambda stmt: other_coordinate(stmt, "v2")),
    }

    @pytest.mark.parametrize("name", CHANGES)
    def test_refused_numbering(name):
        """One number of the loop is not the host's."""
        kind, change = CHANGES[name]
        func = kernel((6, 5, 4), 7, group_size=3)
        facts(func)
        other = func.with_body(tirx.stmt_functor.ir_transform(func.body, None, change, [kind]))
        assert not tvm.ir.structural_equal(other, func)
        message = "no condition bounds" if name == "the last axis" else "it does not count in waves of 7 blocks"
        refuse(other, message)

    def test_refused_use_of_the_block():
        @L.prim_func
        def main(A: L.Tensor((6, 4), "int32"), B: L.Tensor((5,), "int32")):
            with L.Kernel(5, threads=32) as block:
                for v0, v1 in L.Persistent([6, 4], 5, block):
                    A[v0, v1] = 1
                B[block] = 1

        refuse(main, "the kernel uses `bx` beside it, which names a block or a wave")

    def test_refused_rank():
        @L.prim_func
        def main(A: L.Tensor((6, 4, 2, 3), "int32")):
            with L.Kernel(5, threads=32) as block:
                for v0, v1, v2, v3 in L.Persistent([6, 4, 2, 3], 5, block):
                    A[v0, v1, v2, v3] = 1

        refuse(main, "it has 4 axes; expected at most 3")

    def test_refused_second_loop():
        @L.prim_func
        def main(A: L.Tensor((6, 4), "int32")):
            with L.Kernel(5, threads=32) as block:
                for v0, v1 in L.Persistent([6, 4], 5, block):
                    A[v0, v1] = 1
                for u0, u1 in L.Persistent([6, 4], 5, block):
                    A[u0, u1] = 2

        refuse(main, "two persistent loops in one launch")

    # Where no wave is cut short a host may drop the loop's first condition; the kernel's own comes in its place.
    # Of the number of a block's cell, the coordinate on the last axis, and the kernel's n and store.
    KEPT = {
        "an alternative": lambda number, last, n, store: (store.indices[1] < 5, store),
        "a condition on memory": lambda number, last, n, store: (
            tirx.BufferLoad(store.buffer, store.indices) < 5,
            None,
        ),
    }
    ON_THE_WAVE = {
        "another number of cells": lambda number, last, n, store: (number < n, None),
        "another bound of the last axis": lambda number, last, n, store: (last < 3, None),
    }

    def with_own_condition(condition):
        @L.prim_func
        def main(A: L.Tensor((6, 5), "int32"), n: L.int32):
            with L.Kernel(4, threads=32) as block:
                for v0, v1 in L.Persistent([6, 5], 4, block, group_size=2):
                    A[v0, v1] = 1

        inner, outer = (stmt.condition.a for stmt in conditions(main))

        def change(stmt):
            if isinstance(stmt, tirx.BufferStore):
                own, otherwise = condition(outer, inner, main.params[1], stmt)
                return tirx.IfThenElse(own, stmt, otherwise)
            return stmt.then_case if stmt.condition.a.same_as(outer) else stmt

        kinds = ["tirx.BufferStore", "tirx.IfThenElse"]
        return main.with_body(tirx.stmt_functor.ir_transform(main.body, None, change, kinds))

    def conditions(func):
        """From the inside out."""
        found = []
        tirx.stmt_functor.post_order_visit(
            func.body, lambda node: found.append(node) if isinstance(node, tirx.IfThenElse) else None
        )
        return found

    @pytest.mark.parametrize("name", KEPT)
    def test_own_condition_stays(name):
        func = with_own_condition(KEPT[name])
        assert [facts(func)[f"tt_grid_{axis}"] for axis in "xyz"] == [6, 5, 1]
        (left,) = conditions(grid_to_persistent(infer(func)))
        assert left.condition.a.same_as(conditions(func)[0].condition.a)
        assert (left.else_case is None) == (name != "an alternative")

    @pytest.mark.parametrize("name", ON_THE_WAVE)
    def test_refused_own_condition_on_the_wave(name):
        refuse(with_own_condition(ON_THE_WAVE[name]), "the kernel uses `(w|bx)` beside it")
