"""The part of a page that shows one launch: the cores and the launch grid, L1, and runtime arguments."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..._page.markup import Markup, element
from ..._page.parts import details, facts, table
from ...tile_order import tile_ids
from ...work_split import corerange_to_cores
from ..estimate import LaunchFigures
from ..model import Kernel, Launch, OnChip, RuntimeArgument, TileRun
from . import svg
from .costs import dram_banks
from .parts import by, grid_size, merging, percent, plural, share_of, stored_as, words
from .raster import Raster, cores_of, merge

if TYPE_CHECKING:
    from ..model import IntArray


def launch_section(kernel: Kernel, number: int, found: LaunchFigures | None, identifier: str) -> Markup:
    launch = kernel.launches[number]
    places = corerange_to_cores(kernel.inputs.cores, None, kernel.inputs.core_order == "row_major")
    runs = _runs(launch, len(places))
    counts = [sum(run.length * run.repeat for run in own) for own in runs]
    measures = [svg.Measure("work", "Work tiles", tuple(counts)), *_moved(found)]
    labels = [
        "; ".join([f"core {core} at ({x}, {y}): {_work(counts[core], runs[core])}", *_amounts(measures[1:], core)])
        for core, (x, y) in enumerate(places)
    ]
    cores = svg.Cores(kernel.device.worker_grid, places, labels, [count == 0 for count in counts])
    which = f"Launch {number}: " if len(kernel.launches) > 1 else ""
    linked = element(
        "div",
        _core_figure(kernel, cores, measures, identifier),
        _grid_figure(kernel, launch, cores, identifier),
        element("p", "Point at a core or a work tile, or go there with the arrow keys.", class_="readout"),
        class_="pair",
        data_link="core",
    )
    return element(
        "section",
        element("h2", which + _finding(kernel, launch, counts)),
        facts(_launch_facts(kernel, launch, counts)),
        linked,
        details("Cores as a table", _core_table(places, measures, runs)),
        dram_banks(found),
        _on_chip(launch.on_chip),
        _arguments(launch.runtime_arguments),
        class_="launch",
        id=identifier,
    )


def _moved(found: LaunchFigures | None) -> Iterator[svg.Measure]:
    """What each core moves, as far as it is known."""
    for access in ("read", "written"):
        moved = None if found is None else found.per_core(access, "dram")
        if moved is not None:
            yield svg.Measure(access, f"DRAM bytes {access}", tuple(moved.tolist()))


def _amounts(measures: Iterable[svg.Measure], core: int) -> list[str]:
    return [f"{measure.values[core]:,} {measure.title}" for measure in measures]


def _runs(launch: Launch, num_cores: int) -> list[list[TileRun]]:
    runs: list[list[TileRun]] = [[] for _ in range(num_cores)]
    for run in launch.tile_runs:
        runs[run.core].append(run)
    return runs


def _work(count: int, runs: Sequence[TileRun]) -> str:
    if not count:
        return "idle"
    return f"{plural(count, 'work tile')}, {'; '.join(map(_run, runs))}"


def _run(run: TileRun) -> str:
    last = run.start + run.length - 1
    first = f"{run.start:,}" if run.length == 1 else f"{run.start:,} to {last:,}"
    return first if run.repeat == 1 else f"{first} and {plural(run.repeat - 1, 'more', '')} every {run.stride:,}"


def _finding(kernel: Kernel, launch: Launch, counts: Sequence[int]) -> str:
    """The sentence above the figures: what one should know if one reads nothing else."""
    most = max(counts)
    idle = 1 - sum(counts) / (len(counts) * most) if most else 1.0
    return (
        f"{plural(launch.num_tiles, 'work tile')} on {launch.num_active_cores} of {len(counts)} cores of "
        f"{kernel.device.name}, busiest core {plural(most, 'tile')}, {percent(idle)} idle"
    )


def _launch_facts(kernel: Kernel, launch: Launch, counts: Sequence[int]) -> list[tuple[str, str]]:
    inputs, on_chip = kernel.inputs, launch.on_chip
    block = f", blocks of {inputs.schedule_block_size}" if inputs.schedule_block_size else ""
    panel = f", panels of {inputs.swizzle_panel}" if inputs.swizzle_panel else ""
    facts = [
        ("Grid", grid_size(launch.grid)),
        ("Policy", words(inputs.schedule_policy) + block),
        ("Order of work tiles", words(inputs.schedule_order) + panel),
        ("Mean of a core", f"{sum(counts) / len(counts):,.2f} work tiles"),
        ("L1 of a core", share_of(int(on_chip.l1_bytes), on_chip.l1_available_bytes)),
    ]
    if launch.persistent is not None:
        waves = f"{launch.persistent.loop}, {plural(launch.persistent.wave, 'block')} each"
        facts.append(("Waves", waves))
    return facts


def _core_figure(kernel: Kernel, cores: svg.Cores, measures: Sequence[svg.Measure], identifier: str) -> Markup:
    choices = [*((measure.key, measure.title) for measure in measures), ("number", "Core number")]
    radios = [
        element(
            "label",
            element(
                "input",
                type="radio",
                name=f"{identifier}-measure",
                value=key,
                checked="" if key == choices[0][0] else None,
            ),
            title,
        )
        for key, title in choices
    ]
    device = kernel.device
    unused = device.num_workers - len(cores.places)
    caption = f"{by(device.worker_grid)} worker cores of {device.name}."
    if any(cores.is_idle):
        caption += f" Dashed: {sum(cores.is_idle)} idle."
    if unused:
        caption += f" Dotted: {unused} not for this kernel."
    scales = [element("div", svg.legend(max(measure.values)), class_=f"of-{measure.key}") for measure in measures]
    return element(
        "figure",
        element("figcaption", element("h3", "Cores"), caption),
        element("fieldset", element("legend", "Shown in each core"), *radios),
        svg.core_grid(cores, measures, f"Cores of {device.name}"),
        *scales,
        data_measure=choices[0][0],
    )


def _grid_figure(kernel: Kernel, launch: Launch, cores: svg.Cores, identifier: str) -> Markup:
    inputs = kernel.inputs
    grid = (int(launch.grid[0]), int(launch.grid[1]), int(launch.grid[2]))

    def numbers(coordinates: "IntArray") -> "IntArray":
        return tile_ids(grid, coordinates, schedule_order=inputs.schedule_order, swizzle_panel=inputs.swizzle_panel)

    def owners(coordinates: "IntArray") -> "IntArray":
        return cores_of(numbers(coordinates), launch.tile_runs)

    def picture(extents: tuple[int, int, int], name: str) -> tuple[Raster, Markup]:
        raster = merge(extents, owners)
        ids = None if raster.is_merged else numbers(raster.corners())
        return raster, svg.launch_grid(raster, ids, colours, f"{name} of {grid_size(extents)} work tiles")

    colours = cores.colours()
    raster, drawn = picture(grid, "Launch grid")
    caption = f"{grid_size(grid)} work tiles, each in the colour of its core{_directions(grid)}. "
    if raster.is_all_mixed:
        corner = _corner(grid)
        caption += f"No core has half of any {grid_size(raster.block)} of them. Drawn: the first {grid_size(corner)}."
        _, drawn = picture(corner, "The first part of the launch grid")
    else:
        caption += merging(raster, "work tiles", "core")
    return element("figure", element("figcaption", element("h3", "Launch grid"), caption), drawn)


def _directions(grid: tuple[int, int, int]) -> str:
    """Where the axes of a drawn grid go."""
    ways = ("x to the right", "y down", "a picture for each z")
    taken = [way for way, extent in zip(ways, grid, strict=True) if extent > 1]
    return f": {', '.join(taken)}" if len(taken) > 1 else ""


def _corner(grid: tuple[int, int, int]) -> tuple[int, int, int]:
    """The part of a large grid that is drawn as it is."""
    if sum(extent > 1 for extent in grid) == 1:
        return min(grid[0], 256), min(grid[1], 256), min(grid[2], 256)
    return min(grid[0], 16), min(grid[1], 16), 1 if grid[0] > 1 and grid[1] > 1 else min(grid[2], 16)


def _core_table(
    places: Sequence[tuple[int, int]], measures: Sequence[svg.Measure], runs: Sequence[Sequence[TileRun]]
) -> Markup:
    rows: list[tuple[str | int, ...]] = [
        (
            core,
            f"({x}, {y})",
            *(measure.values[core] for measure in measures),
            "; ".join(map(_run, runs[core])) or "idle",
        )
        for core, (x, y) in enumerate(places)
    ]
    columns = ("Core", "Place", *(measure.title for measure in measures), "Which work tiles")
    return table("Cores and their work tiles", columns, rows)


def _on_chip(on_chip: OnChip) -> Markup:
    if not on_chip.circular_buffers:
        return Markup()
    available = on_chip.l1_available_bytes
    share = share_of(int(on_chip.l1_bytes), available)
    rows = [
        (
            buffer.name,
            buffer.scope,
            stored_as(buffer.dtype, buffer.data_format),
            by(buffer.shape),
            int(buffer.num_tiles),
            buffer.num_stages,
            int(buffer.size_bytes),
        )
        for buffer in on_chip.circular_buffers
    ]
    columns = ("Buffer", "Scope", "Stored as", "Shape", "Tiles", "Stages", "Bytes")
    limit = "" if on_chip.max_circular_buffers is None else f" of {on_chip.max_circular_buffers}"
    caption = f"{plural(len(rows), 'circular buffer')}{limit}, {share}, drawn to scale."
    return element(
        "figure",
        element("figcaption", element("h3", "L1 of each core"), caption),
        svg.l1_bar(on_chip, f"L1 of each core: {share}"),
        table("Circular buffers", columns, rows),
        _accumulators(on_chip),
        class_="wide",
    )


def _accumulators(on_chip: OnChip) -> Markup:
    """The sub-blocks that the DST register holds at once."""
    rows = [
        (
            accumulator.name,
            f"{by((accumulator.num_tiles_height, accumulator.num_tiles_width))}",
            "32 bits" if block.fp32_dest_acc_en else "16 bits",
            "whole" if block.dst_full_sync_en else "half",
            block.dst_tiles,
            by(block.subblock),
        )
        for accumulator in on_chip.accumulators
        for block in accumulator.subblocks
    ]
    if not rows:
        return Markup()
    columns = ("Accumulator", "Its tiles", "DST elements", "DST in use", "Tiles that fit", "Sub-block")
    return details("Sub-blocks of accumulators", table("Sub-blocks that DST holds at once", columns, rows))


def _arguments(arguments: Sequence[RuntimeArgument]) -> Markup:
    rows = [
        (
            argument.name,
            argument.dtype,
            "each core" if argument.scope == "per_core" else "all cores",
            _value(argument),
            argument.source,
            "compile time" if argument.bound == "compile_time" else "launch",
        )
        for argument in arguments
    ]
    columns = ("Argument", "Type", "Told to", "Value", "From", "Known at")
    return details(plural(len(rows), "runtime argument"), table("Runtime arguments", columns, rows))


def _value(argument: RuntimeArgument) -> "str | int":
    if argument.value is not None:
        return argument.value
    return argument.reason or ("see the cores" if argument.scope == "per_core" else "set at launch")
