"""The plans of the kernels in ``examples/gallery``, and what the gallery shows of each."""

import functools
import importlib.util
from pathlib import Path

import tilelang
from tilelang.tt import corerange_to_cores
from tilelang.tt.plan import make_plan

FOLDER = Path(__file__).parents[1] / "examples" / "gallery"
# The kernels, each with what its gallery entry is planned with.
KERNELS = {
    "gemm": {},
    "split_k_gemm": {"device": "blackhole_p150"},
    "dequant_gemm": {"device": "blackhole_p150", "schedule_policy": "rectangular"},
    "flash_attention": {"schedule_policy": "strided"},
    "conv2d": {"schedule_policy": "block_cyclic", "schedule_block_size": 2},
    "softmax": {},
}
CELL, GAP = 9, 2


@functools.cache
def plan_of(name):
    if getattr(tilelang, "__file__", None) is None:
        raise RuntimeError("the gallery needs TileLang: pip install torch==2.13.0, then '.[tilelang,docs]'")
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return make_plan(getattr(module, name)(), **KERNELS[name])


def work_of_cores(kernel):
    """How many work tiles each core of the worker grid has, by its place."""
    places = corerange_to_cores(kernel.inputs.cores, None, kernel.inputs.core_order == "row_major")
    work = dict.fromkeys(places, 0)
    for run in kernel.launches[0].tile_runs:
        work[places[run.core]] += run.length * run.repeat
    return work


def core_map(kernel):
    """The worker grid as SVG, in which a core is the darker the more work it has."""
    columns, rows = kernel.device.worker_grid
    work = work_of_cores(kernel)
    most = max(work.values())
    step = CELL + GAP
    cells = "".join(
        f'<rect class="{"core" if count else "idle"}" x="{x * step}" y="{y * step}" width="{CELL}" height="{CELL}" '
        f'fill-opacity="{count / most:.2f}"/>'
        for (x, y), count in work.items()
    )
    width, height = columns * step - GAP, rows * step - GAP
    label = f"{columns} x {rows} cores, {sum(map(bool, work.values()))} of them with work"
    return (
        f'<svg class="core-map" viewBox="-1 -1 {width + 2} {height + 2}" width="{width + 2}" height="{height + 2}" '
        f'role="img" aria-label="{label}">{cells}</svg>'
    )


def facts(kernel):
    """What one would ask first, in a line."""
    (launch,) = kernel.launches
    inputs, on_chip = kernel.inputs, launch.on_chip
    counts = sorted(count for count in work_of_cores(kernel).values() if count)
    share = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    grid = " x ".join(str(extent) for extent in launch.grid)
    size = sum(buffer.num_pages * buffer.page_size_bytes for buffer in kernel.buffers)
    padding = sum(buffer.padding_bytes for buffer in kernel.buffers)
    return (
        f"{grid} = {launch.num_tiles:,} work tiles, {inputs.schedule_policy}, {share} on each of "
        f"{launch.num_active_cores} cores of {kernel.device.name}; "
        f"{size / 1e6:.1f} MB in {len(kernel.buffers)} tensors, {padding / size:.1%} of it padding; "
        f"{on_chip.l1_bytes / 1024:.0f} of {on_chip.l1_available_bytes / 1024:.0f} KiB of each core's L1"
    )
