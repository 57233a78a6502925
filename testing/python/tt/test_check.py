"""plan.check: clean on what inference gives, and a finding for every fault that is put in."""

import re
import time
import tracemalloc
import warnings
from dataclasses import replace
from itertools import product
from math import prod

import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from support import kernels_tirx
from support.host import T
from support.infer import copy_kernel
from support.kernels import CASES
from support.kernels import POLICIES as COMMON_POLICIES
from support.launch_forms import FORMS, SEVERAL_FORMS
from support.plan_edits import edit, leaves

from tilelang.tt import Device, Layout, Shard, annotate_tt_layout, devices, errors, specialize
from tilelang.tt.plan import Finding, make_plan

pytestmark = pytest.mark.stage("plan")

POLICIES = [
    *COMMON_POLICIES,
    {"schedule_policy": "rectangular", "schedule_order": "column_major", "cores": [[2, 0, 4, 1], [0, 0, 1, 1]]},
]
CAPACITY = {"TT601", "TT602"}  # what is warned of, the check finds


def codes(report):
    return [finding.code for finding in report.findings]


def prove(plan):
    """Checks a plan that is right, and that everything in it is counted."""
    report = plan.check()
    warned = CAPACITY & {warning.code for kernel in plan.kernels for warning in kernel.warnings}
    assert set(codes(report)) == ({"TT836"} if warned else set()), str(report)
    launches = [launch for kernel in plan.kernels for launch in kernel.launches]
    buffers = [buffer for kernel in plan.kernels for buffer in kernel.buffers]
    assert report.num_work_tiles == sum(launch.num_tiles for launch in launches)
    assert report.num_pages == sum(buffer.num_pages for buffer in buffers)
    assert report.num_elements == sum(prod(buffer.shape) for buffer in buffers)


@pytest.mark.parametrize("inputs", POLICIES, ids=lambda inputs: inputs.get("schedule_policy", "defaults"))
@pytest.mark.parametrize("case", CASES)
def test_kernels(case, inputs):
    prove(make_plan(tvm.IRModule({"main": case.build()}), **inputs))


@pytest.mark.parametrize("form", [form for form in FORMS if form.understood] + SEVERAL_FORMS, ids=str)
def test_launch_forms(form):
    try:
        plan = make_plan(form.build())
    except errors.ShapeError:  # the host/device split has left raw pointers
        return
    if any(kernel.shape_variables for kernel in plan.kernels):
        with pytest.raises(errors.PlanError, match=r"TT820: .*\nhelp: .*specialize\(mod, m=\.\.\.\)"):
            plan.check()
        plan = make_plan(specialize(form.build(), m=100))
    prove(plan)


@pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)
def test_devices(device):
    if device.dram_alignment is None:
        with pytest.raises(errors.DeviceError):
            make_plan(copy_kernel(), device=device)
        return
    for inputs in ({}, {"layout_type": "l1_interleaved"}, {"data_format": "Bfp4_b", "tile_height": 8}):
        prove(make_plan(copy_kernel((3, 100, 97), "bfloat16", (50, 7, 3)), device=device, **inputs))


@pytest.mark.parametrize("shape", [(), (1,), (33,), (5, 7), (2, 3, 4, 5), (1, 1, 1, 1, 1, 2, 40, 50)], ids=str)
def test_ranks(shape):
    for dtype in ("float32", "int8", "float16"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prove(make_plan(copy_kernel(shape, dtype)))
            func = annotate_tt_layout(copy_kernel(shape, dtype), "A", Layout(page_layout="row_major"))
            prove(make_plan(func, tile_height=2, tile_width=16))


SHARDS = {
    "height": ((100, 96), Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 1, 1)]))),
    "height of a batch": ((3, 64, 96), Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 5, 0)]))),
    "width": ((32, 200), Layout(memory="dram", shard=Shard.width((32, 64), [(0, 0, 3, 0)]))),
    "block": ((100, 96), Layout(memory="l1", shard=Shard.block((64, 32), [(1, 1, 5, 5)]))),
    "block of columns": (
        (100, 96),
        Layout(memory="l1", shard=Shard.block((64, 32), [(1, 1, 5, 5)], orientation="column_major")),
    ),
    "nd": ((100, 96), Layout(memory="dram", shard=Shard.nd((32, 32), [(0, 0, 3, 0)]))),
    "nd of three": ((4, 64, 96), Layout(memory="l1", shard=Shard.nd((2, 32, 64), [(0, 0, 2, 1)]))),
    "nd of fewer": ((2, 3, 64, 96), Layout(memory="l1", shard=Shard.nd((3, 32, 64), [(0, 0, 2, 1)]))),
    "contiguous": (
        (128, 96),
        Layout(memory="l1", shard=Shard.nd((32, 32), [(0, 0, 2, 0)], distribution="contiguous_1d")),
    ),
    "grid": ((128, 96), Layout(memory="l1", shard=Shard.nd((64, 32), [(0, 0, 3, 3)], distribution="grid_2d"))),
    "rows": ((64, 40), Layout(memory="l1", page_layout="row_major", shard=Shard.width((64, 16), [(0, 0, 3, 0)]))),
    "vector of rows": ((70,), Layout(memory="l1", page_layout="row_major", shard=Shard.nd((16,), [(0, 0, 1, 0)]))),
    "vector": ((70,), Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 1, 0)]))),
}


@pytest.mark.parametrize(("shape", "layout"), SHARDS.values(), ids=SHARDS)
def test_shards(shape, layout):
    for device in ("wormhole_n150", "blackhole_p150"):
        prove(make_plan(annotate_tt_layout(copy_kernel(shape), "A", layout), device=device))


# ---- seeded faults -------------------------------------------------------------------------------------------------


@T.prim_func
def staged(A: T.Buffer((300, 96), "bfloat16"), C: T.Buffer((300, 96), "bfloat16"), n: T.int32):
    bx = T.launch_thread("blockIdx.x", 103)
    by = T.launch_thread("blockIdx.y", 2)
    stage = T.alloc_buffer((32, 96), "bfloat16", scope="shared")
    for i, j in T.grid(32, 96):
        if bx * 32 + i < 300 and by < n:
            stage[i, j] = A[bx * 32 + i, j]


def launch(schedule_policy="contiguous", **inputs):
    return make_plan(staged, schedule_policy=schedule_policy, cores=[[0, 0, 3, 1]], **inputs)


def cyclic():
    return launch("block_cyclic", schedule_block_size=5)


def height():
    layout = Layout(memory="l1", shard=Shard.height((96, 96), [(0, 0, 3, 0)]))
    return make_plan(annotate_tt_layout(staged, "A", layout))


def several():
    return make_plan(SEVERAL_FORMS[0].build())


def swap(first, second):
    """Exchanges two items."""

    def run(items):
        items = list(items)
        items[first], items[second] = items[second], items[first]
        return tuple(items)

    return run


def plus(step):
    return lambda number: number + step


def without(position):
    return lambda items: items[:position] + items[position + 1 :]


def twice(position):
    return lambda items: (*items[: position + 1], *items[position:])


RUNS, ARGUMENTS = "/kernels/0/launches/0/tile_runs", "/kernels/0/launches/0/runtime_arguments"
INPUTS, CHIP, TENSOR = "/kernels/0/inputs", "/kernels/0/launches/0/on_chip", "/kernels/0/buffers/0"
LAUNCH, SHARD = "/kernels/0/launches/0", "/kernels/0/buffers/0/shard"

FAULTS = [
    ("an overlap by length", launch, f"{RUNS}/1/length", plus(1), "TT821"),
    ("an overlap by start", launch, f"{RUNS}/1/start", plus(-1), "TT821"),
    ("an overlap by stride", cyclic, f"{RUNS}/1/stride", plus(-5), "TT821"),
    ("a run over itself", cyclic, f"{RUNS}/1/stride", 4, "TT821"),
    ("a run that stands still", cyclic, f"{RUNS}/1/stride", 0, "TT821"),
    ("a run twice", launch, RUNS, twice(2), "TT821"),
    ("a core twice", launch, f"{RUNS}/2/core", 1, "TT824"),
    ("a gap by length", launch, f"{RUNS}/1/length", plus(-1), "TT822"),
    ("a gap by start", launch, f"{RUNS}/1/start", plus(1), "TT822"),
    ("a gap by repeat", cyclic, f"{RUNS}/1/repeat", plus(-1), "TT822"),
    ("a gap by a missing run", launch, RUNS, without(3), "TT822"),
    ("no runs", launch, RUNS, (), "TT822"),
    ("beyond by length", launch, f"{RUNS}/7/length", plus(1), "TT823"),
    ("beyond by repeat", cyclic, f"{RUNS}/1/repeat", plus(1), "TT823"),
    ("beyond by far", cyclic, f"{RUNS}/1/stride", 1 << 62, "TT823"),
    ("nothing but beyond", launch, f"{RUNS}/0/start", 1 << 62, "TT823"),
    ("an empty run", launch, f"{RUNS}/0/length", 0, "TT824"),
    ("shares exchanged", launch, RUNS, swap(0, 1), "TT825"),
    ("cores exchanged", launch, f"{RUNS}/0/core", 8, "TT825"),
    ("another policy", launch, f"{INPUTS}/schedule_policy", "strided", "TT824"),
    ("an idle core with work", several, f"{RUNS}/5/core", 7, "TT824"),
    ("another order of cores", launch, f"{LAUNCH}/core_ranges", ((0, 0, 1, 3),), "TT826"),
    ("cores left out", launch, f"{LAUNCH}/core_ranges", ((0, 0, 3, 0),), "TT826"),
    ("idle cores listed", several, f"{LAUNCH}/core_ranges/0/2", 6, "TT826"),
    ("a count of cores", launch, f"{LAUNCH}/num_active_cores", 7, "TT826"),
    ("a core beyond the grid", launch, f"{LAUNCH}/core_ranges/0/2", 8, "TT825"),
    ("cores beyond the grid", launch, f"{INPUTS}/cores/0/3", 8, "TT825"),
    ("corners exchanged", launch, f"{INPUTS}/cores/0", (3, 0, 0, 1), "TT825"),
    ("cores that overlap", launch, f"{INPUTS}/cores", ((0, 0, 3, 0), (3, 0, 3, 0)), "TT825"),
    ("too many rectangles", launch, f"{INPUTS}/cores", ((0, 0, 0, 0),) * 65, "TT825"),
    ("no cores", launch, f"{INPUTS}/cores", (), "TT825"),
    ("no rectangle", launch, INPUTS, lambda i: edit(i, "/schedule_policy", "rectangular"), "TT824"),
    ("a block size", launch, f"{INPUTS}/schedule_block_size", 4, "TT838"),
    ("no block size", cyclic, f"{INPUTS}/schedule_block_size", None, "TT838"),
    ("a panel", launch, f"{INPUTS}/swizzle_panel", 4, "TT838"),
    ("no panel", launch, f"{INPUTS}/schedule_order", "swizzled_row", "TT838"),
    ("an unknown order", launch, f"{INPUTS}/core_order", "diagonal", "TT838"),
    ("a stale count of tiles", launch, f"{LAUNCH}/num_tiles", plus(1), "TT827"),
    ("a stale grid", launch, f"{LAUNCH}/grid/1", 3, "TT827"),
    ("an empty grid", launch, f"{LAUNCH}/grid/1", 0, "TT827"),
    ("a grid beyond 63 bits", launch, f"{LAUNCH}/grid", (1 << 62, 1 << 62, 1), "TT827"),
    ("a grid argument", launch, f"{ARGUMENTS}/2/value", plus(1), "TT828"),
    ("no kt_tiles", launch, f"{ARGUMENTS}/4/value", None, "TT828"),
    ("kt_tiles of no reason", launch, f"{ARGUMENTS}/4/source", "unresolved", "TT828"),
    ("kt_tiles of nothing", launch, f"{ARGUMENTS}/4/source", "buffer", "TT828"),
    ("kt_tiles of many", launch, f"{ARGUMENTS}/4/value", 2, "TT828"),
    ("a missing argument", cyclic, ARGUMENTS, without(5), "TT828"),
    ("a missing address", launch, ARGUMENTS, without(6), "TT828"),
    ("no arguments", launch, ARGUMENTS, (), "TT828"),
    ("an argument twice", launch, ARGUMENTS, twice(5), "TT828"),
    ("arguments exchanged", launch, ARGUMENTS, swap(0, 1), "TT828"),
    ("addresses exchanged", launch, ARGUMENTS, swap(6, 7), "TT828"),
    ("an argument of a core", launch, f"{ARGUMENTS}/0/scope", "common", "TT828"),
    ("a narrow argument", launch, f"{ARGUMENTS}/1/dtype", "uint16", "TT828"),
    ("a scalar that is known", launch, f"{ARGUMENTS}/5/value", 1, "TT828"),
    ("a scalar of another place", launch, f"{ARGUMENTS}/5/param_index", 1, "TT828"),
    ("a scalar of no place", launch, f"{ARGUMENTS}/5/param_index", None, "TT828"),
    ("a scalar of no source", launch, f"{ARGUMENTS}/5/source", "schedule", "TT828"),
    ("another launch", several, "/kernels/0/launches/1/runtime_arguments/2/value", 6, "TT828"),
    ("the runs of another launch", several, "/kernels/0/launches/1/tile_runs", twice(0), "TT821"),
    ("another dtype", launch, f"{TENSOR}/dtype", "int32", "TT829"),
    ("an unknown dtype", launch, f"{TENSOR}/dtype", "bool", "TT829"),
    ("another format", launch, f"{TENSOR}/data_format", "Bfp8_b", "TT829"),
    ("a page", launch, f"{TENSOR}/page_size_bytes", 4096, "TT829"),
    ("a stride that wastes", launch, f"{TENSOR}/aligned_page_size_bytes", 4096, "TT829"),
    ("a stride that is not aligned", launch, f"{TENSOR}/aligned_page_size_bytes", 2049, "TT829"),
    ("no such tile", launch, f"{TENSOR}/tile_shape", (32, 64), "TT829"),
    ("no tile", launch, f"{TENSOR}/tile_shape", None, "TT829"),
    ("a tile of rows", launch, f"{TENSOR}/page_layout", "row_major", "TT829"),
    ("another tile", launch, f"{TENSOR}/tile_shape", (16, 32), "TT830"),
    ("a stale padded shape", launch, f"{TENSOR}/padded_shape/0", plus(32), "TT830"),
    ("a stale shape", launch, f"{TENSOR}/shape/0", 330, "TT830"),
    ("an empty shape", launch, f"{TENSOR}/shape/0", 0, "TT830"),
    ("too many dimensions", launch, f"{TENSOR}/shape", (1,) * 9, "TT830"),
    ("tiles down", launch, f"{TENSOR}/num_tiles_height", plus(1), "TT830"),
    ("tiles across", launch, f"{TENSOR}/num_tiles_width", None, "TT830"),
    ("matrices", launch, f"{TENSOR}/num_matrices", 2, "TT830"),
    ("pages", launch, f"{TENSOR}/num_pages", plus(-1), "TT830"),
    ("bytes of padding", launch, f"{TENSOR}/padding_bytes", 0, "TT830"),
    ("percent of padding", launch, f"{TENSOR}/padding_percent", plus(1), "TT830"),
    ("padding of no value", launch, f"{TENSOR}/padding_value", None, "TT830"),
    ("padding of no number", launch, f"{TENSOR}/padding_value", "some", "TT830"),
    ("pages that overlap", launch, f"{TENSOR}/aligned_page_size_bytes", 1024, "TT831"),
    ("shards at one core", height, f"{SHARD}/cores/1", (0, 0), "TT831"),
    ("too few bytes", launch, f"{TENSOR}/bytes_per_bank", plus(-1), "TT832"),
    ("too many bytes", launch, f"{TENSOR}/bytes_per_bank", plus(2048), "TT832"),
    ("another address", height, f"{SHARD}/address_if_alone", plus(16), "TT832"),
    ("more banks", launch, f"{TENSOR}/num_banks", 13, "TT833"),
    ("fewer banks", launch, f"{TENSOR}/num_banks", 8, "TT833"),
    ("another memory", launch, f"{TENSOR}/memory", "l1", "TT833"),
    ("no memory", launch, f"{TENSOR}/memory", "flash", "TT833"),
    ("another layout", launch, f"{TENSOR}/layout", "l1_interleaved", "TT833"),
    ("a shard at no core", height, f"{SHARD}/cores/1", (8, 0), "TT833"),
    ("a core less", height, f"{SHARD}/cores", without(3), "TT833"),
    ("no shards", height, SHARD, None, "TT833"),
    ("a shard moved", height, f"{SHARD}/cores", swap(0, 1), "TT835"),
    ("a shard of half a tile", height, f"{SHARD}/shape/0", 80, "TT834"),
    ("a shard of no pages", height, f"{SHARD}/shape", (), "TT834"),
    ("a shard of three dimensions", height, f"{SHARD}/shape", (1, 96, 96), "TT834"),
    ("a lower shard", height, f"{SHARD}/shape/0", 64, "TT834"),
    ("shards", height, f"{SHARD}/num_shards", 5, "TT834"),
    ("shards of a core", height, f"{SHARD}/shards_per_core", 2, "TT834"),
    ("pages of a shard", height, f"{SHARD}/pages_per_shard", 10, "TT834"),
    ("pages of the tensor", height, f"{SHARD}/tensor_pages", (31,), "TT834"),
    ("pages cut otherwise", height, SHARD, lambda s: edit(edit(s, "/tensor_pages", (3, 10)), "/shard_pages", (1, 9)),
     "TT834"),
    ("a grid of shards", height, f"{SHARD}/shard_grid", (5,), "TT834"),
    ("dimensions of shards", height, f"{SHARD}/shard_pages", (9, 1), "TT834"),
    ("another distribution", height, f"{SHARD}/distribution", "grid_2d", "TT834"),
    ("shares that are not even", height, SHARD, lambda s: edit(edit(s, "/cores", s.cores[:3]), "/distribution",
                                                               "contiguous_1d"), "TT834"),
    ("another orientation", height, f"{SHARD}/orientation", "diagonal", "TT834"),
    ("another kind", height, f"{TENSOR}/layout", "width_sharded", "TT834"),
    ("an accessor's word", launch, f"{TENSOR}/accessor_compile_time_args/1", plus(32), "TT835"),
    ("an accessor's words", launch, f"{TENSOR}/accessor_compile_time_args", without(1), "TT835"),
    ("a large tensor", launch, f"{TENSOR}/bytes_per_bank", 1 << 32, "TT836"),
    ("many buffers", launch, f"{CHIP}/circular_buffers", lambda buffers: buffers * 33, "TT836"),
    ("large buffers", launch, f"{CHIP}/l1_bytes", 1 << 22, "TT836"),
    ("bytes of L1", launch, f"{CHIP}/l1_bytes", plus(32), "TT837"),
    ("L1 that is left", launch, f"{CHIP}/l1_available_bytes", plus(-32), "TT837"),
    ("L1 that nobody knows", launch, f"{CHIP}/l1_available_bytes", None, "TT837"),
    ("buffers of a core", launch, f"{CHIP}/max_circular_buffers", 64, "TT837"),
    ("stages", launch, f"{CHIP}/circular_buffers/0/num_stages", 2, "TT837"),
    ("tiles of a buffer", launch, f"{CHIP}/circular_buffers/0/num_tiles", 4, "TT837"),
    ("bytes of a buffer", launch, f"{CHIP}/circular_buffers/0/size_bytes", plus(1), "TT837"),
    ("the shape of a buffer", launch, f"{CHIP}/circular_buffers/0/shape/0", 33, "TT837"),
    ("the dtype of a buffer", launch, f"{CHIP}/circular_buffers/0/dtype", "float32", "TT837"),
    ("the dtype of nothing", launch, f"{CHIP}/circular_buffers/0/dtype", "float99999", "TT837"),
    ("a format of a buffer", launch, f"{CHIP}/circular_buffers/0/data_format", "none", "TT837"),
    ("tiles of the inputs", launch, f"{INPUTS}/tile_height", 16, "TT837"),
    ("no tiles of the inputs", launch, f"{INPUTS}/tile_height", 24, "TT829"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "pointer", "value", "code"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_fault(make, pointer, value, code):
    plan = make()
    prove(plan)
    report = edit(plan, pointer, value).check()
    assert code in codes(report), str(report)
    assert all(re.fullmatch(r"(/\w+)+", finding.where) for finding in report.findings)
    with pytest.raises(errors.PlanError) as caught:
        report.raise_if_findings()
    assert set(caught.value.codes) == set(codes(report))


def test_one_fault_is_one_finding():
    """What is derived of a number is derived of the right one."""
    for pointer in (f"{TENSOR}/num_pages", f"{TENSOR}/page_size_bytes", f"{TENSOR}/num_banks", f"{LAUNCH}/num_tiles"):
        report = edit(launch(), pointer, plus(1)).check()
        assert [finding.where for finding in report.findings] == [pointer]


# ---- size ----------------------------------------------------------------------------------------------------------


def wide(tiles, **inputs):
    return make_plan(copy_kernel((tiles * 32, 32), "bfloat16", (tiles, 1, 1)), **inputs)


@pytest.mark.parametrize("policy", ["contiguous", "strided", "rectangular", "block_cyclic"])
@pytest.mark.parametrize("tiles", [10**6, 10**9 + 7])
def test_large_grids(policy, tiles):
    block = {"schedule_block_size": 7} if policy == "block_cyclic" else {}
    plan = make_plan(copy_kernel((1000 * 32, 1000 * 32), "bfloat16", (tiles, 1, 1)), schedule_policy=policy, **block)
    tracemalloc.start()
    start = time.perf_counter()
    report = plan.check()
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.num_work_tiles == tiles, str(report)
    assert seconds < 5  # of a busy machine; benchmarks/plan.py has the real time
    assert peak < 1 << 26
    broken = edit(plan, f"{RUNS}/3/length", plus(1)).check()
    assert {"TT821", "TT824"} <= set(codes(broken))


def test_too_many_strides():
    plan = wide(1 << 23, schedule_policy="strided", cores=[[0, 0, 3, 0]])
    assert codes(edit(plan, f"{RUNS}/1/stride", 3).check())[:1] == ["TT839"]


def test_too_many_sub_blocks():
    plan = make_plan(kernels_tirx.gemm(), device=Device.from_name("wormhole_n150").replace(dst_tiles=1 << 40))
    if plan.kernel().launches[0].on_chip.accumulators:
        assert "TT839" in codes(plan.check())


def test_findings_are_bounded():
    plan = make_plan(staged, schedule_policy="strided")
    many = edit(plan, f"{RUNS}", lambda runs: tuple(edit(run, "/length", 2) for run in runs) * 10)
    report = many.check()
    assert max(map(codes(report).count, codes(report))) <= 20
    assert report.num_omitted > 0
    assert str(report).endswith(f"and {report.num_omitted} more")


def test_report():
    plan = launch()
    report = plan.check()
    assert report
    assert str(report) == "no findings; proven: 206 work tiles, 60 pages and 57,600 elements"
    report.raise_if_findings()
    wrong = edit(plan, f"{TENSOR}/num_banks", 13).check()
    message = "found 13; expected 12, the banks of dram of wormhole_n150"
    assert wrong.findings == (Finding("TT833", f"{TENSOR}/num_banks", message),)
    assert str(wrong) == (
        "1 finding; proven all the same: 206 work tiles, 30 pages and 28,800 elements\n"
        f"TT833: /kernels/0/buffers/0/num_banks: {message}"
    )
    assert not wrong


def test_texts_are_refused_wherever_they_are():
    for pointer in (f"{LAUNCH}/num_tiles", f"{TENSOR}/shape/0", f"{CHIP}/circular_buffers/0/num_tiles"):
        with pytest.raises(errors.PlanError, match="TT820: kernel `staged`: /kernels/0/"):
            edit(launch(), pointer, "n").check()


# ---- every single value --------------------------------------------------------------------------------------------

# What the plan says and nothing else in it does: texts for people, what only the kernel or the user knows, and choices
# with which the rest of the plan is right too.
FREE = re.compile(
    r"/provenance/.*"
    r"|/kernels/#/(name|device/.*|shape_variables/#|warnings/.*)"
    r"|/kernels/#/inputs/(cores/#/#|core_order|schedule_policy|schedule_order|swizzle_panel|layout_type|data_format"
    r"|tile_height|tile_width)"
    r"|/kernels/#/launches/#/runtime_arguments/#/(name|dtype|reason)"  # of scalars, and of kt_tiles
    r"|/kernels/#/launches/#/on_chip/circular_buffers/#/(name|scope|shape/#)"
    r"|/kernels/#/launches/#/traffic/.*"  # what the kernel does, which the plan only repeats
    r"|/kernels/#/buffers/#/(dtype|access|padding_value|shard/orientation)"
)
# Only the kernel knows how many tiles its products sum over, and whether it has any.
KT_TILES = re.compile(r"/kernels/#/launches/#/runtime_arguments/4/(value|source)")


def changes(value):
    """Other values of the same kind; a text becomes each word that a plan has somewhere."""
    if value is None:
        return [1]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, 0, (1 << 63) - 1]
    return [f"{value}?", "row_major", "column_major", "common", "kernel", "float32", "Bfp8_b"]


def sharded(name, **inputs):
    shape, layout = SHARDS[name]
    return make_plan(annotate_tt_layout(copy_kernel(shape), "A", layout), **inputs)


PLANS = {
    "contiguous": launch,
    "cyclic": cyclic,
    "several launches": several,
    "gemm": lambda: make_plan(kernels_tirx.gemm(), schedule_policy="rectangular", schedule_order="column_major"),
    "float16": lambda: make_plan(kernels_tirx.gemm_bias_relu(), data_format="Bfp8_b"),
    **{name: lambda name=name: sharded(name) for name in ("height", "block", "nd of three", "contiguous", "rows")},
}


def survivors(plan):
    for pointer, value in leaves(plan):
        place = re.sub(r"/(?!4/)\d+", "/#", pointer) if "arguments/4" in pointer else re.sub(r"/\d+", "/#", pointer)
        if FREE.fullmatch(re.sub(r"/\d+", "/#", pointer)) or KT_TILES.fullmatch(place):
            continue
        if value is None and re.search(r"(shard|tile_range|persistent|source)$", pointer):
            continue  # a record, which a file cannot have a number for
        for other in changes(value):
            if other != value and edit(plan, pointer, other).check():
                yield pointer, value, other


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_every_value_counts(make):
    """A plan in which any one number, word or truth value is another one is not right, but for those that are free."""
    plan = make()
    prove(plan)
    assert [*survivors(plan)] == []


@given(st.sampled_from([launch, cyclic, height]), st.data())
def test_absurd_plans_are_findings(make, data):
    """Several values at once, as large as a file may have them; nothing crashes, and nothing takes long."""
    plan = make()
    places = [pointer for pointer, value in leaves(plan) if type(value) is int and "/device/" not in pointer]
    for pointer in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=5)):
        value = data.draw(st.one_of(st.integers(0, 9), st.integers(0, (1 << 63) - 1), st.just((1 << 63) - 1)))
        plan = edit(plan, pointer, value)
    start = time.perf_counter()
    str(plan.check())
    assert time.perf_counter() - start < 5


# ---- the same, slowly ----------------------------------------------------------------------------------------------


def walk(runs, num_tiles):
    """Which of the faults of work tiles there are, by listing them."""
    done = [run.start + turn * run.stride + i for run in runs for turn in range(run.repeat) for i in range(run.length)]
    inside = [tile for tile in done if tile < num_tiles]
    return {
        code
        for code, is_wrong in {
            "TT821": len(inside) > len(set(inside)) or any(run.stride < run.length and run.repeat > 1 for run in runs),
            "TT822": set(inside) < set(range(num_tiles)),
            "TT823": len(inside) < len(done),
        }.items()
        if is_wrong
    }


RUN_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "start": st.integers(0, 40),
        "length": st.integers(1, 6),
        "stride": st.integers(0, 12),
        "repeat": st.integers(1, 5),
    },
)


@given(
    st.tuples(*[st.integers(1, 4)] * 3),
    st.sampled_from(
        [
            {"schedule_policy": "contiguous"},
            {"schedule_policy": "strided"},
            {"schedule_policy": "block_cyclic", "schedule_block_size": 3},
            {"schedule_policy": "rectangular", "cores": [[0, 0, 1, 2]]},
        ]
    ),
    st.lists(st.tuples(st.integers(0, 99), RUN_FIELDS), max_size=3),
)
def test_work_tiles_are_those_that_a_list_has(grid, inputs, edits):
    plan = make_plan(copy_kernel(grid=grid), **{"cores": [[0, 0, 2, 1]], **inputs})
    runs = list(plan.kernel().launches[0].tile_runs)
    for place, values in edits:
        runs[place % len(runs)] = replace(runs[place % len(runs)], **values)
    report = edit(plan, RUNS, tuple(runs)).check()
    walked = walk(runs, prod(grid))
    assert set(codes(report)) & {"TT821", "TT822", "TT823"} == walked
    assert report.num_work_tiles == (0 if walked else prod(grid))


def place_pages(buffer, device):
    """What is wrong with where the plan's numbers put elements and pages, one after the other; None if nothing is."""
    height, width = buffer.tile_shape
    *batch, down, across = (1, 1, *buffer.shape)
    *_, padded_down, padded_across = (1, 1, *buffer.padded_shape)
    columns, rows = padded_across // width, padded_down // height
    elements = {}
    for matrix, i, j in product(range(prod(batch)), range(down), range(across)):
        page = (matrix * rows + i // height) * columns + j // width
        place = page, i % height, j % width
        if page >= buffer.num_pages or i >= padded_down or j >= padded_across or place in elements:
            return "an element"
        elements[place] = matrix, i, j
    taken = {}
    for page in range(buffer.num_pages):
        bank, slot = slot_of(buffer, page)
        core = buffer.shard.cores[bank] if buffer.shard and bank < len(buffer.shard.cores) else bank
        first = slot * buffer.aligned_page_size_bytes
        size = height * width * {"float32": 4, "bfloat16": 2}[buffer.dtype]
        if bank >= (len(buffer.shard.cores) if buffer.shard else device.dram_banks):
            return "a bank"
        if first + size > buffer.bytes_per_bank or first % device.dram_alignment:
            return "a page"
        for byte in range(first, first + size, 16):
            if taken.setdefault((core, byte // 16), page) != page:
                return "an overlap"
    return None


def slot_of(buffer, page):
    if buffer.shard is None:
        return page % buffer.num_banks, page // buffer.num_banks
    shard, steps = buffer.shard, []
    for extent in reversed(buffer.shard.tensor_pages):
        page, place = divmod(page, extent)
        steps.insert(0, place)
    number = within = 0
    for place, part, shards in zip(steps, shard.shard_pages, shard.shard_grid, strict=True):
        number, within = number * shards + place // part, within * part + place % part
    return number % buffer.num_banks, number // buffer.num_banks * shard.pages_per_shard + within


SMALL = [
    copy_kernel((3, 5, 70), "bfloat16"),
    copy_kernel((33,), "float32"),
    *(
        annotate_tt_layout(copy_kernel((100, 96)), "A", Layout(memory="dram", shard=shard))
        for shard in (Shard.nd((32, 32), [(0, 0, 4, 0)]), Shard.height((64, 96), [(1, 0, 5, 0)]))
    ),
]


@given(st.sampled_from(SMALL), st.data())
def test_pages_lie_where_a_walk_puts_them(func, data):
    """What the walk finds, the check finds; it may find more, such as bytes that nothing uses."""
    plan = make_plan(func)
    device = plan.kernel().device
    assert place_pages(plan.kernel().buffers[0], device) is None
    names = (
        "num_pages|num_banks|bytes_per_bank|aligned_page_size_bytes|padded_shape/.*"
        "|shard/(cores|tensor_pages|shard_pages|shard_grid|pages).*"
    )
    places = [
        pointer
        for pointer, value in leaves(plan)
        if type(value) is int and re.fullmatch(f"{TENSOR}/({names})", pointer)
    ]
    pointer = data.draw(st.sampled_from(places))
    changed = edit(plan, pointer, data.draw(st.integers(1, 12)) if data.draw(st.booleans()) else lambda old: old * 2)
    if place_pages(changed.kernel().buffers[0], device):
        assert not changed.check()
