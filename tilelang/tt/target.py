"""The inputs that the inference passes start from."""

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING

from . import transform
from .device import Device
from .passes import run_on_kernels

if TYPE_CHECKING:
    from .passes import ModuleOrFunc


def _as_lists(cores: Sequence[Sequence[int]]) -> object:
    """Plain lists, which the IR can hold, of ranges and numpy arrays; the pass refuses what is none."""
    try:
        return [[index(corner) for corner in rectangle] for rectangle in cores]
    except TypeError:
        return cores


def apply_tt_defaults(
    mod: "ModuleOrFunc",
    *,
    device: str | Device | None = None,
    cores: Sequence[Sequence[int]] | None = None,
    core_order: str | None = None,
    schedule_policy: str | None = None,
    schedule_block_size: int | None = None,
    schedule_order: str | None = None,
    swizzle_panel: int | None = None,
    layout_type: str | None = None,
    tile_height: int | None = None,
    tile_width: int | None = None,
    data_format: str | None = None,
) -> "ModuleOrFunc":
    """Complete the inputs of every kernel: what the user set stays, the rest gets its default.

    Each argument becomes the attribute ``tt_<argument>`` and wins over one that is there already.
    Where an input changes, the results of earlier inference are dropped.

    Args:
        mod: An IRModule or a PrimFunc. It is not changed.
        device: The name of one of :func:`devices`, or a :class:`Device`, which may be derived from one or read from a
            file; default ``"wormhole_n150"``.
        cores: The cores to use, as inclusive rectangles ``[x0, y0, x1, y1]`` in the order in which
            they are numbered; default the device's whole worker grid. Cores that are the whole grid of the device
            that the kernel has had follow a new device.
        core_order: How the cores of a rectangle are numbered, ``"row_major"`` (default) or
            ``"column_major"``.
        schedule_policy: How work tiles are dealt to cores: ``"contiguous"`` (default; consecutive
            tiles), ``"strided"`` (one by one in turn), ``"block_cyclic"`` (blocks in turn) or
            ``"rectangular"`` (2-D blocks of the grid on the 2-D cores).
        schedule_block_size: Work tiles of a block of ``"block_cyclic"``, which needs it.
        schedule_order: How work tiles are numbered: ``"row_major"`` (default; x varies fastest),
            ``"column_major"`` (y does), or in panels ``"swizzled_row"`` or ``"swizzled_column"``; see
            :func:`tile_coordinates`.
        swizzle_panel: Rows or columns of a panel of the swizzled orders, which need it.
        layout_type: ``"dram_interleaved"`` (default): page i of a tensor lies in bank i modulo the
            banks of DRAM; ``"l1_interleaved"``: of the cores' L1.
        tile_height: Rows of a hardware tile, in elements; default 32.
        tile_width: Columns of a hardware tile, in elements; default 32.
        data_format: How float16 tensors are stored, ``"Float16"`` (the default, with a warning, as
            ttnn has no such tensors) or ``"Float16_b"``, which is bfloat16; or how all floating
            tensors are stored, ``"Bfp8_b"`` or ``"Bfp4_b"``.

    Returns:
        The same kind of object as ``mod``.

    Raises:
        ArgumentError: ``mod`` is neither an IRModule nor a PrimFunc.
        NoKernelError: No function in it has a launch grid.
        OptionError: An input has a value that does not exist;
            :class:`~tilelang.tt.errors.DeviceError` and
            :class:`~tilelang.tt.errors.TileShapeError` are kinds of it.
        GridError: A launch grid is empty or contradictory, or depends on more than sizes.
    """
    pass_ = transform.ApplyTTDefaults(
        device=device,
        cores=None if cores is None else _as_lists(cores),
        core_order=core_order,
        schedule_policy=schedule_policy,
        schedule_block_size=schedule_block_size,
        schedule_order=schedule_order,
        swizzle_panel=swizzle_panel,
        layout_type=layout_type,
        tile_height=tile_height,
        tile_width=tile_width,
        data_format=data_format,
    )
    return run_on_kernels(pass_, mod, "defaults")
