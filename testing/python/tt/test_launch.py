"""Finding the launch grid in every form in which hosts write it, and nowhere else."""

import pytest
import tvm
from support import host
from support.infer import bare, copy_kernel, infer
from support.launch_forms import FORMS, REFUSED_FORMS, SEVERAL_FORMS, T
from tvm import tirx

from tilelang.tt import apply_tt_defaults, errors, infer_default_tt_schedule, launch_attrs, schedule_attrs

pytestmark = pytest.mark.stage("reading")

REFUSALS = {
    "extents below 1": (errors.GridError, r"grid extent x \(cluster_id\) is -2; expected at least 1"),
    "several launches by a loop": (errors.MultipleLaunchesError, "the launch stands in a loop, which repeats it"),
    "several launches of which one is in a branch": (
        errors.MultipleLaunchesError,
        "one of several launches stands in a branch, so which of them run is known only at run time",
    ),
    "several launches and one stated grid": (
        errors.MultipleLaunchesError,
        "2 launches in one function, whose attributes state one grid",
    ),
    "a launch in a launch": (errors.MultipleLaunchesError, "the launch stands in another launch"),
    "two extents for one axis": (errors.GridError, None),
    "an extent that is no size": (
        errors.GridError,
        r"grid extent x \(blockIdx.x\) is no size: a size depends on a load from `N`",
    ),
    "a body that is CUDA source": (errors.OpaqueKernelError, r"foreign source text \(code_block_source\)"),
    "a launch axis that is no grid axis": (errors.GridError, r'thread tag "cthread" is not understood'),
}
UNDERSTOOD = [form for form in FORMS if form.understood]
ERASED = [form for form in FORMS if not form.understood]


def grid_of(func):
    attrs = schedule_attrs(infer_default_tt_schedule(apply_tt_defaults(func)))
    return attrs["tt_grid_x"], attrs["tt_grid_y"], attrs["tt_grid_z"]


def refuse(func, error, message):
    with pytest.raises(error, match=message):
        apply_tt_defaults(func)


@pytest.mark.parametrize("form", UNDERSTOOD, ids=str)
def test_form(form):
    mod = form.build()
    out = infer_default_tt_schedule(apply_tt_defaults(mod))
    attrs = out[form.kernel].attrs
    assert tuple(attrs[f"tt_grid_{axis}"] for axis in "xyz") == form.grid
    # Only the kernel gets attributes: hosts put others beside it.
    for var, func in mod.functions.items():
        if var.name_hint != form.kernel:
            assert out[var.name_hint].same_as(func)
    assert out[form.kernel].body.same_as(mod[form.kernel].body)


@pytest.mark.parametrize("form", SEVERAL_FORMS, ids=str)
def test_several_launches(form):
    out = infer_default_tt_schedule(apply_tt_defaults(form.build()))["main"]
    found = [tuple(launch[f"tt_grid_{axis}"] for axis in "xyz") for launch in launch_attrs(out)]
    assert found == list(form.grids)


def test_one_launch_less():
    """Of the two forms of a schedule only the one that applies is there."""
    several = infer_default_tt_schedule(apply_tt_defaults(SEVERAL_FORMS[0].build()))["main"]
    one = copy_kernel()
    stale = several.attrs["tt_launches"]
    found = infer_default_tt_schedule(apply_tt_defaults(one).with_attr("tt_launches", stale))
    assert "tt_launches" not in found.attrs
    again = infer_default_tt_schedule(several.with_attrs({"tt_num_tiles": 3, "tt_tiles_per_core": [[0, 3]]}))
    tvm.ir.assert_structural_equal(again, several)


if ERASED:

    @pytest.mark.parametrize("form", ERASED, ids=str)
    def test_erased_launch(form):
        message = rf"no function has a launch grid; found `{form.kernel}` \(PrimFunc\)"
        refuse(form.build(), errors.NoKernelError, message)


@pytest.mark.parametrize("form", REFUSED_FORMS, ids=str)
def test_refused_form(form):
    mod = form.build()
    before = mod[form.kernel]
    error, message = REFUSALS[form.why]
    refuse(mod, error, message)
    assert mod[form.kernel].same_as(before)


def test_every_function_of_a_module():
    @T.prim_func
    def helper(A: T.Buffer((4,), "float32")):
        for i in range(4):
            A[i] = T.float32(0)

    mod = tvm.IRModule({"one": copy_kernel(grid=(3, 2, 1)), "helper": helper, "two": copy_kernel(grid=(5, 1, 2))})
    mod = mod.with_attrs({"owner": "me", "answer": 42})
    out = infer_default_tt_schedule(apply_tt_defaults(mod))
    assert [out[name].attrs["tt_num_tiles"] for name in ("one", "two")] == [6, 10]
    assert out["helper"].same_as(mod["helper"])
    assert (out.attrs["owner"], out.attrs["answer"]) == ("me", 42)
    assert {var.name_hint for var in out.functions} == {"one", "helper", "two"}


@pytest.mark.parametrize(
    ("attrs", "grid"),
    [
        ((6, 4, 3), (6, 4, 3)),
        ((6, 4, None), (6, 4, 1)),
        ((None, 4, None), (1, 4, 1)),
        ((None, None, 2**40), (1, 1, 2**40)),
        ((1, 1, 1), (1, 1, 1)),
    ],
    ids=str,
)
def test_grid_attributes(attrs, grid):
    assert grid_of(bare(attrs)) == grid


@pytest.mark.parametrize("make", [lambda n: tirx.IntImm("int32", n), lambda n: tirx.IntImm("int64", n)])
def test_grid_attributes_as_ir_constants(make):
    assert grid_of(bare((make(6), make(4), None))) == (6, 4, 1)


@pytest.mark.parametrize(
    ("extent", "message"),
    [
        (0, r"grid extent y \(attribute tl_grid_y\) is 0; expected at least 1"),
        (-3, r"grid extent y \(attribute tl_grid_y\) is -3; expected at least 1"),
        ("8", r"grid extent y \(attribute tl_grid_y\) is no size: "),
        (2.0, r"tl_grid_y\) is no size: "),
        (True, r"tl_grid_y\) is no size: "),
        ([4], r"tl_grid_y\) is no size: "),
        (tirx.Var("m", "int32") + 1, r"tl_grid_y\) is no size: .*variable `m`, which is no shape variable"),
    ],
    ids=str,
)
def test_refused_grid_attributes(extent, message):
    refuse(bare((2, extent, None)), errors.GridError, message)


def test_attributes_that_agree_with_the_body():
    func = copy_kernel(grid=(6, 4, 1)).with_attrs({"tl_grid_x": 6, "tl_grid_y": 4})
    assert grid_of(func) == (6, 4, 1)


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"tl_grid_x": 7, "tl_grid_y": 4}, r"x \(attribute tl_grid_x\) is 7, but blockIdx.x says 6"),
        (
            {"tl_grid_x": 4, "tl_grid_y": 6},
            r"(?s)x \(attribute.* is 4, but.* says 6.*y \(attribute.* is 6, but.* says 4",
        ),
        ({"tl_grid_x": 6}, r"y \(blockIdx.y\) is 4, but attribute tl_grid_y is left out, which means 1"),
        ({"tl_grid_x": 6, "tl_grid_y": 4, "tl_grid_z": 2}, r"z \(attribute tl_grid_z\) is 2, but blockIdx.z says 1"),
        (
            {"thread_extent": {"blockIdx.x": 7, "blockIdx.y": 4}},
            r"attribute thread_extent: blockIdx.x\) is 7, but blockIdx.x says 6",
        ),
    ],
)
def test_attributes_that_contradict_the_body(attrs, message):
    refuse(copy_kernel(grid=(6, 4, 1)).with_attrs(attrs), errors.GridError, message)


def test_attributes_that_contradict_each_other():
    func = bare((6, 4, None), thread_extent={"blockIdx.x": 6, "blockIdx.y": 5})
    refuse(func, errors.GridError, r"y \(attribute thread_extent: blockIdx.y\) is 5, but attribute tl_grid_y says 4")


@pytest.mark.parametrize(
    ("extents", "grid"),
    [
        ({"blockIdx.x": 6, "blockIdx.y": 4, "threadIdx.x": 128}, (6, 4, 1)),
        ({"blockIdx.z": 3}, (1, 1, 3)),
    ],
    ids=str,
)
def test_thread_extent_attribute(extents, grid):
    assert grid_of(bare((None, None, None), thread_extent=extents)) == grid


@pytest.mark.parametrize("extents", [{}, {"threadIdx.x": 128}], ids=str)
def test_thread_extent_without_blocks_is_no_launch(extents):
    refuse(bare((None, None, None), thread_extent=extents), errors.NoKernelError, "no function has a launch grid")


def test_threads_alone_are_one_work_tile():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32")):
        tx = T.launch_thread("threadIdx.x", 32)
        A[tx] = T.float32(0)

    assert grid_of(main) == (1, 1, 1)


def test_virtual_threads_alone_launch_nothing():
    @T.prim_func
    def main(A: T.Buffer((32,), "float32")):
        for vx in T.thread_binding(32, thread="vthread.x"):
            A[vx] = T.float32(0)

    refuse(main, errors.NoKernelError, "no function has a launch grid")


def test_virtual_threads_in_a_launch():
    @T.prim_func
    def main(A: T.Buffer((32, 6), "float32")):
        for bx in T.thread_binding(6, thread="blockIdx.x"):
            for vx in T.thread_binding(32, thread="vthread.x"):
                A[vx, bx] = T.float32(0)

    assert grid_of(main) == (6, 1, 1)


def launch_in_a_serial_loop():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32")):
        for i in range(4):
            for bx in T.thread_binding(6, thread="blockIdx.x"):
                A[bx, i] = T.float32(0)

    return main


def launch_in_a_while():
    @T.prim_func
    def main(A: T.Buffer((6,), "float32"), n: T.int32):
        while n > 0:
            with T.launch_thread("blockIdx.x", 6) as bx:
                A[bx] = T.float32(0)

    return main


def launch_in_virtual_threads():
    @T.prim_func
    def main(A: T.Buffer((4, 6), "float32")):
        for vx in T.thread_binding(4, thread="vthread.x"):
            for bx in T.thread_binding(6, thread="blockIdx.x"):
                A[vx, bx] = T.float32(0)

    return main


@pytest.mark.parametrize("build", [launch_in_a_serial_loop, launch_in_a_while, launch_in_virtual_threads])
def test_refused_repetition(build):
    refuse(build(), errors.MultipleLaunchesError, "the launch stands in a loop, which repeats it; expected one launch")


def test_launch_below_other_statements():
    """Allocations, bindings, conditions and plain loops may stand before and around the launch."""

    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), n: T.int32):
        scratch = T.alloc_buffer((4,), "float32", scope="local")
        scratch[0] = T.float32(0)
        if n > 0:
            with T.launch_thread("blockIdx.y", 4) as by, T.launch_thread("blockIdx.x", 6) as bx:
                A[bx, by] = scratch[0]

    assert grid_of(main) == (6, 4, 1)


@pytest.mark.parametrize("extent", [0, -1])
def test_refused_launch(extent):
    def loop(extent):
        @T.prim_func
        def main(A: T.Buffer((4,), "float32")):
            for bx in T.thread_binding(extent, thread="blockIdx.x"):
                A[bx] = T.float32(0)

        return main

    refuse(loop(extent), errors.GridError, rf"grid extent x \(blockIdx.x\) is {extent}; expected at least 1")


def test_unknown_thread_tag():
    @T.prim_func
    def main(A: T.Buffer((4, 2), "float32")):
        for bx in T.thread_binding(4, thread="blockIdx.x"):
            for wg in T.thread_binding(2, thread="warpgroup"):
                A[bx, wg] = T.float32(0)

    refuse(main, errors.GridError, 'thread tag "warpgroup" is not understood; expected blockIdx')


def test_empty_module():
    refuse(tvm.IRModule({}), errors.NoKernelError, "found an empty module")


def test_no_kernel_lists_functions_and_forms():
    @T.prim_func
    def helper(A: T.Buffer((4,), "float32")):
        A[0] = T.float32(0)

    refuse(
        tvm.IRModule({"f": helper, "g": helper}),
        errors.NoKernelError,
        r"(?s)`f` \(PrimFunc\), `g`.*T.Kernel.*tl_grid_x",
    )


if host.ON_TILELANG:
    import tilelang.language as L

    def swizzled(*panels, order="row"):
        """A launch for each panel, which is 0 for one without a swizzle."""
        first, second = (*panels, 0)[:2]

        @L.prim_func
        def one(A: L.Tensor((6, 4), "float32")):
            with L.Kernel(6, 4, threads=32) as (bx, by):
                if first:
                    L.use_swizzle(first, order)
                A[bx, by] = 0.0

        @L.prim_func
        def two(A: L.Tensor((6, 4), "float32")):
            with L.Kernel(6, 4, threads=32) as (bx, by):
                if first:
                    L.use_swizzle(first, order)
                A[bx, by] = 0.0
            with L.Kernel(6, 4, threads=32) as (cx, cy):
                if second:
                    L.use_swizzle(second, order)
                A[cx, cy] = 1.0

        return (one, two)[len(panels) - 1]

    def order_of(func, **inputs):
        attrs = apply_tt_defaults(func, **inputs).attrs
        return attrs["tt_schedule_order"], attrs.get("tt_swizzle_panel")

    @pytest.mark.parametrize("panels", [(8,), (3, 3)], ids=str)
    @pytest.mark.parametrize(("order", "ours"), [("row", "swizzled_row"), ("column", "swizzled_column")])
    def test_swizzle(panels, order, ours):
        func = swizzled(*panels, order=order)
        assert order_of(func) == (ours, panels[0])
        assert order_of(func, swizzle_panel=2) == (ours, 2)
        assert order_of(func, schedule_order="column_major") == ("column_major", None)
        assert order_of(apply_tt_defaults(func)) == (ours, panels[0])

    @pytest.mark.parametrize("panels", [(3, 4), (0, 4), (4, 0)], ids=str)
    def test_launches_of_different_orders(panels):
        with pytest.raises(errors.OptionError, match="one launch asks for work tiles in the order") as caught:
            apply_tt_defaults(swizzled(*panels))
        assert caught.value.code == "TT216"
        assert order_of(swizzled(*panels), schedule_order="row_major") == ("row_major", None)

    @pytest.mark.parametrize(("panel", "order"), [(4, "mlx"), (-1, "row")])
    def test_unknown_swizzle(panel, order):
        with pytest.raises(errors.OptionError, match=r"T\.use_swizzle asks for rasterization2D.* of ") as caught:
            apply_tt_defaults(swizzled(panel, order=order))
        assert caught.value.code == "TT215"
        assert order_of(swizzled(panel, order=order), schedule_order="row_major") == ("row_major", None)

    def test_kernel_in_a_kernel_of_the_same_grid():
        """No extent contradicts another, and still there are two launches."""

        @L.prim_func
        def main(A: L.Tensor((6, 6), "float32")):
            with L.Kernel(6, threads=32) as bx, L.Kernel(6, threads=32) as by:
                A[bx, by] = 0.0

        refuse(main, errors.MultipleLaunchesError, "the launch stands in another launch")


def test_results_of_a_kernel_that_is_none_any_more():
    """Stale results neither pass for a launch nor survive."""
    was = infer(bare((4, 1, 1)))
    func = was.without_attr("tl_grid_x").without_attr("tl_grid_y").without_attr("tl_grid_z")
    with pytest.raises(errors.NoKernelError):
        infer_default_tt_schedule(func)
    mod = infer(tvm.IRModule({"main": bare((4, 1, 1)), "other": func}))
    assert "tt_num_tiles" not in mod["other"].attrs
    assert "tt_buffers" not in mod["other"].attrs
