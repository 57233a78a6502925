"""Running the passes, and small kernels to run them on."""

from .host import T  # isort: skip  # the host comes before tvm

import tvm
from tvm import tirx

from tilelang.tt import apply_tt_defaults, infer_default_tt_schedule, infer_default_tt_shard

INPUTS = {
    "tt_device": "wormhole_n150",
    "tt_cores": [[0, 0, 7, 7]],
    "tt_core_order": "row_major",
    "tt_schedule_policy": "contiguous",
    "tt_schedule_order": "row_major",
    "tt_layout_type": "dram_interleaved",
    "tt_tile_height": 32,
    "tt_tile_width": 32,
}
# Inputs that are there only where somebody has given them.
OPTIONAL_INPUTS = ("tt_schedule_block_size", "tt_swizzle_panel", "tt_data_format")


def infer(mod, **inputs):
    """The main job."""
    return infer_default_tt_shard(infer_default_tt_schedule(apply_tt_defaults(mod, **inputs)))


def module(func, name="main"):
    return tvm.IRModule({name: func})


def bare(grid=(1, 1, 1), buffers=(), **attrs):
    """A function without a body, on a grid that its attributes state."""
    func = tirx.PrimFunc(
        [tirx.decl_buffer(shape, dtype, name=name) for name, shape, dtype in buffers], tirx.Evaluate(0)
    )
    grid_attrs = {f"tl_grid_{axis}": extent for axis, extent in zip("xyz", grid, strict=True) if extent is not None}
    return func.with_attrs({"global_symbol": "main", **grid_attrs, **attrs})


def copy_kernel(shape=(64, 96), dtype="float32", grid=(3, 2, 1)):
    """C = A, launched on a grid of any size; what a grid cell copies does not matter here."""
    zeros = [0] * len(shape)

    @T.prim_func
    def main(A: T.Buffer(shape, dtype), C: T.Buffer(shape, dtype)):
        bx = T.launch_thread("blockIdx.x", grid[0])
        by = T.launch_thread("blockIdx.y", grid[1])
        bz = T.launch_thread("blockIdx.z", grid[2])
        T.evaluate(bx + by + bz)
        C[tuple(zeros)] = A[tuple(zeros)]

    return main


def plain(value):
    """IR containers as Python's own, with numbers and truth values kept apart."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, int)):
        return value
    if hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value]


def tt_attrs(func) -> dict:
    """All tt_* attributes of a function."""
    return {str(key): plain(value) for key, value in func.attrs.items() if key.startswith("tt_")}


def results(func) -> dict:
    return {key: value for key, value in tt_attrs(func).items() if key not in {*INPUTS, *OPTIONAL_INPUTS}}
