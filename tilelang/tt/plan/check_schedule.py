"""That every work tile of every launch is executed exactly once, by the core that the policy says."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from .findings import Findings, ceil_div, number, shown
from .model import CoreRange, Inputs, Kernel, Launch, RuntimeArgument, TileRun

if TYPE_CHECKING:
    from .model import IntArray

Core: TypeAlias = tuple[int, int]
# Work tiles are counted on a grid of intervals; more of them than this take too much memory.
_MOST_CELLS = 1 << 24
_MOST_INTERVALS = 1 << 20
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
            _check_arguments(kernel, launch, shares, num_tiles, f"{place}/runtime_arguments", findings)
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
            findings.add("TT822", where, f"no core executes {_plural(total)} from {first} on")
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


def _check_inside(
    runs: Iterable[TileRun], num_tiles: int, where: str, findings: Findings
) -> list[tuple[int, int, int, int]]:
    """The runs without what lies beyond the grid, and with what overlaps itself said once."""
    out = []
    for position, run in enumerate(runs):
        start, length, stride, repeat = run.start, run.length, run.stride, run.repeat
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


def _clip(start: int, length: int, stride: int, repeat: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The part of a run below an end: whole repetitions, and a part of one."""
    stride = max(stride, 1)
    whole = max(0, min(repeat, (end - length - start) // stride + 1))
    if whole:
        yield start, length, stride if whole > 1 else 0, whole
    first = start + whole * stride
    if whole < repeat and first < end:
        yield first, end - first, 0, 1


def _pieces(runs: list[tuple[int, int, int, int]], num_tiles: int) -> _Pieces | None:
    """All runs in the commonest stride; runs of other strides as their intervals. None where those are too many."""
    strides: Counter[int] = Counter()
    for _, _, stride, repeat in runs:
        if repeat > 1:
            strides[stride] += repeat
    common = strides.most_common(1)[0][0] if strides else num_tiles
    if strides.total() - strides[common] > _MOST_INTERVALS:
        return None
    starts, lengths, repeats = [], [], []
    for start, length, stride, repeat in runs:
        turns = range(repeat) if repeat > 1 and stride != common else range(1)
        starts += [start + turn * stride for turn in turns]
        lengths += [length] * len(turns)
        repeats += [repeat // len(turns)] * len(turns)
    return _Pieces(common, *(np.array(values, np.int64) for values in (starts, lengths, repeats)))


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


def _plain(run: TileRun) -> tuple[int, int, int, int]:
    return run.start, run.length, run.stride, run.repeat


def _shares(inputs: Inputs, launch: Launch, cores: list[Core], num_tiles: int) -> list[list[tuple[int, int, int, int]]]:
    """The runs of every core, in their simplest form."""
    if inputs.schedule_policy == "contiguous":
        return [_simplest(runs) for runs in _contiguous(len(cores), num_tiles)]
    if inputs.schedule_policy == "rectangular":
        return [_simplest([run]) for run in _rectangular(inputs, launch, cores)]
    block = inputs.schedule_block_size or 1
    return [_simplest(_cyclic(core, len(cores), block, num_tiles)) for core in range(len(cores))]


def _contiguous(num_cores: int, num_tiles: int) -> Iterator[list[tuple[int, int, int, int]]]:
    base, rest = divmod(num_tiles, num_cores)
    first = 0
    for core in range(num_cores):
        count = base + (core < rest)
        yield [(first, count, 0, 1)]
        first += count


def _cyclic(core: int, num_cores: int, block: int, num_tiles: int) -> list[tuple[int, int, int, int]]:
    whole, rest = divmod(num_tiles, block)
    turns = ceil_div(max(whole - core, 0), num_cores)
    part = rest if whole % num_cores == core else 0
    return [(core * block, block, num_cores * block, turns), (whole * block, part, 0, 1)]


def _rectangular(inputs: Inputs, launch: Launch, cores: list[Core]) -> Iterator[tuple[int, int, int, int]]:
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


def _simplest(runs: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Without empty ones; intervals as such, and as one where they follow each other."""
    out: list[tuple[int, int, int, int]] = []
    for start, length, stride, repeat in runs:
        if length < 1 or repeat < 1:
            continue
        if repeat == 1 or stride == length:
            length, stride, repeat = length * repeat, 0, 1
            if out and out[-1][3] == 1 and out[-1][0] + out[-1][1] == start:
                start, length = out[-1][0], out.pop()[1] + length
        out.append((start, length, stride, repeat))
    return out


def _check_shares(
    launch: Launch, shares: list[list[tuple[int, int, int, int]]], where: str, findings: Findings
) -> None:
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


# ---- what the kernel receives --------------------------------------------------------------------------------------


def _check_arguments(
    kernel: Kernel,
    launch: Launch,
    shares: list[list[tuple[int, int, int, int]]],
    num_tiles: int,
    where: str,
    findings: Findings,
) -> None:
    found = launch.runtime_arguments
    first = list(_schedule_arguments(launch, shares, num_tiles))
    expected: list[RuntimeArgument] = []
    for position, known in enumerate(first):
        stated = found[position] if position < len(found) else None
        expected.append(stated if known is None and stated is not None else known or _NO_KT_TILES)
    middle = found[len(first) : max(len(found) - len(kernel.buffers), len(first))]
    expected += middle
    taken = {argument.name for argument in expected}
    for buffer in kernel.buffers:
        name = _unused(f"{buffer.name}_addr", taken)
        taken.add(name)
        expected.append(
            RuntimeArgument(name, "uint32", "common", "buffer", "launch", None, None, param_index=buffer.param_index)
        )
    for position, argument in enumerate(expected):
        if position >= len(found):
            findings.add("TT828", where, f"argument {position} is missing; expected {argument.name}")
        else:
            _compare(found[position], argument, f"{where}/{position}", findings)
    for position in range(len(expected), len(found)):
        findings.add("TT828", f"{where}/{position}", f"found {shown(found[position].name)} after the last argument")
    if len(found) > _KT_TILES:
        _check_kt_tiles(found[_KT_TILES], middle, f"{where}/{_KT_TILES}", findings)
    for position, argument in enumerate(middle, len(first)):
        _check_kernel_argument(argument, f"{where}/{position}", findings)
    _check_names(found, where, findings)
    _check_parameters(kernel, middle, where, findings)


_KT_TILES = 4
_NO_KT_TILES = RuntimeArgument("kt_tiles", "uint32", "common", "none", "compile_time", 1, None, None)


def _schedule_arguments(
    launch: Launch, shares: list[list[tuple[int, int, int, int]]], num_tiles: int
) -> Iterator[RuntimeArgument | None]:
    """Those that the schedule gives; None in the place of kt_tiles."""

    def per_core(name: str, largest: int) -> RuntimeArgument:
        return RuntimeArgument(name, _word(largest), "per_core", "schedule", "launch", None, None, None)

    def common(name: str, value: int) -> RuntimeArgument:
        return RuntimeArgument(name, _word(value), "common", "schedule", "compile_time", value, None, None)

    x, y, z = map(number, launch.grid)
    yield per_core("start_id", num_tiles - 1)
    yield per_core("count", max(sum(run[1] * run[3] for run in runs) for runs in shares))
    yield common("grid_x", x)
    yield common("grid_y", y)
    yield None
    if z != 1:
        yield common("grid_z", z)
    if all(len(runs) < 2 and all(run[3] == 1 for run in runs) for runs in shares):
        return
    for place in range(1, max(map(len, shares)) + 1):
        suffix = f"_{place}" if place > 1 else ""
        for name in ("start", "length", "stride", "repeat")[place == 1 :]:
            yield per_core(f"run_{name}{suffix}", num_tiles)


def _word(largest: int) -> str:
    return "uint32" if largest < 1 << 32 else "uint64"


def _compare(found: RuntimeArgument, expected: RuntimeArgument, where: str, findings: Findings) -> None:
    for name in RuntimeArgument.__dataclass_fields__:
        one, other = getattr(found, name), getattr(expected, name)
        findings.expect("TT828", f"{where}/{name}", one, other, f"the {name} of {expected.name}")


def _check_kt_tiles(
    argument: RuntimeArgument, others: Iterable[RuntimeArgument], where: str, findings: Findings
) -> None:
    """How many tiles a product sums over is in the kernel alone; whether the fields agree is in the plan."""
    findings.expect("TT828", f"{where}/name", argument.name, "kt_tiles", "the fifth argument")
    if argument.source == "none":
        _compare(argument, _NO_KT_TILES, where, findings)
    elif argument.source == "unresolved":
        _expect_fields(argument, where, findings, dtype="uint32", bound="launch", value=None, param_index=None)
        if not argument.reason:
            findings.add("TT828", f"{where}/reason", "found none; expected why kt_tiles is not known")
    elif argument.source == "kernel":
        _check_kernel_argument(argument, where, findings)
    else:
        message = f"found {shown(argument.source)}; expected one of none, kernel, unresolved"
        findings.add("TT828", f"{where}/source", message)
    findings.expect("TT828", f"{where}/scope", argument.scope, "common", "as every core sums over as many")
    each = [other for other in others if other.name.startswith("kt_tiles_") and other.source == "kernel"]
    values = {other.value for other in each}
    if each and (argument.source != "unresolved" or len(values) < max(len(each), 2)):
        message = f"found kt_tiles of {len(each)} products beside it; expected those of several that differ, or none"
        findings.add("TT828", where, message)


def _check_kernel_argument(argument: RuntimeArgument, where: str, findings: Findings) -> None:
    if argument.source == "parameter":
        _expect_fields(argument, where, findings, scope="common", bound="launch", value=None, reason=None)
        return
    value = argument.value
    is_number = isinstance(value, int)
    if value is None or (isinstance(value, int) and value < 1) or argument.source != "kernel":
        message = f"{argument.name} of source {shown(argument.source)} has the value {shown(value)}; "
        findings.add("TT828", where, message + "expected a size that follows from the kernel, or a parameter")
        return
    dtype = _word(value) if isinstance(value, int) else "uint32"
    bound = "compile_time" if is_number else "launch"
    _expect_fields(argument, where, findings, dtype=dtype, scope="common", bound=bound, reason=None, param_index=None)


def _expect_fields(argument: RuntimeArgument, where: str, findings: Findings, **expected: object) -> None:
    for name, value in expected.items():
        found = getattr(argument, name)
        findings.expect("TT828", f"{where}/{name}", found, value, f"of the {argument.source} argument {argument.name}")


def _unused(name: str, taken: set[str]) -> str:
    """With the first of the suffixes _1, _2, ... that makes it new."""
    out, suffix = name, 1
    while out in taken:
        out, suffix = f"{name}_{suffix}", suffix + 1
    return out


def _check_names(arguments: Iterable[RuntimeArgument], where: str, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for position, argument in enumerate(arguments):
        if seen.setdefault(argument.name, position) != position:
            message = f"found {shown(argument.name)}, the name of argument {seen[argument.name]} too"
            findings.add("TT828", f"{where}/{position}/name", message)


def _check_parameters(kernel: Kernel, middle: Iterable[RuntimeArgument], where: str, findings: Findings) -> None:
    """Every parameter is a scalar or a tensor, and stands in its order among its like."""
    # A scalar without an index stands nowhere.
    stated = [argument.param_index for argument in middle if argument.source == "parameter"]
    scalars = [-1 if index is None else index for index in stated]
    tensors = [buffer.param_index for buffer in kernel.buffers]
    all_of_them = list(range(len(scalars) + len(tensors)))
    if sorted([*scalars, *tensors]) != all_of_them or any(own != sorted(own) for own in (scalars, tensors)):
        message = f"scalars have the indices {shown(stated)} and tensors {shown(tensors)}; "
        findings.add("TT828", where, message + "expected all parameters, each once and in their order")
