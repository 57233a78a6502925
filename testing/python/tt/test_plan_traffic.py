"""What cores move by a plan, against a walk over every core, work tile, loop and element in plain Python."""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kernels_tirx
from support.infer import infer
from test_traffic import executions, number

from tilelang.tt import Device, Layout, Shard, annotate_tt_layout, buffer_attrs, errors, page_location
from tilelang.tt.plan import BufferTraffic, Plan, figures, make_plan, model

N150 = Device.from_name("wormhole_n150")
ON_CHIP = model.OnChip((), 32, 0, None, ())
pytestmark = [pytest.mark.stage("plan"), pytest.mark.filterwarnings("ignore::tilelang.tt.errors.TTWarning")]


def buffer(shape, tile=(32, 32), num_banks=12, index=0):
    """A tensor of bfloat16 in tiles, or with pages that are rows."""
    matrix = [1, *shape][-2:] if tile else None
    tiles = [-(-extent // size) for extent, size in zip(matrix, tile, strict=True)] if tile else [None, None]
    pages = prod(shape[:-2]) * prod(tiles) if tile else prod(shape[:-1])
    size = 2 * prod(tile) if tile else 2 * shape[-1]
    return model.Buffer(
        name=f"T{index}",
        param_index=index,
        dtype="bfloat16",
        shape=tuple(shape),
        access="read",
        memory="dram",
        layout="dram_interleaved",
        page_layout="tile" if tile else "row_major",
        tile_shape=tile,
        num_tiles_height=tiles[0],
        num_tiles_width=tiles[1],
        num_matrices=prod(shape[:-2]),
        padded_shape=tuple(shape),
        padding_value=None,
        padding_bytes=0,
        padding_percent=0,
        data_format="Float16_b",
        page_size_bytes=size,
        aligned_page_size_bytes=-(-size // 32) * 32,
        num_pages=pages,
        num_banks=num_banks,
        bytes_per_bank=0,
        shard=None,
        accessor_compile_time_args=(),
    )


def kernel(grid, runs, buffers, transfers, products=(), cores=((0, 0, 3, 1),), core_order="row_major", device=N150):
    inputs = model.Inputs(
        cores, core_order, "contiguous", None, "row_major", None, "dram_interleaved", 32, 32, None
    )  # fmt: skip
    launch = model.Launch(
        grid=grid,
        num_tiles=prod(grid),
        num_active_cores=len({run.core for run in runs}),
        core_ranges=cores,
        tile_runs=tuple(runs),
        tile_range=None,
        persistent=None,
        runtime_arguments=(),
        on_chip=ON_CHIP,
        traffic=model.Traffic(tuple(transfers), tuple(products)),
    )
    return model.Kernel("main", device, inputs, (), (launch,), tuple(buffers), ())


# ---- the oracle ------------------------------------------------------------------------------------------------------


@cache
def pages_of_box(tensor, box):
    """The pages of all elements of a box."""
    inside = [
        range(max(0, start), min(start + extent, size)) for (start, extent), size in zip(box, tensor.shape, strict=True)
    ]
    found = set()
    for element in product(*inside):
        if tensor.tile_shape is None:
            grid, at = [*tensor.shape[:-1], 1], [*element[:-1], 0]
        else:
            *leading, row, column = [0, *element] if len(element) == 1 else element
            height, width = tensor.tile_shape
            grid = [*tensor.shape[:-2], tensor.num_tiles_height, tensor.num_tiles_width]
            grid = grid[-len(leading) - 2 :] if len(element) > 1 else grid[-2:]
            leading = leading if len(element) > 1 else []
            at = [*leading, row // height, column // width]
        page = 0
        for position, extent in zip(at, grid, strict=True):
            page = page * extent + position
        found.add(page)
    return frozenset(found)


def walk(plan, launch):
    """(core, its turn, cell, the transfer's position, pages) of every execution."""
    x, y, _ = launch.grid
    turns = Counter()
    for run in launch.tile_runs:
        for repeat, i in product(range(run.repeat), range(run.length)):
            tile = run.start + repeat * run.stride + i
            turn, turns[run.core] = turns[run.core], turns[run.core] + 1
            cell = {"bx": tile % x, "by": tile // x % y, "bz": tile // (x * y)}
            for position, transfer in enumerate(launch.traffic.transfers):
                tensor = next(one for one in plan.buffers if one.param_index == transfer.param_index)
                loops = [(loop.name, loop.trips) for loop in transfer.loops]
                for names in executions(loops, cell):
                    yield run.core, turn, tuple(cell.items()), position, pages_of_box(tensor, box_of(transfer, names))


def box_of(transfer, names):
    return tuple(
        (number(start, names), number(extent, names))
        for start, extent in zip(transfer.start, transfer.extent, strict=True)
    )


@cache
def boxes_of(plan, transfer, cell):
    """The pages along each dimension, at every value that the loops have in any work tile."""
    (launch,) = plan.launches
    tensor = next(one for one in plan.buffers if one.param_index == transfer.param_index)
    cells = [dict(zip(("bx", "by", "bz"), at, strict=True)) for at in product(*map(range, launch.grid))]
    ranges, names = [], []
    for loop in transfer.loops:
        most = max(number(loop.trips, {**other, **dict.fromkeys(names, 0)}) for other in cells)
        names.append(loop.name)
        ranges.append(range(max(most, 1)))
    out = []
    for at in product(*ranges):
        box = box_of(transfer, {**dict(cell), **dict(zip(names, at, strict=True))})
        whole = tuple((0, size) for size in tensor.shape)
        out += [pages_of_box(tensor, (*whole[:dim], box[dim], *whole[dim + 1 :])) for dim in range(len(box))]
    return tuple(out)


def expected(plan, bank_of=None):
    """The traffic of each tensor: bytes by core and by bank, distinct ones, and what a multicast saves."""
    (launch,) = plan.launches
    cores = []
    for x0, y0, x1, y1 in plan.inputs.cores:
        rows, columns = range(y0, y1 + 1), range(x0, x1 + 1)
        by_row = plan.inputs.core_order == "row_major"
        cores += [(x, y) for y in rows for x in columns] if by_row else [(x, y) for x in columns for y in rows]
    out = []
    executed = list(walk(plan, launch))
    for tensor in plan.buffers:
        page = tensor.aligned_page_size_bytes
        row = {}
        for access in ("read", "write"):
            by_core, by_bank, seen = Counter(), Counter(), set()
            for core, _, _, position, pages in executed:
                transfer = launch.traffic.transfers[position]
                if transfer.param_index != tensor.param_index or transfer.access not in (access, "read_write"):
                    continue
                by_core[core] += page * len(pages)
                for one in pages:
                    by_bank[one % tensor.num_banks if bank_of is None else bank_of(one)] += page
                seen |= pages
            row[access] = (
                [by_core[core] for core in range(len(cores))],
                [by_bank[bank] for bank in range(tensor.num_banks)],
                page * len(seen),
            )
        saved = 0
        for position, transfer in enumerate(launch.traffic.transfers):
            if transfer.param_index != tensor.param_index or transfer.access == "write":
                continue
            moved, boxes = Counter(), {}
            for core, turn, cell, own, pages in executed:
                if own == position:
                    moved[core, turn] += len(pages)
                    boxes[core, turn] = boxes_of(plan, transfer, cell)
            lines = [{}, {}]
            for (core, turn), times in moved.items():
                for axis in (0, 1):
                    lines[axis].setdefault((cores[core][axis], turn, boxes[core, turn]), []).append(times)
            saved += max(sum(sum(times) - max(times) for times in line.values()) for line in lines)
        out.append((*row["read"], *row["write"], saved * page))
    return out


def found(plan):
    (launch,) = figures(plan).launches
    return [
        (
            one.read_bytes_per_core.tolist(),
            one.read_bytes_per_bank.tolist(),
            one.distinct_read_bytes,
            one.written_bytes_per_core.tolist(),
            one.written_bytes_per_bank.tolist(),
            one.distinct_written_bytes,
            one.multicast_saved_bytes,
        )
        for one in launch.buffers
    ]


# ---- drawn plans -----------------------------------------------------------------------------------------------------

STARTS = [
    "bx * 5", "by * 4 - 3", "k * 7", "bx * 6 + k * 3", "bz", "(bx + by) % 3 * 4", "min(bx * 8, 9)", "max(by - 1, 0)",
    "(bx * 2 + by) // 3", "-k + 5", 0, 3, -2,
]  # fmt: skip
EXTENTS = [1, 3, 8, 40, "max(0, min(6, 13 - bx * 5))", "k + 1"]
LOOPS = [(), (("k", 3),), (("k", "bx + 1"),), (("k", "2 - bx"),), (("when", "min(1, max(0, by - bx + 1))"), ("k", 2))]


@st.composite
def kernels(draw):
    grid = tuple(draw(st.integers(1, 4)) for _ in range(3))
    cores = draw(st.sampled_from([((0, 0, 3, 1),), ((0, 0, 0, 2), (2, 1, 3, 2)), ((1, 1, 1, 1),)]))
    num_cores = sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in cores)
    # Some cores have several runs, some none.
    runs, tile, core = [], 0, 0
    while tile < prod(grid):
        length = min(draw(st.integers(1, 5)), prod(grid) - tile)
        runs.append(model.TileRun(core, tile, length, 0, 1))
        tile += length
        core = min(core + draw(st.integers(0, 2)), num_cores - 1)
    buffers, transfers = [], []
    for index in range(draw(st.integers(1, 2))):
        shape = draw(st.lists(st.integers(1, 20), min_size=0, max_size=4))
        tile_shape = draw(st.sampled_from([(4, 8), (2, 2), (1, 16), None]))
        tile_shape = tile_shape if shape or tile_shape is None else None
        shape = shape or ([1] if tile_shape is None else shape)
        buffers.append(buffer(shape, tile_shape, draw(st.integers(1, 5)), index))
        for _ in range(draw(st.integers(0, 2))):
            loops = draw(st.sampled_from(LOOPS))
            names = {name for name, _ in loops}

            def usable(size, names=names):
                return isinstance(size, int) or "k" not in size or "k" in names

            start = tuple(draw(st.sampled_from(STARTS).filter(usable)) for _ in shape)
            extent = tuple(draw(st.sampled_from(EXTENTS).filter(usable)) for _ in shape)
            access = draw(st.sampled_from(["read", "write", "read_write"]))
            transfers.append(
                model.Transfer(index, access, start, extent, tuple(model.TrafficLoop(*loop) for loop in loops), None)
            )
    return kernel(
        grid, runs, buffers, transfers, cores=cores, core_order=draw(st.sampled_from(["row_major", "column_major"]))
    )


@settings(max_examples=60, deadline=None)
@given(kernels())
def test_any_plan(plan):
    assert found(plan) == expected(plan)


# ---- kernels ---------------------------------------------------------------------------------------------------------

GEMM = {"M": 96, "N": 160, "K": 64, "block_M": 32, "block_N": 32}


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"schedule_policy": "strided", "core_order": "column_major", "cores": [[0, 0, 1, 2]]},
        {"schedule_policy": "block_cyclic", "schedule_block_size": 2, "cores": [[0, 0, 1, 1]]},
        {"tile_height": 16, "tile_width": 16},
    ],
    ids=str,
)
def test_gemm(inputs):
    plan = make_plan(kernels_tirx.gemm(**GEMM), **inputs).kernel()
    assert found(plan) == expected(plan)


def test_tile_orders():
    """Which core has which cell follows the order of the work tiles."""
    sums = {}
    for order in ("row_major", "column_major"):
        plan = make_plan(kernels_tirx.gemm(**GEMM), schedule_order=order, cores=[[0, 0, 1, 1]])
        sums[order] = figures(plan).launches[0].buffers[0].multicast_saved_bytes
        assert figures(plan).dram_read_bytes == (3 * 5) * (2 + 2) * 2048
    assert sums["row_major"] != sums["column_major"]


SHARDS = {
    "height": Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 1, 1)])),
    "nd": Layout(memory="dram", shard=Shard.nd((32, 32), [(0, 0, 3, 0)])),
    "row_major": Layout(page_layout="row_major"),
    "contiguous": Layout(memory="l1", shard=Shard.nd((32, 32), [(0, 0, 2, 1)], distribution="contiguous_1d")),
}


@pytest.mark.parametrize("layout", SHARDS.values(), ids=SHARDS)
def test_banks_of_shards(layout):
    func = annotate_tt_layout(kernels_tirx.result_first(M=128, N=96), 1, layout)
    plan = make_plan(func).kernel()
    entry = buffer_attrs(infer(func), 1)
    (wanted,) = [row for row, tensor in zip(expected(plan), plan.buffers, strict=True) if tensor.param_index == 1]
    (traffic,) = [one for one in figures(plan).launches[0].buffers if one.param_index == 1]
    by_bank = np.zeros(entry["tt_num_banks"], np.int64)
    for page in range(entry["tt_num_pages"]):
        by_bank[page_location(entry, page).bank] += entry["tt_aligned_page_size"]
    if layout.page_layout == "row_major":
        by_bank *= 3  # whole rows, for each of three blocks of them
    assert traffic.read_bytes_per_core.tolist() == wanted[0]
    assert traffic.read_bytes_per_bank.tolist() == by_bank.tolist()


def test_million_work_tiles():
    """1024 x 1024 work tiles of one page each, and 64 that a row or column of them shares."""
    tensors = [
        buffer((32 * 1024, 32 * 64), index=0),
        buffer((32 * 64, 32 * 1024), index=1),
        buffer((32 * 1024,) * 2, index=2),
    ]
    loop = (model.TrafficLoop("k", 64),)
    transfers = [
        model.Transfer(0, "read", ("by * 32", "k * 32"), (32, 32), loop, None),
        model.Transfer(1, "read", ("k * 32", "bx * 32"), (32, 32), loop, None),
        model.Transfer(2, "write", ("by * 32", "bx * 32"), (32, 32), (), None),
    ]
    runs = [model.TileRun(core, core * 16384, 16384, 0, 1) for core in range(64)]
    plan = kernel((1024, 1024, 1), runs, tensors, transfers, cores=((0, 0, 7, 7),))
    a, b, c = figures(plan).launches[0].buffers
    assert a.read_bytes_per_core.tolist() == b.read_bytes_per_core.tolist() == [16384 * 64 * 2048] * 64
    assert (a.distinct_read_bytes, c.distinct_written_bytes) == (1024 * 64 * 2048, 2**20 * 2048)
    # All cores are in the same column of the grid at each turn, and in rows of their own.
    assert (a.multicast_saved_bytes, b.multicast_saved_bytes) == (0, 2**20 * 64 * 2048 * 7 // 8)


def test_multicast():
    """2 x 2 cores with a work tile each: A is shared along rows of cores, B along columns."""
    tensors = [buffer((64, 64), index=0), buffer((64, 64), index=1)]
    transfers = [
        model.Transfer(0, "read", ("by * 32", 0), (32, 64), (), None),
        model.Transfer(1, "read", (0, "bx * 32"), (64, 32), (), None),
    ]
    runs = [model.TileRun(core, core, 1, 0, 1) for core in range(4)]
    plan = kernel((2, 2, 1), runs, tensors, transfers, cores=((0, 0, 1, 1),))
    assert [one.multicast_saved_bytes for one in figures(plan).launches[0].buffers] == [2 * 2 * 2048] * 2
    assert figures(plan).multicast_saved_bytes == figures(plan).dram_read_bytes // 2


# ---- what is not known -----------------------------------------------------------------------------------------------


def one_transfer(transfer, shape=(64, 64)):
    return kernel((4, 1, 1), [model.TileRun(0, 0, 4, 0, 1)], [buffer(shape)], [transfer])


def loops(trips):
    return model.TrafficLoop("k", trips), model.TrafficLoop("l", trips)


@pytest.mark.parametrize(
    ("transfer", "reason"),
    [
        (model.Transfer(0, "read", (), (), (), "a while loop"), "a while loop"),
        (model.Transfer(0, "read", ("n", 0), (1, 1), (), None), "a size with n"),
        (
            model.Transfer(0, "read", ("k * 3 + l", 0), (1, 1), loops(9000), None),
            "indices that depend on too much at once",
        ),
        (model.Transfer(0, "read", (0, 0), (1, 1), loops(2**62), None), "more executions than can be counted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reasons(transfer, reason):
    plan = one_transfer(transfer)
    (one,) = figures(plan).launches[0].buffers
    assert one == BufferTraffic("T0", 0, "dram", reason=reason)
    assert figures(plan).unknown == (f"`T0`: {reason}",)
    assert figures(plan).dram_read_bytes is None


def test_symbolic_plan():
    plan = one_transfer(model.Transfer(0, "read", (0, 0), (1, 1), (), None))
    with pytest.raises(errors.PlanError, match="kernel main depends on m, n; expected numbers") as caught:
        figures(replace(plan, shape_variables=("m", "n")))
    assert caught.value.code == "TT850"


def test_whole_plan_of_one_kernel():
    plan = one_transfer(model.Transfer(0, "read", (0, 0), (64, 64), (), None))
    whole = Plan((plan,), model.Provenance("0", "none", ()))
    assert figures(whole).dram_read_bytes == figures(plan).dram_read_bytes == 4 * 4 * 2048
