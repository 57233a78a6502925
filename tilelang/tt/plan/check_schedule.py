"""That every work tile of every launch is executed exactly once, by the core that the policy says."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from .check_arguments import Run, Shares, check_arguments
from .findings import Findings, ceil_div, number, shown
from .model import CoreRange, Inputs, Kernel, Launch, TileRun

if TYPE_CHECKING:
    from .model import IntArray

Core: TypeAlias = tuple[int, int]
# Work tiles are counted on a grid of intervals; more of them than this take too much memory.
_MOST_CELLS = 1 << 22
_MOST_INTERVALS = 1 << 18
_LARGEST = (1 << 63) - 1
_POLICIES = ("contiguous", "strided", "block_cyclic", "rectangular")
_ORDERS = ("row_major", "column_major", "swizzled_row", "swizzled_column")


def check_schedule(kernel: Kernel, where: str, findings: Findings) -> int:
    """The work tiles of which it is proven that they are executed exactly once."""
    before = findings.total
    _check_inputs(kernel.inputs, f"{where}/inputs", findings)
    cores = _list_cores(kernel, f"{where}/inputs/cores", findings)
    knows_shares = cores is not None and findings.total == before
    proven = 0
    for position, launch in enumerate(kernel.launches):
        place = f"{where}/launches/{position}"
        num_tiles = _check_grid(launch, place, findings)
        if num_tiles is None:
            continue
        proven += _check_cover(launch, num_tiles, place, findings)
        if cores is not None:
            _check_active_cores(kernel, launch, cores, place, findings)
        if cores is not None and knows_shares:
            shares = _shares(kernel.inputs, launch, cores, num_tiles)
            _check_shares(launch, shares, place, findings)
            check_arguments(kernel, launch, shares, num_tiles, f"{place}/runtime_arguments", findings)
    return proven


def _check_inputs(inputs: Inputs, where: str, findings: Findings) -> None:
    policy, order = inputs.schedule_policy, inputs.schedule_order
    for name, value, known in (
        ("schedule_policy", policy, _POLICIES),
        ("schedule_order", order, _ORDERS),
        ("core_order", inputs.core_order, _ORDERS[:2]),
        ("layout_type", inputs.layout_type, ("dram_interleaved", "l1_interleaved")),
        ("data_format", inputs.data_format or "Float16", ("Float16", "Float16_b", "Bfp8_b", "Bfp4_b")),
    ):
        if value not in known:
            findings.add("TT838", f"{where}/{name}", f"found {shown(value)}; expected one of {', '.join(known)}")
    _expect_presence(inputs.schedule_block_size, policy == "block_cyclic", f"{where}/schedule_block_size", findings)
    _expect_presence(inputs.swizzle_panel, "swizzled" in order, f"{where}/swizzle_panel", findings)
    if policy == "rectangular" and "swizzled" in order:
        findings.add("TT838", f"{where}/schedule_order", f"found {shown(order)}; no rectangles have this order")


def _expect_presence(value: int | None, is_needed: bool, where: str, findings: Findings) -> None:
    if is_needed != (value is not None) or (value is not None and value < 1):
        expected = "1 or more, as policy and order have it" if is_needed else "null, as nothing uses it"
        findings.add("TT838", where, f"found {shown(value)}; expected {expected}")


def _list_cores(kernel: Kernel, where: str, findings: Findings) -> list[Core] | None:
    """The cores by their numbers; none where they cannot be used."""
    before = findings.total
    _check_ranges(kernel, kernel.inputs.cores, where, findings)
    if not kernel.inputs.cores:
        findings.add("TT825", where, "found no cores; expected at least one rectangle")
    if findings.total > before:
        return None
    cores = list(_cores_of(kernel.inputs.cores, kernel.inputs.core_order))
    columns, rows = {x for x, _ in cores}, {y for _, y in cores}
    if kernel.inputs.schedule_policy == "rectangular" and len(cores) != len(columns) * len(rows):
        findings.add("TT838", where, f"{len(cores)} cores fill no rectangle, which the policy needs")
    return cores


def _check_ranges(kernel: Kernel, ranges: tuple[CoreRange, ...], where: str, findings: Findings) -> None:
    """Adds a finding for a rectangle that leaves the worker grid, and for one that overlaps an earlier one."""
    columns, rows = kernel.device.worker_grid
    if len(ranges) > columns * rows:
        findings.add("TT825", where, f"found {len(ranges)} rectangles of {columns * rows} cores")
        return
    owner: dict[Core, int] = {}
    for position, range_ in enumerate(ranges):
        x0, y0, x1, y1 = range_
        if not (0 <= x0 <= x1 < columns and 0 <= y0 <= y1 < rows):
            message = f"{shown(range_)} is no rectangle of the {columns}x{rows} worker grid of {kernel.device.name}"
            findings.add("TT825", f"{where}/{position}", message)
            continue
        for core in _cores_of([range_], "row_major"):
            if owner.setdefault(core, position) != position:
                message = f"{shown(range_)} and {where}/{owner[core]} both have core {shown(core)}"
                findings.add("TT825", f"{where}/{position}", message)
                break


def _cores_of(ranges: Iterable[CoreRange], order: str) -> Iterator[Core]:
    """Rectangles follow each other in list order; the cores of one along its rows, or along its columns."""
    for x0, y0, x1, y1 in ranges:
        if order == "row_major":
            yield from ((x, y) for y in range(y0, y1 + 1) for x in range(x0, x1 + 1))
        else:
            yield from ((x, y) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1))


def _check_grid(launch: Launch, where: str, findings: Findings) -> int | None:
    """The work tiles that the grid has; none where it can have none."""
    grid = tuple(map(number, launch.grid))
    num_tiles = prod(grid)
    if len(grid) != 3 or min(grid) < 1 or num_tiles > _LARGEST:
        message = f"found {shown(grid)}; expected three extents of at least 1 whose product fits 63 bits"
        findings.add("TT827", f"{where}/grid", message)
        return None
    findings.expect("TT827", f"{where}/num_tiles", launch.num_tiles, num_tiles, f"the product of {shown(grid)}")
    return num_tiles


# ---- every work tile exactly once ----------------------------------------------------------------------------------


class _Pieces(NamedTuple):
    """Work tiles ``start + r * stride + i`` of all ``r < repeat`` and ``i < length``, of one stride for all."""

    stride: int
    start: "IntArray"
    length: "IntArray"
    repeat: "IntArray"


class _Cells(NamedTuple):
    """Rectangles on the work tiles written in rows: the sides ``row0 <= row < row1`` and likewise of columns."""

    row0: "IntArray"
    row1: "IntArray"
    column0: "IntArray"
    column1: "IntArray"


def _check_cover(launch: Launch, num_tiles: int, where: str, findings: Findings) -> int:
    before = findings.total
    where = f"{where}/tile_runs"
    runs = _check_inside(launch.tile_runs, num_tiles, where, findings)
    pieces = _pieces(runs, num_tiles)
    counts = pieces and _count(pieces, num_tiles)
    if counts is None:
        findings.add("TT839", where, "runs of so many different strides cannot be proven to be disjoint")
        return 0
    for tiles, (first, total) in counts.items():
        if tiles == "missing":
            findings.add("TT822", where, f"no core executes {_plural(total)}, of which the first is {first}")
        else:
            owners = [place for place, run in enumerate(launch.tile_runs) if _has(run, first)]
            cores = " and ".join(str(launch.tile_runs[place].core) for place in owners[:2])
            message = f"cores {cores} execute work tile {first}; executed more than once: {_plural(total)}"
            findings.add("TT821", f"{where}/{owners[-1]}", message)
    return num_tiles if findings.total == before else 0


def _plural(count: int) -> str:
    return f"{count} work tile{'s' * (count != 1)}"


def _has(run: TileRun, tile: int) -> bool:
    behind = tile - run.start
    if run.repeat == 1 or run.stride == 0:
        return 0 <= behind < run.length
    turn = min(behind // run.stride, run.repeat - 1)
    return behind >= 0 and behind - turn * run.stride < run.length


def _check_inside(runs: Iterable[TileRun], num_tiles: int, where: str, findings: Findings) -> list[Run]:
    """The runs without what lies beyond the grid, and with what overlaps itself said once."""
    out = []
    for position, run in enumerate(runs):
        start, length, stride, repeat = _plain(run)
        end = start + (repeat - 1) * stride + length
        if min(start, length - 1, repeat - 1) >= 0 and end <= num_tiles and (repeat == 1 or stride >= length):
            out.append((start, length, stride if repeat > 1 else 0, repeat))
            continue
        if length < 1 or repeat < 1 or start < 0 or stride < 0:
            findings.add("TT824", f"{where}/{position}", f"{shown(_plain(run))} is no run of work tiles")
            continue
        if repeat > 1 and stride < length:
            union = (repeat - 1) * stride + length
            message = f"core {run.core} executes {_plural(repeat * length - union)} of this run again"
            findings.add("TT821", f"{where}/{position}", message)
            length, stride, repeat = union, 0, 1
        kept = list(_clip(start, length, stride, repeat, num_tiles))
        out += kept
        outside = length * repeat - sum(piece[1] * piece[3] for piece in kept)
        if outside:
            message = f"found {_plural(outside)} beyond the grid, whose last one is {num_tiles - 1}"
            findings.add("TT823", f"{where}/{position}", message)
    return out


def _clip(start: int, length: int, stride: int, repeat: int, end: int) -> Iterator[Run]:
    """The part of a run below an end: whole repetitions, and a part of one."""
    stride = max(stride, 1)
    whole = max(0, min(repeat, (end - length - start) // stride + 1))
    if whole:
        yield start, length, stride if whole > 1 else 0, whole
    first = start + whole * stride
    if whole < repeat and first < end:
        yield first, end - first, 0, 1


def _pieces(runs: list[Run], num_tiles: int) -> _Pieces | None:
    """All runs in the commonest stride; runs of other strides as their intervals. None where those are too many."""
    start, length, stride, repeat = np.array(runs, np.int64).reshape(-1, 4).T
    repeats = repeat > 1
    strides, which = np.unique(stride[repeats], return_inverse=True)
    common = int(strides[np.bincount(which, repeat[repeats]).argmax()]) if len(strides) else num_tiles
    odd = repeats & (stride != common)
    if sum(repeat[odd].tolist()) > _MOST_INTERVALS:
        return None
    turns = np.concatenate([np.arange(0), *map(np.arange, repeat[odd])])
    starts = np.repeat(start[odd], repeat[odd]) + turns * np.repeat(stride[odd], repeat[odd])
    return _Pieces(
        common,
        np.concatenate([start[~odd], starts]),
        np.concatenate([length[~odd], np.repeat(length[odd], repeat[odd])]),
        np.concatenate([repeat[~odd], np.ones_like(starts)]),
    )


def _cells(pieces: _Pieces) -> _Cells:
    """The work tiles in rows of one stride: a run is one rectangle or, around a row's end, two; an interval up to 3."""
    stride, start, length, repeat = pieces
    row, column = start // stride, start % stride
    last = start + length - 1
    last_row = last // stride
    wraps = last_row > row
    one = (row, row + repeat, column, np.where(wraps, stride, column + length))
    # Of a run that repeats, the part around the end of the row is as high as the run; a lone interval may
    # have whole rows between its first and its last one.
    tail = (last_row, last_row + repeat, np.zeros_like(row), last % stride + 1)
    body = (row + 1, last_row, np.zeros_like(row), np.full_like(row, stride))
    has_body = (repeat == 1) & (last_row > row + 1)
    parts = zip(one, (side[wraps] for side in tail), (side[has_body] for side in body), strict=True)
    return _Cells(*map(np.concatenate, parts))


def _count(pieces: _Pieces, num_tiles: int) -> dict[str, tuple[int, int]] | None:
    """The first and the number of those that are missing, and of those that are there again; none if it is too much."""
    everything = _Pieces(pieces.stride, *(np.array([value], np.int64) for value in (0, num_tiles, 1)))
    cells, grid = _cells(pieces), _cells(everything)
    rows = np.unique(np.concatenate([cells.row0, cells.row1, grid.row0, grid.row1]))
    columns = np.unique(np.concatenate([cells.column0, cells.column1, grid.column0, grid.column1]))
    if len(rows) * len(columns) > _MOST_CELLS:
        return None
    counts, inside = (_cover_counts(rectangles, rows, columns) for rectangles in (cells, grid))
    areas = np.diff(rows)[:, None] * np.diff(columns)
    found = {}
    for name, wrong in (("missing", (inside > 0) & (counts == 0)), ("again", counts > 1)):
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            found[name] = int(rows[row] * pieces.stride + columns[column]), int(np.sum(areas[wrong]))
    return found


def _cover_counts(cells: _Cells, rows: "IntArray", columns: "IntArray") -> "IntArray":
    """How many rectangles cover each cell between two rows and two columns."""
    steps = np.zeros((len(rows), len(columns)), np.int64)
    row0, row1 = np.searchsorted(rows, cells.row0), np.searchsorted(rows, cells.row1)
    column0, column1 = np.searchsorted(columns, cells.column0), np.searchsorted(columns, cells.column1)
    for row, column, step in ((row0, column0, 1), (row1, column0, -1), (row0, column1, -1), (row1, column1, 1)):
        np.add.at(steps, (row, column), step)
    counts: IntArray = steps.cumsum(0).cumsum(1)[:-1, :-1]
    return counts


# ---- by the core that the policy says ------------------------------------------------------------------------------


def _plain(run: TileRun) -> Run:
    return run.start, run.length, run.stride, run.repeat


def _shares(inputs: Inputs, launch: Launch, cores: list[Core], num_tiles: int) -> Shares:
    """The runs of every core, in their simplest form."""
    if inputs.schedule_policy == "contiguous":
        return [_simplest(runs) for runs in _contiguous(len(cores), num_tiles)]
    if inputs.schedule_policy == "rectangular":
        return [_simplest([run]) for run in _rectangular(inputs, launch, cores)]
    block = inputs.schedule_block_size or 1
    return [_simplest(_cyclic(core, len(cores), block, num_tiles)) for core in range(len(cores))]


def _contiguous(num_cores: int, num_tiles: int) -> Iterator[list[Run]]:
    base, rest = divmod(num_tiles, num_cores)
    first = 0
    for core in range(num_cores):
        count = base + (core < rest)
        yield [(first, count, 0, 1)]
        first += count


def _cyclic(core: int, num_cores: int, block: int, num_tiles: int) -> list[Run]:
    whole, rest = divmod(num_tiles, block)
    turns = ceil_div(max(whole - core, 0), num_cores)
    part = rest if whole % num_cores == core else 0
    return [(core * block, block, num_cores * block, turns), (whole * block, part, 0, 1)]


def _rectangular(inputs: Inputs, launch: Launch, cores: list[Core]) -> Iterator[Run]:
    """Of the grid as columns and rows, the same share for all columns of cores, and for all rows of them."""
    x, y, z = map(number, launch.grid)
    columns, rows = sorted({x for x, _ in cores}), sorted({y for _, y in cores})
    by_rows = inputs.schedule_order == "row_major"
    along, down = (x, z * y) if by_rows else (y, z * x)
    width = ceil_div(along, len(columns if by_rows else rows))
    height = ceil_div(down, len(rows if by_rows else columns))
    for core_x, core_y in cores:
        column, row = columns.index(core_x), rows.index(core_y)
        first, line = (column * width, row * height) if by_rows else (row * width, column * height)
        yield (line * along + first, min(width, along - first), along, min(height, down - line))


def _simplest(runs: list[Run]) -> list[Run]:
    """Without empty ones; intervals as such, and as one where they follow each other."""
    out: list[Run] = []
    for start, length, stride, repeat in runs:
        if length < 1 or repeat < 1:
            continue
        if repeat == 1 or stride == length:
            length, stride, repeat = length * repeat, 0, 1
            if out and out[-1][3] == 1 and out[-1][0] + out[-1][1] == start:
                start, length = out[-1][0], out.pop()[1] + length
        out.append((start, length, stride, repeat))
    return out


def _check_shares(launch: Launch, shares: Shares, where: str, findings: Findings) -> None:
    where = f"{where}/tile_runs"
    found, places = defaultdict(list), dict[int, int]()
    for position, run in enumerate(launch.tile_runs):
        found[run.core].append(_plain(run))
        places.setdefault(run.core, position)
    if list(places) != sorted(places) or any(core not in range(len(shares)) for core in places):
        message = f"found runs of the cores {shown(list(places))}; expected cores below {len(shares)} in their order"
        findings.add("TT825", where, message)
    for core, share in enumerate(shares):
        if found[core] != share:
            message = f"core {core} has the runs {shown(found[core])}; expected {shown(share)}"
            findings.add("TT824", f"{where}/{places[core]}" if core in places else where, message)


def _check_active_cores(kernel: Kernel, launch: Launch, cores: list[Core], where: str, findings: Findings) -> None:
    active = {run.core for run in launch.tile_runs}
    why = "the cores that have work tiles"
    findings.expect("TT826", f"{where}/num_active_cores", launch.num_active_cores, len(active), why)
    before = findings.total
    _check_ranges(kernel, launch.core_ranges, f"{where}/core_ranges", findings)
    if findings.total > before:
        return
    stated = set(_cores_of(launch.core_ranges, "row_major"))
    working = {cores[core] for core in active if core < len(cores)}
    for found, but in (
        (stated - working, "without work"),
        (working - stated, "left out with their work"),
    ):
        if found:
            findings.add("TT826", f"{where}/core_ranges", f"found cores {but}: {shown(sorted(found))}")
