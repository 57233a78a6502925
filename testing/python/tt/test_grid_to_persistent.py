"""The pass GridToPersistent: before and after, and every core's turns against the cells that an oracle deals out."""

import pytest
from hypothesis import given, settings
from support import oracle
from support.host import T
from support.infer import copy_kernel
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
    launch_attrs,
    runtime_args,
    specialize,
    tile_coordinates,
)


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


@given(schedules())
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
@settings(max_examples=50)
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
    if form.name.endswith("annotate_device_regions"):
        return  # flat views of the tensors
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
