"""Every refusal once: its class, the builtin that a caller would expect, and a message that says what was found, what
was expected, where, and what to do. A refused call changes nothing.
"""

import inspect
import pickle
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import tvm
from support import host
from support.host import T
from support.infer import bare, copy_kernel, infer, module
from support.launch_forms import REFUSED_FORMS
from tvm import tirx

from tilelang.tt import (
    _native,
    apply_tt_defaults,
    buffer_attrs,
    errors,
    infer_default_tt_schedule,
    infer_default_tt_shard,
    tile_coordinates,
)
from tilelang.tt._error_codes import CODES

pytestmark = pytest.mark.stage("errors")


@dataclass(frozen=True)
class Refusal:
    """What is passed, to what, and what comes of it."""

    name: str
    code: str
    build: object
    call: object
    error: type
    builtin: type
    parts: tuple[str, ...]


def form(name):
    (found,) = [form for form in REFUSED_FORMS if form.name == name]
    return found.build


def with_inputs(**attrs):
    """A kernel whose inputs are complete, with some of them changed by hand."""
    return lambda: module(apply_tt_defaults(bare((2, 2, 1))).with_attrs(attrs))


def with_buffers(*buffers):
    return lambda: apply_tt_defaults(module(bare((2, 2, 1), buffers)))


def kernel():
    return module(copy_kernel())


def helper():
    return module(bare((None, None, None)), "helper")


def defaults(**inputs):
    return lambda mod: apply_tt_defaults(mod, **inputs)


OPTION_HELP = "help: give apply_tt_defaults another value for it (its arguments are named without tt_), or leave it out"
REFUSALS = [
    Refusal("no_module", "TT101", lambda: [1], apply_tt_defaults, errors.ArgumentError, TypeError,
            ("found list; expected an IRModule or a PrimFunc",)),
    Refusal("no_module_schedule", "TT101", lambda: None, infer_default_tt_schedule, errors.ArgumentError, TypeError,
            ("found NoneType; expected an IRModule or a PrimFunc",)),
    Refusal("no_module_shard", "TT101", lambda: "main", infer_default_tt_shard, errors.ArgumentError, TypeError,
            ("found str; expected an IRModule or a PrimFunc",)),
    Refusal("no_kernel", "TT201", helper, apply_tt_defaults, errors.NoKernelError, ValueError,
            ("no function has a launch grid", "`helper` (PrimFunc)", "T.Kernel", "tl_grid_x", "help: ")),
    Refusal("launch_in_a_branch", "TT213", form("launch_in_a_branch"), apply_tt_defaults,
            errors.MultipleLaunchesError, ValueError,
            ("kernel `main`: one of several launches stands in a branch", "^^^^", "help: put each launch into")),
    Refusal("several_launches_and_attributes", "TT210", form("siblings_with_attributes"), apply_tt_defaults,
            errors.MultipleLaunchesError, ValueError,
            ("kernel `main`: 2 launches in one function, whose attributes state one grid",
             "help: remove the attributes tl_grid_*")),
    Refusal("zero_extent", "TT202", lambda: module(bare((4, 0, 1))), apply_tt_defaults, errors.GridError, ValueError,
            ("grid extent y (attribute tl_grid_y) is 0; expected at least 1", "def main", "help: launch at least one")),
    Refusal("extent_from_memory", "TT203", form("extent_from_memory"), apply_tt_defaults, errors.GridError, ValueError,
            ("grid extent x (blockIdx.x) is no size: a size depends on a load from `N`; expected +, -, *, //, %, min "
             "and max of constants", "help: launch on constants and on the variables")),
    Refusal("contradiction", "TT204", lambda: module(copy_kernel().with_attr("tl_grid_x", 9)), apply_tt_defaults,
            errors.GridError, ValueError, ("is 9, but blockIdx.x says 3", "help: let both say the same")),
    Refusal("missing_input", "TT301", kernel, infer_default_tt_schedule, errors.MissingInputError, ValueError,
            ("kernel `main`: attribute tt_", " is missing",
             "help: run tilelang.tt.apply_tt_defaults on the module first")),
    Refusal("missing_input_shard", "TT301", kernel, infer_default_tt_shard, errors.MissingInputError, ValueError,
            ("is missing", "help: run tilelang.tt.apply_tt_defaults")),
    Refusal("policy", "TT321", kernel, defaults(schedule_policy="striped"), errors.OptionError, ValueError,
            ('tt_schedule_policy: unknown schedule policy "striped"; expected one of: contiguous, ', OPTION_HELP)),
    Refusal("no_block_size", "TT324", kernel, defaults(schedule_policy="block_cyclic"), errors.OptionError, ValueError,
            ('tt_schedule_policy: schedule policy "block_cyclic" with no block size; expected a', OPTION_HELP)),
    Refusal("needless_block_size", "TT325", kernel, defaults(schedule_block_size=4), errors.OptionError, ValueError,
            ('tt_schedule_policy: schedule policy "contiguous" with a block size of 4; expected none', OPTION_HELP)),
    Refusal("mistyped_block_size", "TT302", kernel, defaults(schedule_policy="block_cyclic", schedule_block_size="4"),
            errors.OptionError, ValueError, ("attribute tt_schedule_block_size is not an integer",)),
    Refusal("huge_block_size", "TT501", kernel, defaults(schedule_policy="block_cyclic", schedule_block_size=2**60),
            errors.IntegerOverflowError, OverflowError, ("64 * 1152921504606846976 does not fit",)),
    Refusal("no_panel", "TT326", kernel, defaults(schedule_order="swizzled_row"), errors.OptionError, ValueError,
            ('tt_schedule_order: schedule order "swizzled_row" with no swizzle panel; expected a', OPTION_HELP)),
    Refusal("needless_panel", "TT327", kernel, defaults(swizzle_panel=4), errors.OptionError, ValueError,
            ('tt_schedule_order: schedule order "row_major" with a swizzle panel of 4; expected none', OPTION_HELP)),
    Refusal("swizzled_rectangles", "TT328", kernel,
            defaults(schedule_policy="rectangular", schedule_order="swizzled_row", swizzle_panel=4),
            errors.OptionError, ValueError,
            ('tt_schedule_policy: schedule policy "rectangular" with a swizzled schedule order', OPTION_HELP)),
    Refusal("rectangles_on_an_l", "TT329", kernel,
            defaults(schedule_policy="rectangular", cores=[[0, 0, 3, 3], [4, 0, 7, 1]]),
            errors.OptionError, ValueError, ('"rectangular" on 24 of the 32 cores of [0, 0, 7, 3]', OPTION_HELP)),
    Refusal("rectangles_on_an_l_attribute", "TT329",
            with_inputs(tt_schedule_policy="rectangular", tt_cores=[[0, 0, 3, 3], [4, 0, 7, 1]]),
            infer_default_tt_schedule, errors.OptionError, ValueError, ("on 24 of the 32 cores",)),
    Refusal("order", "TT322", kernel, defaults(schedule_order="z"), errors.OptionError, ValueError,
            ('tt_schedule_order: unknown schedule order "z"; expected one of: row_major', OPTION_HELP)),
    Refusal("core_order", "TT320", kernel, defaults(core_order=""), errors.OptionError, ValueError,
            ('tt_core_order: unknown core order ""; expected one of: row_major, column_major', OPTION_HELP)),
    Refusal("layout", "TT401", kernel, defaults(layout_type="sharded"), errors.OptionError, ValueError,
            ('tt_layout_type: unknown layout type "sharded"; expected one of: dram_interleaved, l1_interleaved',
             OPTION_HELP)),
    Refusal("data_format", "TT403", kernel, defaults(data_format="Float32"), errors.OptionError, ValueError,
            ('tt_data_format: data format "Float32" cannot', "expected one of: Float16, Float16_b", OPTION_HELP)),
    Refusal("device", "TT303", kernel, defaults(device="grayskull"), errors.DeviceError, ValueError,
            ('tt_device: unknown device "grayskull"; expected one of: wormhole_n150, wormhole_n300', OPTION_HELP)),
    Refusal("tile_shape", "TT402", kernel, defaults(tile_height=64), errors.TileShapeError, ValueError,
            ("the hardware has no tile of 64x32 (height x width)", "32x32, 16x32, 32x16", OPTION_HELP)),
    Refusal("cores_outside", "TT313", kernel, defaults(cores=[[0, 0, 8, 7]]), errors.DeviceError, ValueError,
            ("[0, 0, 8, 7] leaves the 8x8 worker grid of wormhole_n150, which is [0, 0, 7, 7]", OPTION_HELP)),
    Refusal("cores_below", "TT313", kernel, defaults(cores=[[0, 0, 7, 8]]), errors.DeviceError, ValueError,
            ("[0, 0, 7, 8] leaves the 8x8 worker grid",)),
    Refusal("cores_inverted", "TT311", kernel, defaults(cores=[[3, 0, 2, 0]]), errors.DeviceError, ValueError,
            ("[3, 0, 2, 0] is not [x0, y0, x1, y1]",)),
    Refusal("cores_overlap", "TT312", kernel, defaults(cores=[[0, 0, 3, 3], [3, 3, 4, 4]]), errors.DeviceError,
            ValueError, ("[0, 0, 3, 3] and [3, 3, 4, 4] overlap; each core may be listed once",)),
    Refusal("no_cores", "TT310", kernel, defaults(cores=[]), errors.DeviceError, ValueError,
            ("at least one rectangle",)),
    Refusal("cores_mistyped", "TT302", kernel, defaults(cores=[[0, 0, 7]]), errors.OptionError, ValueError,
            ("attribute tt_cores is not a list of rectangles",)),
    Refusal("cores_of_text", "TT302", kernel, defaults(cores="all"), errors.OptionError, ValueError,
            ("attribute tt_cores is not a list of rectangles",)),
    Refusal("mistyped_text", "TT302", kernel, defaults(core_order=5), errors.OptionError, ValueError,
            ("attribute tt_core_order is not a string",)),
    Refusal("mistyped_number", "TT302", kernel, defaults(tile_height="32"), errors.OptionError, ValueError,
            ("attribute tt_tile_height is not an integer",)),
    Refusal("truth_value_for_a_number", "TT302", kernel, defaults(tile_width=True), errors.OptionError, ValueError,
            ("tt_tile_width",)),
    Refusal("unknown_policy_attribute", "TT321", with_inputs(tt_schedule_policy="striped"), infer_default_tt_schedule,
            errors.OptionError, ValueError, ('unknown schedule policy "striped"; expected one of: contiguous, ',)),
    Refusal("unknown_device_attribute", "TT303", with_inputs(tt_device="n300"), infer_default_tt_schedule,
            errors.DeviceError, ValueError, ('unknown device "n300"; expected one of: wormhole_n150',)),
    Refusal("unknown_layout_attribute", "TT401", with_inputs(tt_layout_type="l1"), infer_default_tt_shard,
            errors.OptionError, ValueError, ('unknown layout type "l1"; expected one of: dram_interleaved',)),
    Refusal("unknown_tile_attribute", "TT402", with_inputs(tt_tile_width=33), infer_default_tt_shard,
            errors.TileShapeError, ValueError, ("no tile of 32x33",)),
    Refusal("dtype", "TT404", with_buffers(("A", (4,), "int64")), infer_default_tt_shard, errors.DtypeError, TypeError,
            ("kernel `main`: parameter 0 (`A`): dtype int64 has no Tenstorrent data format; expected one of: float32",
             "def main", "help: store the tensor in one of those dtypes")),
    Refusal("shape", "TT410", with_buffers(("A", (4, 0), "int32")), infer_default_tt_shard, errors.ShapeError,
            ValueError, ("parameter 0 (`A`): dimension 1 has extent 0; expected at least 1", "def main", "help: ")),
    Refusal("bytes", "TT501", with_buffers(("A", (2**31, 2**31), "int32")), infer_default_tt_shard,
            errors.IntegerOverflowError, OverflowError,
            ("parameter 0 (`A`): ", "does not fit a signed 64-bit integer", "help: split the tensor")),
    Refusal("tiles", "TT501", lambda: apply_tt_defaults(module(bare((2**32, 2**32, 1)))), infer_default_tt_schedule,
            errors.IntegerOverflowError, OverflowError,
            ("4294967296 * 4294967296 does not fit a signed 64-bit integer", "help: make the launch grid smaller")),
    Refusal("buffer_lookup", "TT106", lambda: infer(copy_kernel()), lambda func: buffer_attrs(func, "B"),
            errors.BufferLookupError, LookupError,
            ("no tensor parameter B; tensors: A (parameter 0), C (parameter 1)",)),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refusal(case):
    before, after = case.build(), case.build()
    with pytest.raises(case.error) as caught:
        case.call(after)
    assert type(caught.value) is case.error
    assert caught.value.code == case.code
    assert isinstance(caught.value, case.builtin)
    for part in case.parts:
        assert part in str(caught.value)
    if isinstance(before, tvm.IRModule):
        tvm.ir.assert_structural_equal(after, before)


# These need a host that lacks something, a kernel of CUDA source, a bug, results or plans: other files have them.
ELSEWHERE = {
    errors.HostError,
    errors.OpaqueKernelError,
    errors.InternalError,
    errors.TTError,
    errors.MetadataError,
    errors.PlanError,
    errors.GoldenError,
    errors.TransportError,  # test_transport.py
    errors.NotCoveredError,
    errors.ExecutionError,
    errors.WaitTimeoutError,
    errors.CompileCancelledError,
    errors.WorkerError,
    errors.CompilerCrashError,
    errors.CompilerKilledError,
    errors.CompilerTimeoutError,
    errors.CompilerMemoryError,
    errors.CacheError,
    errors.SuiteError,
    errors.ComparisonError,
}


def error_classes():
    return {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.TTError)}


def test_every_class_is_tried():
    assert {case.error for case in REFUSALS} | ELSEWHERE == error_classes()


@pytest.mark.parametrize("error", sorted(error_classes() - {errors.TTError}, key=lambda error: error.__name__))
def test_classes(error):
    """Each says what it is for, and is caught by a builtin that is no bare Exception."""
    assert error.__doc__
    assert any(
        base.__module__ == "builtins" and base not in (Exception, BaseException, object) for base in error.__mro__
    )


def repeated_launch():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        for i in range(4):
            for bx in T.thread_binding(6, thread="blockIdx.x"):
                C[bx, i] = A[bx, i]

    return main


def place(build, text):
    """Where a line of a function in this file stands, as messages name it; nothing on hosts without spans."""
    if not host.HAS_SPANS:
        return ""
    lines, first = inspect.getsourcelines(build)
    (found,) = [number for number, line in enumerate(lines) if text in line]
    column = lines[found].index(lines[found].strip()) + 1
    return f"\n  --> {Path(__file__)}:{first + found}:{column}"


def message_of(func, call=apply_tt_defaults):
    with pytest.raises(errors.TTError) as caught:
        call(func)
    return str(caught.value)


def test_whole_message_of_a_repeated_launch():
    assert message_of(repeated_launch()) == (
        """\
TT211: kernel `main`: the launch stands in a loop, which repeats it; expected one launch
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32")):
        for i in range(4):
        ^^^^^^^^^^^^^^^^^^
            for bx in T.thread_binding(6, thread="blockIdx.x"):
help: move the loop into the kernel"""
        + place(repeated_launch, "for i in")
    )


def zero_extents():
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(0, thread="blockIdx.x"):
            for by in T.thread_binding(-4, thread="blockIdx.y"):
                A[bx, by] = T.float32(0)

    return main


def test_whole_message_of_two_mistakes():
    assert message_of(zero_extents()) == (
        """\
TT202: kernel `main`: grid extent x (blockIdx.x) is 0; expected at least 1
    @T.prim_func
    def main(A: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(0, thread="blockIdx.x"):
                                   ^
            for by in T.thread_binding(-4, thread="blockIdx.y"):
                A[bx, by] = T.float32(0.0)
help: launch at least one work tile on every axis"""
        + place(zero_extents, "for bx in")
        + """

TT202: kernel `main`: grid extent y (blockIdx.y) is -4; expected at least 1
    def main(A: T.Buffer((6, 4), "float32")):
        for bx in T.thread_binding(0, thread="blockIdx.x"):
            for by in T.thread_binding(-4, thread="blockIdx.y"):
                                       ^^
                A[bx, by] = T.float32(0.0)
help: launch at least one work tile on every axis"""
        + place(zero_extents, "for by in")
    )


def test_function_without_a_name():
    func = tirx.PrimFunc([], tirx.Evaluate(0)).with_attr("tl_grid_x", 0)
    assert message_of(func).startswith("TT202: kernel without a name: grid extent x")


def test_lines_are_cut():
    shape = (1,) * 60
    excerpt = message_of(bare((0, 1, 1), [("A", shape, "float32")]))
    assert max(len(line) for line in excerpt.splitlines()) < 130
    assert "..." in excerpt


if host.ON_TILELANG:
    import tilelang.language as L

    def empty_tilelang_kernel():
        @L.prim_func
        def main(A: L.Tensor((6, 4), "float32")):
            with L.Kernel(6, 0, threads=32) as (bx, by):
                A[bx, by] = 0.0

        return main

    def test_line_of_a_tilelang_kernel():
        lines, first = inspect.getsourcelines(empty_tilelang_kernel)
        (line,) = [first + number for number, text in enumerate(lines) if "L.Kernel" in text]
        message = message_of(empty_tilelang_kernel())
        assert "grid extent y (blockIdx.y) is 0; expected at least 1" in message
        assert message.splitlines()[-1] == f"  --> {Path(__file__)}:{line}"


def test_a_good_kernel_beside_a_bad_one():
    mod = tvm.IRModule({"bad": bare((0, 1, 1)), "good": copy_kernel()})
    before = {var.name_hint: func for var, func in mod.functions.items()}
    with pytest.raises(errors.GridError):
        apply_tt_defaults(mod)
    assert all(mod[name].same_as(func) for name, func in before.items())


def test_all_wrong_inputs_are_listed():
    message = message_of(
        copy_kernel(),
        defaults(
            schedule_policy="striped", core_order="diagonal", layout_type="l1", tile_height=5, device="wormhole_n150"
        ),
    )
    for found in ('"striped"', '"diagonal"', '"l1"', "5x32"):
        assert found in message


def test_long_lines_are_cut_between_characters():
    func = bare(buffers=[("A", (4,), "float64")]).with_attr("global_symbol", "m" + "\u00e9" * 60)
    with pytest.raises(errors.DtypeError, match="float64"):
        infer(func)


def test_many_diagnostics_are_counted():
    func = bare(buffers=[(f"A{i}", (4,), "float64") for i in range(30)])
    with pytest.raises(errors.DtypeError, match="and 20 more"):
        infer(func)


def test_codes_of_several_mistakes():
    func = bare((0, 1, 1)).with_attr("thread_extent", {"blockIdx.x": 3})
    with pytest.raises(errors.GridError) as caught:
        apply_tt_defaults(func)
    assert caught.value.code == "TT202"
    func = bare(buffers=[("A", (4, 0), "float32"), ("B", (4,), "float64"), ("TT000: C", (4, 0), "float32")])
    with pytest.raises(errors.ShapeError) as caught:
        infer(func)
    assert caught.value.code == "TT410"
    assert caught.value.codes == ("TT410", "TT404", "TT410")


def test_errors_are_pickled():
    with pytest.raises(errors.GridError) as caught:
        apply_tt_defaults(bare((0, 1, 1)))
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is errors.GridError
    assert (str(again), again.code) == (str(caught.value), "TT202")


def test_an_error_without_a_code():
    error = errors.TTError("raised by somebody else")
    assert (error.code, error.codes) == ("", ())


def test_code_of_a_pure_decision():
    with pytest.raises(errors.OptionError) as caught:
        tile_coordinates((4, 1, 1), schedule_order="diagonal")
    assert caught.value.code == "TT322"


def test_every_code_has_a_class_and_a_title():
    for table in (_native.error_table(), list(CODES)):
        codes = [code for code, _, _ in table]
        assert codes == sorted(set(codes))
    assert not {code for code, _, _ in _native.error_table()} & set(codes)
    for code, error_class, title in errors.catalogue():
        assert re.fullmatch(r"TT[1-9]\d\d", code)
        assert issubclass(error_class, (errors.TTError, errors.TTWarning))
        assert title[0].isupper()
        assert not title.endswith(".")
