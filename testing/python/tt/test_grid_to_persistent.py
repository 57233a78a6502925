"""The pass GridToPersistent: before and after, and every core's turns against the cells that an oracle deals out."""

import pytest
import tvm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import host, launch_forms, oracle
from support.host import T
from support.infer import bare, copy_kernel, infer, tt_attrs
from support.launch_forms import FORMS, SEVERAL_FORMS
from support.strategies import schedules
from support.touched import READ, WRITE, Interpreter, touched
from tvm import tirx

from tilelang.tt import (
    apply_tt_defaults,
    core_program_attrs,
    errors,
    grid_to_persistent,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    launch_attrs,
    runtime_args,
    specialize,
    tile_coordinates,
    transform,
    verify_tt_metadata,
)
from tilelang.tt.plan import make_plan
from tilelang.tt.testing import check_rejects

pytestmark = pytest.mark.stage("program")


def scheduled(func, **inputs):
    return infer_default_tt_schedule(apply_tt_defaults(func, **inputs))


def persistent(func, **inputs):
    return grid_to_persistent(scheduled(func, **inputs))


def statements(node):
    """A statement and all that are in it."""
    yield node
    for name in ("seq", "block", "init", "body", "then_case", "else_case"):
        below = getattr(node, name, None)
        for part in below if name == "seq" and below is not None else [below]:
            if part is not None:
                yield from statements(part)


def loops(func):
    """The loops over work tiles, by launch."""
    found = [stmt for stmt in statements(func.body) if isinstance(stmt, tirx.For) and "tt_launch" in stmt.annotations]
    return {int(loop.annotations["tt_launch"]): loop for loop in found}


# ---- An evaluator that knows nothing of grids -----------------------------------------------------------------------

OPERATORS = {
    "Add": lambda a, b: a + b,
    "Mul": lambda a, b: a * b,
    "FloorDiv": lambda a, b: a // b,
    "FloorMod": lambda a, b: a % b,
    "Min": min,
    "Max": max,
    "LT": lambda a, b: a < b,
}
LIMITS = {"int32": 2**31, "int64": 2**63}


def evaluate(expr, values):
    """An expression of index arithmetic: both sides of a Select are evaluated, and nothing may wrap around."""
    name = type(expr).__name__
    if name == "IntImm":
        return int(expr.value)
    if name in ("Var", "SizeVar"):
        return values[hash(expr)]
    if name == "Cast":
        value = evaluate(expr.value, values)
        assert -LIMITS[dtype_of(expr)] <= value < LIMITS[dtype_of(expr)]
        return value
    if name == "Select":
        condition, yes, no = (evaluate(part, values) for part in (expr.condition, expr.true_value, expr.false_value))
        return yes if condition else no
    value = OPERATORS[name](evaluate(expr.a, values), evaluate(expr.b, values))
    assert -(2**63) <= value < 2**63
    return value


def dtype_of(expr):
    return str(expr.dtype if hasattr(expr, "dtype") else expr.ty.dtype)


def arguments(func, launch, core, **sizes):
    """The values of the parameters that a core gets for one launch."""
    values = runtime_args(func, {}, launch, **sizes)
    positions = core_program_attrs(func)[launch]
    table = {name: int(values.per_core[name][core]) for name in positions if name in values.per_core}
    table |= {name: int(values.common[name]) for name in positions if name in values.common}
    assert table.keys() == positions.keys()
    return {hash(func.params[positions[name]]): value for name, value in table.items()}


def turns(func, launch, core, **sizes):
    """The values of the grid's variables, by name, of each turn of a core."""
    values = arguments(func, launch, core, **sizes)
    loop = loops(func)[launch]
    for turn in range(evaluate(loop.extent, values)):
        values[hash(loop.loop_var)] = turn
        names = {}
        for stmt in loop.body.seq:
            if not isinstance(stmt, tirx.Bind) or type(stmt.value).__name__ == "Call":
                break
            names[stmt.var.name] = values[hash(stmt.var)] = evaluate(stmt.value, values)
        yield names


def cells_of_cores(func, launch=0, **sizes):
    """The cells that every core runs, in its order."""
    num_cores = launch_attrs(func)[launch]["tt_num_cores"]
    return [[(t["bx"], t["by"], t["bz"]) for t in turns(func, launch, core, **sizes)] for core in range(num_cores)]


def inputs_of(schedule):
    return {
        "device": "blackhole_p150" if max(max(c[2], c[3]) for c in schedule["cores"]) > 7 else None,
        "cores": schedule["cores"],
        "core_order": schedule["core_order"],
        "schedule_policy": schedule["policy"],
        "schedule_block_size": schedule["block_size"],
        "schedule_order": schedule["order"],
        "swizzle_panel": schedule["panel"],
    }


def expected_cells(schedule):
    cells = oracle.tile_order(schedule["grid"], schedule["order"], schedule["panel"])
    return [[cells[tile] for tile in hand] for hand in oracle.tiles_of_cores(**schedule)]


# Blocks of 4 on 4 cores, the last of 1 or 2 work tiles: a second run of a core that has whole ones too.
TWO_RUNS = {"cores": [[0, 0, 1, 1]], "core_order": "row_major", "policy": "block_cyclic", "block_size": 4}
TWO_RUNS |= {"order": "swizzled_row", "panel": 2}


@given(schedules())
@example({**TWO_RUNS, "grid": (7, 5, 2)})
@settings(max_examples=60)
def test_every_cell_of_every_core(schedule):
    """Each core runs the cells that the oracle deals to it, in the order of their work tiles."""
    func = persistent(copy_kernel(grid=schedule["grid"]), **inputs_of(schedule))
    cells = cells_of_cores(func)
    assert cells == expected_cells(schedule)
    assert sorted(cell for hand in cells for cell in hand) == sorted(
        oracle.tile_order(schedule["grid"], "row_major", 0)
    )


@T.prim_func
def symbolic(a: T.handle, b: T.handle):
    m, n = T.int32(), T.int32()
    A = T.match_buffer(a, (m, n), "float32")
    B = T.match_buffer(b, (m, n), "float32")
    bz = T.launch_thread("blockIdx.z", 3)
    by = T.launch_thread("blockIdx.y", (n + 3) // 4)
    bx = T.launch_thread("blockIdx.x", m)
    T.evaluate(bz)
    B[bx, by * 4] = A[bx, by * 4]


@given(schedules())
@example({**TWO_RUNS, "grid": (7, 5, 3)})
@settings(max_examples=30)
def test_every_cell_of_a_symbolic_grid(schedule):
    x, y, _ = schedule["grid"]
    schedule["grid"] = (x, y, 3)
    func = persistent(symbolic, **inputs_of(schedule))
    assert cells_of_cores(func, m=x, n=4 * y - 1) == expected_cells(schedule)


@pytest.mark.parametrize("order", ["row_major", "column_major", "swizzled_row", "swizzled_column"])
def test_numbers_beyond_32_bits(order):
    """Only the last core of a huge grid is asked; its ids need 64 bits, its coordinates do not."""
    grid = (2**16, 2**15 - 1, 2**10)
    panel = 7 if order.startswith("swizzled") else None
    func = persistent(copy_kernel(grid=grid), schedule_order=order, swizzle_panel=panel)
    first, _ = launch_attrs(func)[0]["tt_tiles_per_core"][-1]
    assert first > 2**32
    names = next(turns(func, 0, 63))
    cell = tile_coordinates(grid, [first], schedule_order=order, swizzle_panel=panel)
    assert names == {"tile_id": first, **dict(zip(("bx", "by", "bz"), cell[0].tolist(), strict=True))}


# ---- Every launch form ----------------------------------------------------------------------------------------------


class CoreInterpreter(Interpreter):
    """Runs one core; what it touches is noted under the cells that the oracle gives it."""

    def __init__(self, func, values, cells):
        super().__init__(func)
        self.env.update(values)
        self.cells_of_turns = iter(cells)

    def loop(self, node):
        if "tt_launch" not in node.annotations:
            return super().loop(node)
        for turn in range(self.expr(node.extent)):
            self.env[hash(node.loop_var)] = turn
            self.block = dict(zip("xyz", next(self.cells_of_turns), strict=True))
            self.stmt(node.body)
        return None


def touched_by_cores(func, grid):
    """What all cores touch, with 3 x 2 of them."""
    hands = expected_cells({**SMALL, "grid": grid})
    out = {}
    for core, cells in enumerate(hands):
        for key, elements in CoreInterpreter(func, arguments(func, 0, core), cells).run().items():
            out.setdefault(key, set()).update(elements)
    return out


SMALL = {"cores": [[0, 0, 2, 1]], "core_order": "row_major", "policy": "block_cyclic", "block_size": 4}
SMALL |= {"order": "row_major", "panel": None}
UNDERSTOOD = [form for form in FORMS if form.understood]
# What the cells of these touch, where the interpreter does not know which cell a block or a scope is.
CELLS = {
    "tilelang_persistent": lambda x, y, _: (x, y),
    "tilelang_kernel_after_materialize_kernel_launch_serial": lambda x, y, z: (x, y, z),
    "cluster_and_cta_id": lambda x, *_: (x // 2, x % 2),
    "cta_id_deferred": lambda x, *_: (x,),
}

# After these passes the bodies have flat views of their tensors, which the interpreter does not know.
FLAT = ("annotate_device_regions", "after_lower_tirx_and_unify_thread_binding", "after_lower_tirx_opaque")


def kernel_of(form):
    func = form.build()[form.kernel]
    return specialize(func, m=70) if "symbolic" in form.name else func


def touched_by_cells(form, func):
    """What every cell touches. Where it is said by hand, an element of one parameter is copied to the other."""
    if form.name not in CELLS:
        return touched(func)
    cells = oracle.tile_order(form.grid, "row_major", None)
    copied = [(0, READ), (1, WRITE)]
    return {(cell, *access): {CELLS[form.name](*cell)} for cell in cells for access in copied}


def tags(func):
    """The thread tags that a function binds, in program order, and the numbers of its TIRx scopes."""
    for stmt in statements(func.body):
        for iter_var in (getattr(stmt, "thread_binding", None), getattr(stmt, "node", None)):
            if hasattr(iter_var, "thread_tag"):
                yield str(iter_var.thread_tag)
        if hasattr(stmt, "def"):
            yield int(getattr(stmt, "def").scope)


def is_inner(tag):
    """Whether a tag or a scope says something about threads in a cell."""
    return tag > 2 if isinstance(tag, int) else not tag.startswith(("blockIdx.", "clusterCtaIdx."))


def is_well_formed(func):
    return tirx.analysis.verify_well_formed(func, assert_mode=False)


@pytest.mark.parametrize("form", UNDERSTOOD, ids=str)
def test_form(form):
    func = scheduled(kernel_of(form), **inputs_of(SMALL))
    if "clusterid" in func.script():  # as the host lowers clusters
        with pytest.raises(errors.NotCoveredError, match="TT235"):
            grid_to_persistent(func)
        return
    out = grid_to_persistent(func)
    assert list(loops(out)) == [0]
    assert list(tags(out)) == [tag for tag in tags(func) if is_inner(tag)]
    assert is_well_formed(out) or not is_well_formed(func)
    assert grid_to_persistent(out).same_as(out)
    if form.name.endswith(FLAT):
        return
    schedule = launch_attrs(func)[0]
    grid = tuple(schedule[f"tt_grid_{axis}"] for axis in "xyz")
    assert touched_by_cores(out, grid) == touched_by_cells(form, func)


@pytest.mark.parametrize("form", SEVERAL_FORMS, ids=str)
def test_several_launches(form):
    func = form.build()["main"]
    func = scheduled(specialize(func, m=70) if "sizes" in form.name else func, **inputs_of(SMALL))
    if form.name == "sibling_blocks":
        with pytest.raises(errors.NotCoveredError, match=r"TT231: .*buffer `B` is allocated in DRAM outside"):
            grid_to_persistent(func)
        return
    out = grid_to_persistent(func)
    assert list(loops(out)) == [0, 1]
    assert list(tags(out)) == [tag for tag in tags(func) if is_inner(tag)]
    assert is_well_formed(out) or not is_well_formed(func)
    positions = [position for launch in core_program_attrs(out) for position in launch.values()]
    assert positions == list(range(2, len(out.params)))
    names = [str(param.name) for param in out.params]
    assert len(set(names)) == len(names)


# ---- Before and after -----------------------------------------------------------------------------------------------


def by_hand(func, names, indices, cell, around, tile_of):
    """The core program of a function, written down with the host's own constructors.

    ``indices`` are pairs of a variable and how its value follows from the work tile, ``cell`` is what a work tile does,
    and ``around`` what stands around the loop; ``tile_of`` is the work tile of a turn, from the arguments.
    """
    params = [tirx.Var(name, "uint32") for name in names]
    wide = {name: param.astype("int64") for name, param in zip(names, params, strict=True)}
    i, tile_id = tirx.Var("i", "int64"), tirx.Var("tile_id", "int64")
    binds = [tirx.Bind(var, value(tile_id).astype(str(dtype_of(var)))) for var, value in indices]
    cells = cell.seq if isinstance(cell, tirx.SeqStmt) else [cell]
    body = tirx.SeqStmt([tirx.Bind(tile_id, tile_of(wide, i)), *binds, *cells])
    zero = tirx.IntImm("int64", 0)
    loop = tirx.For(i, zero, wide["count"], tirx.ForKind.SERIAL, body, annotations={"tt_launch": 0})
    first = len(func.params)
    attrs = {**func.attrs, "tt_core_program": [[[name, first + k] for k, name in enumerate(names)]]}
    buffer_map = {"buffer_map": func.buffer_map} if hasattr(func, "buffer_map") else {}
    attrs = tvm.ir.make_node("ir.DictAttrs", **attrs)
    return tirx.PrimFunc([*func.params, *params], around(loop), func.ret_type, attrs=attrs, **buffer_map)


def in_root(func, loop):
    """The root block of a function around another body."""
    realize, block = func.body, func.body.block
    before = [block.iter_vars, block.reads, block.writes, block.name_hint]
    after = [block.init, block.alloc_buffers, block.match_buffers, block.annotations]
    return type(realize)(realize.iter_values, realize.predicate, type(block)(*before, loop, *after))


NAMES = ["start_id", "count", "grid_x", "grid_y"]
ROW_MAJOR = {"bx": lambda t: t % 6, "by": lambda t: t % 24 // 6, "bz": lambda t: t // 24}


def check_structure(func, names, indices, cell, around=lambda loop: loop, tile_of=lambda wide, i: wide["start_id"] + i):
    out = grid_to_persistent(func)
    tvm.ir.assert_structural_equal(out, by_hand(func, names, indices, cell, around, tile_of))
    kept = {hash(stmt) for stmt in statements(out.body)}
    assert all(hash(stmt) in kept for stmt in statements(cell) if not isinstance(stmt, tirx.SeqStmt))


def test_structure_of_launch_thread():
    func = scheduled(launch_forms.launch_thread()["main"])
    bx, by, bz = func.body, func.body.body, func.body.body.body
    indices = [(stmt.node.var, ROW_MAJOR[stmt.node.var.name]) for stmt in (bx, by, bz)]
    check_structure(func, [*NAMES, "grid_z"], indices, bz.body)


def test_structure_of_thread_binding_loops():
    """The nest is by, bz, bx."""
    func = scheduled(launch_forms.thread_binding_loops()["main"])
    nest = [func.body, func.body.body, func.body.body.body]
    indices = [(loop.loop_var, ROW_MAJOR[loop.loop_var.name]) for loop in nest]
    check_structure(func, [*NAMES, "grid_z"], indices, nest[-1].body)


def test_structure_of_a_symbolic_grid():
    func = scheduled(symbolic)
    z, y, x = func.body, func.body.body, func.body.body.body
    out = grid_to_persistent(func)
    wide = dict(zip([*NAMES, "grid_z"], [param.astype("int64") for param in list(out.params)[2:]], strict=True))
    plane = wide["grid_x"] * wide["grid_y"]
    values = [
        (z.node.var, lambda t: t // plane),
        (y.node.var, lambda t: t % plane // wide["grid_x"]),
        (x.node.var, lambda t: t % plane % wide["grid_x"]),
    ]
    (loop,) = loops(out).values()
    for (var, value), bind in zip(values, loop.body.seq[1:4], strict=True):
        assert bind.var.same_as(var)
        tvm.ir.assert_structural_equal(bind.value, value(loop.body.seq[0].var).astype("int32"), map_free_vars=True)
    assert loop.body.seq[4].same_as(x.body.seq[0])


def test_structure_with_runs():
    """Blocks of 5 on 4 cores, of 72 work tiles: the last is of 2, and a second run of its core."""
    func = scheduled(
        launch_forms.launch_thread()["main"],
        cores=[[0, 0, 1, 1]],
        schedule_policy="block_cyclic",
        schedule_block_size=5,
    )
    runs = ["run_length", "run_stride", "run_repeat"]
    names = [*NAMES, "grid_z", *runs, "run_start_2", *(f"{name}_2" for name in runs)]

    def in_run(wide, start, suffix, turn):
        length = tirx.max(wide[f"run_length{suffix}"], tirx.IntImm("int64", 1))
        return wide[start] + turn // length * wide[f"run_stride{suffix}"] + turn % length

    def tile(wide, i):
        first = wide["run_length"] * wide["run_repeat"]
        second = i + first * tirx.IntImm("int64", -1)
        return tirx.Select(i < first, in_run(wide, "start_id", "", i), in_run(wide, "run_start_2", "_2", second))

    bx, by, bz = func.body, func.body.body, func.body.body.body
    indices = [(stmt.node.var, ROW_MAJOR[stmt.node.var.name]) for stmt in (bx, by, bz)]
    check_structure(func, names, indices, bz.body, tile_of=tile)


def test_structure_of_bound_blocks():
    """A kernel of a schedule: the thread's loop stays, and so do the blocks."""
    func = scheduled(launch_forms.schedule_bind_y_outer()["main"])
    by = func.body.block.body
    bx = by.body
    indices = [(by.loop_var, ROW_MAJOR["by"]), (bx.loop_var, ROW_MAJOR["bx"])]
    check_structure(func, NAMES, indices, bx.body, lambda loop: in_root(func, loop))


if host.ON_TILELANG:
    import tilelang.language as L

    def test_structure_of_a_tilelang_kernel():
        func = scheduled(launch_forms.tilelang_kernel()["main"])
        nest = [func.body.block.body]
        nest += [nest[0].body, nest[0].body.body]
        indices = [(loop.loop_var, ROW_MAJOR[loop.loop_var.name]) for loop in nest]
        check_structure(func, [*NAMES, "grid_z"], indices, nest[-1].body, lambda loop: in_root(func, loop))

    def test_structure_of_a_tilelang_kernel_without_a_grid():
        """The statements that name its threads go into the loop; the number of a work tile is of no use."""
        out = persistent(launch_forms.tilelang_kernel_rank0()["main"])
        loop = out.body.block.body
        kinds = [type(stmt).__name__ for stmt in loop.body.seq]
        assert kinds == ["Bind", "Bind", "Bind", "SBlockRealize"]
        assert [len(list(hand)) for hand in (turns_of(out, 0), turns_of(out, 1))] == [1, 0]

    def turns_of(func, core):
        return range(evaluate(loops(func)[0].extent, arguments(func, 0, core)))

    def test_no_swizzle_stays():
        """The order is in the schedule; the host would apply it once more."""
        func = scheduled(launch_forms.tilelang_kernel_with_swizzle()["main"])
        assert "swizzle" in func.script()
        assert "threadblock_swizzle_pattern" not in grid_to_persistent(func).script()
        cells = [(t["bx"], t["by"], 0) for core in range(64) for t in turns(grid_to_persistent(func), 0, core)]
        assert cells == oracle.tile_order((6, 4, 1), "swizzled_row", 8)


# ---- T.Persistent ---------------------------------------------------------------------------------------------------

if host.ON_TILELANG:

    @given(
        st.lists(st.integers(1, 6), min_size=1, max_size=3),
        st.integers(1, 9),
        st.integers(1, 4),
        schedules(),
    )
    @settings(max_examples=20)
    def test_persistent(domain, wave, group_size, schedule):
        """Every cell of the domain once, in the schedule's order, whatever the waves have been."""
        rank = len(domain)

        @L.prim_func
        def main(A: L.Tensor(tuple(domain), "int32")):
            with L.Kernel(wave, threads=32) as block:
                if rank == 1:
                    for v0 in L.Persistent(domain, wave, block, group_size=group_size):
                        A[v0] = 1
                elif rank == 2:
                    for v0, v1 in L.Persistent(domain, wave, block, group_size=group_size):
                        A[v0, v1] = 1
                else:
                    for v0, v1, v2 in L.Persistent(domain, wave, block, group_size=group_size):
                        A[v0, v1, v2] = 1

        schedule["grid"] = (*domain, 1, 1)[:3]
        out = persistent(main, **inputs_of(schedule))
        assert is_well_formed(out)
        assert [type(stmt).__name__ for stmt in statements(out.body)].count("For") == 1
        assert "IfThenElse" not in [type(stmt).__name__ for stmt in statements(out.body)]
        for core, cells in enumerate(expected_cells(schedule)):
            found = [tuple(names[f"v{k}"] for k in range(rank)) for names in turns(out, 0, core)]
            assert found == [cell[:rank] for cell in cells]
            elements = CoreInterpreter(out, arguments(out, 0, core), cells).run()
            assert elements == {(cell, 0, WRITE): {cell[:rank]} for cell in cells}

    def test_persistent_beside_a_condition_on_its_wave():
        """What is no condition of the loop's own may not depend on the wave."""

        @L.prim_func
        def main(A: L.Tensor((6,), "int32")):
            with L.Kernel(2, threads=32) as block:
                for v0 in L.Persistent([6], 2, block):
                    A[v0] = 1

        (loop,) = (stmt for stmt in statements(main.body) if isinstance(stmt, tirx.For) and stmt.thread_binding is None)
        func = replaced(main, lambda stmt: tirx.IfThenElse(loop.loop_var < 2, stmt, None))
        with pytest.raises(errors.GridError, match=r"TT214: .*the kernel uses `w` beside it"):
            persistent(func)

    def test_persistent_keeps_the_conditions_of_the_kernel():
        @L.prim_func
        def main(A: L.Tensor((6, 4), "int32"), n: L.int32):
            with L.Kernel(5, threads=32) as block:
                for v0, v1 in L.Persistent([6, 4], 5, block):
                    if v1 < n:
                        A[v0, v1] = 1

        out = persistent(main)
        (condition,) = (stmt for stmt in statements(out.body) if isinstance(stmt, tirx.IfThenElse))
        assert [condition.condition.a.name, condition.condition.b.name] == ["v1", "n"]

    def test_persistent_keeps_a_condition_on_memory():
        @L.prim_func
        def main(A: L.Tensor((8,), "int32")):
            with L.Kernel(2, threads=32) as block:
                for v0 in L.Persistent([8], 2, block):
                    if A[v0] < 3:
                        A[v0] = 1

        out = persistent(main)
        (condition,) = (stmt for stmt in statements(out.body) if isinstance(stmt, tirx.IfThenElse))
        assert isinstance(condition.condition.a, tirx.BufferLoad)

    def test_persistent_with_an_alternative():
        """A condition of the kernel's own that looks like the loop's, with something else to do."""

        @L.prim_func
        def main(A: L.Tensor((6,), "int32")):
            with L.Kernel(2, threads=32) as block:
                for v0 in L.Persistent([6], 2, block):
                    if v0 < 6:
                        A[v0] = 1
                    else:
                        A[0] = 2

        out = persistent(main)
        (condition,) = (stmt for stmt in statements(out.body) if isinstance(stmt, tirx.IfThenElse))
        assert condition.else_case is not None

    def test_what_stands_beside_a_persistent_loop_is_executed_for_each_work_tile():
        @L.prim_func
        def main(A: L.Tensor((6,), "int32"), B: L.Tensor((1,), "int32")):
            with L.Kernel(2, threads=32) as block:
                L.atomic_add(B[0], 1)
                for v0 in L.Persistent([6], 2, block):
                    A[v0] = 1

        (loop,) = loops(persistent(main)).values()
        assert "atomic" in str(loop.body)

    @pytest.mark.parametrize("leave", ["loop_break", "break_loop", "continue_loop"])
    def test_a_persistent_loop_that_is_left(leave):
        @L.prim_func
        def main(A: L.Tensor((6,), "int32")):
            with L.Kernel(2, threads=32) as block:
                for v0 in L.Persistent([6], 2, block):
                    A[v0] = 1

        func = replaced(main, lambda stmt: tirx.SeqStmt([stmt, tirx.Evaluate(leaving(leave))]))
        with pytest.raises(errors.NotCoveredError, match=rf"TT232: .*{leave} ends a grid cell early"):
            persistent(func)


# ---- What is refused ------------------------------------------------------------------------------------------------


def leaving(name):
    """A call that leaves a loop, or a cell."""
    return tirx.call_intrin("int32", tvm.ir.Op.get(f"{'tl' if name == 'loop_break' else 'tirx'}.{name}"))


def replaced(func, change):
    """The function with every store changed."""
    return func.with_body(tirx.stmt_functor.ir_transform(func.body, None, change, ["tirx.BufferStore"]))


def one_launch(body, *params, **attrs):
    """`body(bx)` launched on 4 cells, between statements that are given."""
    bx = tirx.Var("bx", "int32")
    tag = tirx.IterVar(None, bx, tirx.IterVar.ThreadIndex, "blockIdx.x")
    loop = tirx.For(bx, 0, 4, tirx.ForKind.THREAD_BINDING, body(bx), thread_binding=tag, **attrs)
    return lambda *before: tirx.PrimFunc([*params], tirx.SeqStmt([*before, loop]) if before else loop).with_attr(
        "global_symbol", "main"
    )


def tensor(name="A"):
    return tirx.decl_buffer((4,), "int32", name=name)


def store(buffer, index, value=1):
    return tirx.BufferStore(buffer, tirx.IntImm("int32", value), [index])


OUTSIDE = {
    "a store to `A`": lambda A: store(A, 0),
    "a load from `A`": lambda A: tirx.Bind(tirx.Var("v", "int32"), tirx.BufferLoad(A, [0])),
    "a call of tirx.call_extern": lambda A: tirx.Evaluate(tirx.call_extern("int32", "start")),
    "a call of tirx.tvm_struct_get": lambda A: tirx.Evaluate(
        tirx.call_intrin("int32", "tirx.tvm_struct_get", A.data, 0, 0)  # reads, and changes nothing
    ),
    "a call of tirx.tvm_storage_sync": lambda A: tirx.Evaluate(
        tirx.call_intrin("int32", "tirx.tvm_storage_sync", "global")
    ),
}


@pytest.mark.parametrize("found", OUTSIDE)
def test_work_outside(found):
    A = tensor()
    func = one_launch(lambda bx: store(A, bx), A)(OUTSIDE[found](A))
    check_rejects(func, persistent, code="TT230", match=f"{found} stands outside of the launches")


def test_harmless_statements_outside_stay():
    @T.prim_func
    def main(A: T.Buffer((4,), "float32"), n: T.int32):
        assert n > 0, "n is a count"
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            if bx < n:
                A[bx] = T.float32(1)

    func = scheduled(main)
    out = grid_to_persistent(func)
    checks = [stmt for stmt in statements(func.body) if isinstance(stmt, tirx.AssertStmt)]
    assert [stmt.same_as(checks[0]) for stmt in statements(out.body) if isinstance(stmt, tirx.AssertStmt)] == [True]


def test_a_branch_around_a_launch():
    """What it depends on is the same for every core; it may not be memory."""
    A, n = tensor(), tirx.Var("n", "int32")
    launch = one_launch(lambda bx: store(A, bx), A, n)
    for condition, problem in [(n > 0, None), (tirx.BufferLoad(A, [0]) > 0, "a load from `A` stands outside")]:
        func = launch()
        func = func.with_body(tirx.IfThenElse(condition, func.body, None))
        if problem is None:
            out = persistent(func)
            assert out.body.then_case.same_as(loops(out)[0])
        else:
            check_rejects(func, persistent, code="TT230", match=problem)


def test_memory_on_the_chip_outside_stays():
    @T.prim_func
    def main(A: T.Buffer((4,), "float32")):
        B = T.alloc_buffer((4,), "float32", scope="shared")
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            B[bx] = T.float32(1)
            A[bx] = B[bx]

    assert list(loops(persistent(main))) == [0]


def test_all_that_is_outside_is_listed():
    A = tensor()
    with pytest.raises(errors.NotCoveredError, match=r"(?s)TT230: .*a store to `A`.*TT230: .*a load from `A`"):
        persistent(one_launch(lambda bx: store(A, bx), A)(OUTSIDE["a store to `A`"](A), OUTSIDE["a load from `A`"](A)))


@pytest.mark.parametrize("name", ["thread_return", "break_loop", "continue_loop"])
def test_cells_that_end_early(name):
    A = tensor()
    cell = lambda bx: tirx.SeqStmt([tirx.Evaluate(leaving(name)), store(A, bx)])  # noqa: E731
    check_rejects(one_launch(cell, A), persistent, code="TT232", match=rf"tirx\.{name} ends a grid cell early")


LEAVE = [lambda: tirx.Evaluate(leaving("break_loop"))]
if hasattr(tirx, "Break"):
    LEAVE += [tirx.Break, tirx.Continue]

    @pytest.mark.parametrize("jump", [tirx.Break, tirx.Continue])
    def test_cells_that_are_left_by_a_jump(jump):
        A = tensor()
        func = one_launch(lambda bx: tirx.SeqStmt([jump(), store(A, bx)]), A)
        check_rejects(func, persistent, code="TT232", match="a jump ends a grid cell early")


@pytest.mark.parametrize("leave", LEAVE)
def test_a_loop_in_a_cell_may_be_left(leave):
    A = tensor()
    inner = lambda bx: tirx.For(  # noqa: E731
        tirx.Var("j", "int32"), 0, 3, tirx.ForKind.SERIAL, tirx.SeqStmt([store(A, bx), leave()])
    )
    assert list(loops(persistent(one_launch(inner, A)()))) == [0]


@pytest.mark.parametrize("change", [{"min": 1}, {"step": 2}], ids=str)
def test_loops_that_do_not_count_from_0_by_1(change):
    A, bx = tensor(), tirx.Var("bx", "int32")
    tag = tirx.IterVar(None, bx, tirx.IterVar.ThreadIndex, "blockIdx.x")
    step = {"step": tirx.IntImm("int32", change["step"])} if "step" in change else {}
    loop = tirx.For(bx, change.get("min", 0), 2, tirx.ForKind.THREAD_BINDING, store(A, bx), thread_binding=tag, **step)
    message = "loop over `bx` does not count from 0 by 1"
    check_rejects(tirx.PrimFunc([A], loop), persistent, code="TT233", match=message)


def test_a_register_of_the_hardware():
    A = tensor()
    read = lambda bx: store(A, tirx.call_extern("int32", "sreg", "ctaid.x") + bx)  # noqa: E731
    message = r"tirx\.call_extern of ctaid\.x asks the hardware"
    check_rejects(one_launch(read, A), persistent, code="TT235", match=message)


if host.HAS_DEVICE_SCOPES:

    def test_places_in_clusters():
        """Which cluster a cell is in, and where, by axis."""

        @T.prim_func
        def main(A: T.Buffer((6, 4, 3, 2, 2, 2), "float32")):
            T.device_entry()
            bx, by = T.cta_id([6, 4])
            px, py = T.cluster_id([3, 2])
            cx, cy = T.cta_id_in_cluster([2, 2])
            T.thread_id([32])
            A[bx, by, px, py, cx, cy] = T.float32(1)

        out = persistent(main, **inputs_of(SMALL))
        found = touched_by_cores(out, (6, 4, 1))
        cells = oracle.tile_order((6, 4, 1), "row_major", None)
        assert found == {((x, y, z), 0, WRITE): {(x, y, x // 2, y // 2, x % 2, y % 2)} for x, y, z in cells}

    def test_a_cluster_of_fewer_axes_than_its_number_has():
        @T.prim_func
        def main(A: T.Buffer((6, 4), "float32")):
            T.device_entry()
            bx, by = T.cta_id([6, 4])
            _, py = T.cluster_id([3, 4])
            cx = T.cta_id_in_cluster([2])
            T.thread_id([32])
            A[bx, by] = T.Cast("float32", cx + py)

        with pytest.raises(errors.NotCoveredError, match=r"TT234: .*the cluster does not say"):
            persistent(main)

    def test_a_cluster_of_several_axes_whose_cells_all_lie_on_x():
        """Without a grid of its own, or with one that only follows from the cluster."""

        @T.prim_func
        def alone(A: T.Buffer((12, 2), "float32")):
            T.device_entry()
            cluster = T.cluster_id([12])
            cx, cy = T.cta_id_in_cluster([2, 2])
            T.thread_id([32])
            A[cluster, cx] = T.Cast("float32", cy)

        @T.prim_func
        def deferred(A: T.Buffer((12, 2), "float32")):
            T.device_entry()
            cluster = T.cluster_id([12])
            cx, cy = T.cta_id_in_cluster([2, 2])
            bx = T.cta_id()
            T.thread_id([32])
            A[cluster, cx] = T.Cast("float32", cy + bx)

        for func in (alone, deferred):
            with pytest.raises(errors.NotCoveredError, match=r"TT234: .*the cluster does not say"):
                persistent(func)

    def test_pairs_of_cells():
        @T.prim_func
        def main(A: T.Buffer((6, 2), "float32")):
            T.device_entry()
            bx = T.cta_id([6])
            T.cta_id_in_cluster([2])
            half = T.cta_id_in_pair()
            T.thread_id([32])
            A[bx, half] = T.float32(1)

        with pytest.raises(errors.NotCoveredError, match=r"TT234: .*cta_id_in_pair does not say"):
            persistent(main)

    def test_a_symbolic_cluster():
        @T.prim_func
        def main(A: T.Buffer((6, 4), "float32"), n: T.int32):
            T.device_entry()
            bx, by = T.cta_id([6, 4])
            cx = T.cta_id_in_cluster([n])
            T.thread_id([32])
            A[bx, by] = T.Cast("float32", cx)

        with pytest.raises(errors.NotCoveredError, match="TT234"):
            persistent(main)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda func: func.without_attr("tt_runtime_args_schema"), "TT109"),
        (lambda func: func.with_attr("tt_num_tiles", 71), "TT701"),
        (lambda func: func.with_attr("tt_schedule_policy", "strided"), "TT701"),
        (lambda func: apply_tt_defaults(func, schedule_policy="strided"), "TT109"),
    ],
)
def test_a_schedule_that_is_missing_or_stale(change, code):
    check_rejects(change(scheduled(launch_forms.launch_thread()["main"])), grid_to_persistent, code=code)


def test_refused_functions_stay_as_they_are():
    A = tensor()
    mod = scheduled(tvm.IRModule({"main": one_launch(lambda bx: store(A, bx), A)(store(A, 0))}))
    before = mod["main"]
    check_rejects(mod, grid_to_persistent, code="TT230", at="A[0] = 1")
    assert mod["main"].same_as(before)


# ---- The function around the loop -----------------------------------------------------------------------------------


def test_attributes_that_state_a_launch_go():
    func = bare((3, 2, 1), buffers=[("A", (4,), "int32")])
    func = func.with_attrs(
        {"thread_extent": {"blockIdx.x": 3, "blockIdx.y": 2}, "tirx.kernel_launch_params": ["blockIdx.x"]}
    )
    func = scheduled(func.with_attr("cluster_dims", [1, 1, 1]))
    out = grid_to_persistent(func)
    gone = set(func.attrs.keys()) - set(out.attrs.keys())
    stated = {"tl_grid_x", "tl_grid_y", "tl_grid_z", "thread_extent", "cluster_dims", "tirx.kernel_launch_params"}
    assert gone == stated
    assert set(out.attrs.keys()) - set(func.attrs.keys()) == {"tt_core_program"}
    assert out.body.same_as(loops(out)[0])
    assert sum(evaluate(out.body.extent, arguments(out, 0, core)) for core in range(64)) == 6


def test_names_that_are_taken():
    @T.prim_func
    def main(a: T.handle, count: T.int32, grid_x_1: T.int32):
        grid_x = T.int32()
        A = T.match_buffer(a, (grid_x,), "float32")
        bx = T.launch_thread("blockIdx.x", grid_x)
        if bx < count + grid_x_1:
            A[bx] = T.float32(1)

    out = persistent(main)
    assert [str(param.name) for param in out.params][1:] == [
        "count", "grid_x_1", "start_id", "count_1", "grid_x_2", "grid_y",
    ]  # fmt: skip
    assert core_program_attrs(out) == [{"start_id": 3, "count": 4, "grid_x": 5, "grid_y": 6}]


def test_core_programs_stay_as_they_are():
    mod = tvm.IRModule({"main": copy_kernel(), "helper": tirx.PrimFunc([], tirx.Evaluate(0))})
    mod = grid_to_persistent(infer(mod))
    before = mod["main"]
    inputs = {"cores": [[0, 0, 1, 1]]}
    passes = [transform.ApplyTTDefaults(**inputs), transform.InferDefaultTTSchedule(), transform.InferDefaultTTShard()]
    for pass_ in [*passes, transform.VerifyTTMetadata(), transform.GridToPersistent()]:
        assert pass_(mod)["main"].same_as(before)
    assert grid_to_persistent(before).same_as(before)
    assert tt_attrs(mod["helper"]) == {}


@pytest.mark.parametrize(
    "refuse",
    [apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard, verify_tt_metadata, make_plan],
    ids=lambda function: function.__name__,
)
def test_core_programs_are_no_kernels(refuse):
    out = grid_to_persistent(infer(copy_kernel()))
    check_rejects(out, refuse, code="TT201", match=r"`main` \(a core program\)")


def test_a_module_without_kernels():
    check_rejects(tirx.PrimFunc([], tirx.Evaluate(0)), grid_to_persistent, code="TT201", match=r"`main` \(PrimFunc\)")


def test_core_program_attrs_of_a_kernel():
    with pytest.raises(errors.MissingInputError, match=r"run tilelang\.tt\.grid_to_persistent first"):
        core_program_attrs(infer(copy_kernel()))


@pytest.mark.parametrize("policy", ["contiguous", "block_cyclic"])
def test_round_trips(policy):
    out = persistent(
        copy_kernel(grid=(6, 4, 3)), schedule_policy=policy, schedule_block_size=5 if policy == "block_cyclic" else None
    )
    for read in (tvm.script.from_source(out.script()), tvm.ir.load_json(tvm.ir.save_json(out))):
        tvm.ir.assert_structural_equal(read, out)
        assert core_program_attrs(read) == core_program_attrs(out)
        assert grid_to_persistent(read).same_as(read)


if host.HAS_SPANS:

    def test_spans():
        func = scheduled(launch_forms.launch_thread()["main"])
        out = grid_to_persistent(func)
        (loop,) = loops(out).values()
        assert func.body.span is not None
        assert loop.span.same_as(func.body.span)
        assert all(stmt.span.same_as(func.body.span) for stmt in list(loop.body.seq)[:-1])
        assert loop.body.seq[-1].same_as(func.body.body.body.body)
        assert str(out.span) == str(func.span)


@pytest.mark.deep
def test_deep_bodies():
    """As deep as every host can build and free."""
    A = tensor()

    def cell(bx):
        body = store(A, bx)
        for depth in range(3000):
            body = tirx.For(tirx.Var(f"i{depth}", "int32"), 0, 2, tirx.ForKind.SERIAL, body)
        return body

    assert list(grid_to_persistent(scheduled(one_launch(cell, A)())).params)
