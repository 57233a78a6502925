"""What hypothesis draws for tests of kernels and passes: shapes, devices, policies, layouts, and whole kernels.

What is drawn is valid, and shrinks to what is small and usual: one work tile on the first core of ``wormhole_n150``.
"""

from math import prod
from typing import TYPE_CHECKING, Any

from ..device import Device
from ..device import devices as known_devices
from ..errors import refusal
from ..layout import Layout, Shard
from . import kernels as _kernels
from ._extra import extra

with extra():
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

_Rectangles = list[list[int]]

DTYPES = ("float32", "bfloat16", "int32", "uint32", "uint16", "uint8", "int8")
FLOATING = ("float32", "bfloat16")
POLICIES = ("contiguous", "strided", "block_cyclic", "rectangular")
ORDERS = ("row_major", "column_major")
SWIZZLED = ("swizzled_row", "swizzled_column")
KERNELS = ("copy", "add", "gemm", "row_sum")
_DEFAULT = known_devices()[0]


def grids(largest: int = 7) -> "SearchStrategy[tuple[int, int, int]]":
    """Launch grids ``(x, y, z)`` of one to three axes.

    Args:
        largest: The largest extent of an axis.
    """
    extent = st.just(1) | st.integers(1, largest)
    return st.tuples(extent, extent, extent)


def shapes(min_rank: int = 0, max_rank: int = 4, *, largest: int = 70) -> "SearchStrategy[tuple[int, ...]]":
    """Shapes of tensors, in elements, of a rank from 0 to 8.

    Args:
        min_rank: The fewest dimensions.
        max_rank: The most dimensions.
        largest: The largest extent.
    """
    return st.lists(st.integers(1, largest), min_size=min_rank, max_size=max_rank).map(tuple)


def dtypes() -> "SearchStrategy[str]":
    """The dtypes of tensors that every device stores, in every layout, as what they are."""
    return st.sampled_from(DTYPES)


@st.composite
def devices(draw: "DrawFn", *, derived: bool = True, partial: bool = False) -> Device:
    """Devices of the table, and what is derived from them: another dispatch, harvesting and worker grid.

    Args:
        draw: Given by hypothesis.
        derived: Whether to derive any.
        partial: Whether to draw those, too, of which numbers are not known that laying out tensors needs, which is
            refused with ``TT314``: the Grayskulls.
    """
    device = draw(st.sampled_from([one for one in known_devices() if partial or one.dram_alignment is not None]))
    if not derived or draw(st.booleans()):
        return device
    if device.arch != "grayskull":
        is_blackhole = device.arch == "blackhole"
        dispatches = ["column", "slow"] if is_blackhole else ["row", "column", "ethernet", "slow"]
        harvested = {"columns" if is_blackhole else "rows": draw(st.integers(0, 2))}
        device = device.with_dispatch(draw(st.sampled_from(dispatches))).with_harvested(**harvested)
    columns, rows = device.worker_grid
    grid = draw(st.integers(1, columns)), draw(st.integers(1, rows))
    return device.with_grid(*grid).replace(name=f"{device.name}_{grid[0]}x{grid[1]}")


@st.composite
def cores(draw: "DrawFn", worker_grid: tuple[int, int] = (8, 8), *, rectangle: bool = False) -> _Rectangles:
    """Cores as up to three disjoint rectangles ``[x0, y0, x1, y1]``, in any order.

    Args:
        draw: Given by hypothesis.
        worker_grid: The cores that there are, ``(columns, rows)``; default those of ``wormhole_n150``.
        rectangle: Whether they are one rectangle together, as policy ``"rectangular"`` wants it.
    """
    columns, rows = worker_grid
    strips: _Rectangles = []
    beyond = 0
    for number in range(draw(st.integers(1, 3))):
        left = beyond + (0 if number and rectangle else draw(st.integers(0, 2)))
        if number and left >= columns:
            break
        left = min(left, columns - 1)
        if number == 0 or not rectangle:
            top = draw(st.integers(0, rows - 1))
            bottom = draw(st.integers(top, rows - 1))
        beyond = draw(st.integers(left, columns - 1)) + 1
        strips.append([left, top, beyond - 1, bottom])
    return draw(st.permutations(strips)) if len(strips) > 1 else strips


@st.composite
def policies(draw: "DrawFn") -> dict[str, Any]:
    """How work tiles are dealt to cores: ``schedule_policy``, and what it needs beside.

    Args:
        draw: Given by hypothesis.
    """
    policy = draw(st.sampled_from(POLICIES))
    size = {"schedule_block_size": draw(st.integers(1, 12))} if policy == "block_cyclic" else {}
    return {"schedule_policy": policy, **size}


@st.composite
def tile_orders(draw: "DrawFn", *, swizzled: bool = True) -> dict[str, Any]:
    """How work tiles are numbered: ``schedule_order``, and ``swizzle_panel`` of those that have panels.

    Args:
        draw: Given by hypothesis.
        swizzled: Whether to draw those.
    """
    order = draw(st.sampled_from(ORDERS + SWIZZLED if swizzled else ORDERS))
    return {"schedule_order": order, **({"swizzle_panel": draw(st.integers(1, 9))} if order in SWIZZLED else {})}


@st.composite
def schedules(draw: "DrawFn", worker_grid: tuple[int, int] = (8, 8)) -> dict[str, Any]:
    """The arguments of :func:`tilelang.tt.apply_tt_defaults` that say which core runs what.

    Args:
        draw: Given by hypothesis.
        worker_grid: As of :func:`cores`.
    """
    policy = draw(policies())
    rectangular = policy["schedule_policy"] == "rectangular"
    return {
        **policy,
        **draw(tile_orders(swizzled=not rectangular)),
        "cores": draw(cores(worker_grid, rectangle=rectangular)),
        "core_order": draw(st.sampled_from(ORDERS)),
    }


@st.composite
def inputs(draw: "DrawFn", *, device: Device | None = None) -> dict[str, Any]:
    """Arguments of :func:`tilelang.tt.apply_tt_defaults` and :func:`tilelang.tt.plan.make_plan`.

    Args:
        draw: Given by hypothesis.
        device: The device of all; default any that :func:`devices` draws.
    """
    device = device or draw(devices())
    drawn: dict[str, Any] = {"device": device.name if device in known_devices() else device}
    if draw(st.booleans()):
        drawn |= draw(schedules(device.worker_grid))
    if draw(st.booleans()):
        height, width = draw(st.sampled_from(device.tile_shapes))
        drawn |= {"tile_height": height, "tile_width": width}
    if draw(st.booleans()):
        drawn["layout_type"] = draw(st.sampled_from(["dram_interleaved", "l1_interleaved"]))
    return drawn


@st.composite
def layouts(
    draw: "DrawFn", shape: tuple[int, ...], dtype: str = "bfloat16", *, worker_grid: tuple[int, int] = (8, 8)
) -> Layout:
    """Layouts for one tensor, as :func:`tilelang.tt.annotate_tt_layout` takes them: interleaved, or cut into shards.

    Args:
        draw: Given by hypothesis.
        shape: Of the tensor, which has to fit the L1 of one core.
        dtype: Of the tensor.
        worker_grid: As of :func:`cores`.
    """
    memory, page_layout = draw(st.sampled_from(["dram", "l1"])), draw(st.sampled_from(["tile", "row_major"]))
    tile, data_format, shard = None, None, None
    if page_layout == "tile":
        tile = draw(st.sampled_from(_DEFAULT.tile_shapes))
        data_format = draw(st.sampled_from([None, "Bfp8_b", "Bfp4_b"])) if dtype in FLOATING else None
    if memory == "l1" and len(shape) > 1 and draw(st.booleans()):
        shard = draw(_shards(shape, tile or (1, 1), worker_grid))
    return Layout(memory, page_layout, tile, data_format, shard)


@st.composite
def _shards(draw: "DrawFn", shape: tuple[int, ...], page: tuple[int, int], worker_grid: tuple[int, int]) -> Shard:
    """Shards of whole pages, of which the cores can take all."""
    columns, rows = (draw(st.integers(1, extent)) for extent in worker_grid)
    orientation, kind = draw(st.sampled_from(ORDERS)), draw(st.sampled_from(["height", "width", "block", "nd"]))
    pages = [*shape[:-2], *(-(-extent // step) for extent, step in zip(shape[-2:], page, strict=True))]
    height, width = prod(pages[:-1]), pages[-1]

    def cut(extent: int, parts: int) -> int:
        return draw(st.integers(-(-extent // parts), extent))

    distribution = None
    if kind == "nd":
        shard = [cut(extent, extent) for extent in pages]
        count = prod(-(-extent // part) for extent, part in zip(pages, shard, strict=True))
        # The other one gives all cores equally many shards.
        distributions = ["round_robin_1d", "contiguous_1d"] if count % (columns * rows) == 0 else ["round_robin_1d"]
        distribution = draw(st.sampled_from(distributions))
    elif kind == "block":
        down, across = (rows, columns) if orientation == "row_major" else (columns, rows)
        shard = [cut(height, down), cut(width, across)]
    elif kind == "height":
        shard = [cut(height, columns * rows), width]
    else:
        shard = [height, cut(width, columns * rows)]
    in_elements = (*shard[:-2], shard[-2] * page[0], shard[-1] * page[1])
    return Shard(kind, in_elements, ((0, 0, columns - 1, rows - 1),), orientation, distribution)


def kernels(*names: str, largest: int = 70, symbolic: bool = False) -> "SearchStrategy[PrimFunc]":
    """Kernels of :mod:`tilelang.tt.testing.kernels`, of sizes that blocks do not divide.

    A failing example shows the call that builds the kernel, such as ``gemm(M=33, N=1, K=5, block_M=16, ...)``.

    Args:
        *names: Which of them: ``"copy"``, ``"add"``, ``"gemm"`` and ``"row_sum"``; default all.
        largest: The largest extent of a tensor.
        symbolic: Whether some sizes are shape variables, of the name of the size.

    Raises:
        OptionError: There is no kernel of that name.
    """
    if unknown := set(names) - set(KERNELS):
        raise refusal("TT949", f"found {', '.join(sorted(unknown))}; expected any of: {', '.join(KERNELS)}")
    extent, block = st.integers(1, largest), st.sampled_from([16, 32, 8])

    def size(name: str) -> "SearchStrategy[int | str]":
        return extent | st.just(name) if symbolic else extent

    blocks = {"block_M": block, "block_N": block}
    floating = st.sampled_from(FLOATING)
    drawn = {
        "copy": st.builds(_kernels.copy, N=size("N"), block=block, dtype=dtypes()),
        "add": st.builds(_kernels.add, batch=st.integers(1, 3), M=size("M"), N=size("N"), **blocks, dtype=dtypes()),
        "gemm": st.builds(
            _kernels.gemm, M=size("M"), N=size("N"), K=size("K"), **blocks, block_K=block, dtype=floating
        ),
        "row_sum": st.builds(_kernels.row_sum, M=size("M"), N=extent, block_M=block, dtype=floating),
    }
    return st.one_of([drawn[name] for name in names or KERNELS])
