"""What the passes decided about a kernel, as text for a terminal.

For kernels with a two-dimensional launch grid, no other parameters than tensors, and the default cores: all of the
device's, numbered along their rows.
"""

from itertools import groupby, zip_longest
from math import prod

from tilelang.tt import Device, list_buffer_attrs, schedule_attrs


def report(kernel):
    schedule = schedule_attrs(kernel)
    tensors = list_buffer_attrs(kernel)
    maps = zip_longest(core_map(schedule), grid_map(schedule), fillvalue="")
    lines = [
        *summary(schedule, Device.of(kernel).name),
        "",
        *(f"{cores:44}{cells}".rstrip() for cores, cells in maps),
        "",
        *tensor_table(tensors),
    ]
    return "\n".join(lines)


def by(extents):
    return " x ".join(str(extent) for extent in extents)


def summary(schedule, device):
    """The launch grid and the device, the cores grouped by how many work tiles they run."""
    tiles, cores, active = (schedule[key] for key in ("tt_num_tiles", "tt_num_cores", "tt_num_active_cores"))
    extents = by(schedule[f"tt_grid_{axis}"] for axis in "xyz")
    yield f"launch grid   {extents} = {tiles} work tiles, on {active} of the {cores} cores of {device}"
    for count, group in groupby(enumerate(schedule["tt_tiles_per_core"]), key=lambda item: item[1][1]):
        (first, (start, _)), *_, (last, (end, _)) = [*group]
        yield f"              cores {first:2} to {last:2} run {count} each: work tiles {start:3} to {end + count - 1:3}"
    busiest = max(count for _, count in schedule["tt_tiles_per_core"])
    average = tiles / cores
    idle = 1 - average / busiest
    yield f"imbalance     {busiest} on the busiest core, {average:.2f} on average: {idle:.1%} of the core time is idle"


def core_map(schedule):
    columns, rows = schedule["tt_core_grid"]
    counts = [count for _, count in schedule["tt_tiles_per_core"]]
    yield "The cores: how many work tiles each runs"
    yield ""
    yield "  x" + "".join(f"{x:3}" for x in range(columns))
    yield " y +" + "-" * (3 * columns)
    for y in range(rows):
        yield f"{y:2} |" + "".join(f"{count:2} " for count in counts[y * columns :][:columns])
    yield ""
    yield "Cores are numbered along the rows:"
    for core in (1, columns, len(counts) - 1):
        yield f"core {core:2} is the one at x {core % columns}, y {core // columns}."


def grid_map(schedule):
    columns, rows = schedule["tt_grid_x"], schedule["tt_grid_y"]
    cores = [core for core, (_, count) in enumerate(schedule["tt_tiles_per_core"]) for _ in range(count)]
    yield "The launch grid: which core runs each work tile"
    yield ""
    yield "  x" + "".join(f"{x:3}" for x in range(columns))
    yield " y +" + "-" * (3 * columns)
    for y in range(rows):
        yield f"{y:2} |" + "".join(f"{core:2} " for core in cores[y * columns :][:columns])


def tensor_table(tensors):
    tile = by(tensors[0]["tt_tile_shape"])
    yield f"Tensors in DRAM, in pages of one {tile} tile, interleaved over the banks"
    yield ""
    yield "        access  dtype     shape       padded to   tiles    pages      bytes  of it padding"
    total = wasted = 0
    for tensor in tensors:
        size = tensor["tt_num_pages"] * tensor["tt_aligned_page_size"]
        element = tensor["tt_page_size"] // prod(tensor["tt_tile_shape"])
        padding = size - prod(tensor["shape"]) * element
        shape = by(tensor["shape"])
        padded = by(tensor.get("tt_padded_shape", tensor["shape"]))
        tiles = by([tensor["tt_num_tiles_height"], tensor["tt_num_tiles_width"]])
        yield (
            f"{tensor['name']:8}{tensor['tt_access']:8}{tensor['dtype']:10}{shape:12}{padded:12}{tiles:9}"
            f"{tensor['tt_num_pages']:5} {size:10,} {padding:8,} {padding / size:6.1%}"
        )
        total, wasted = total + size, wasted + padding
    yield f"{'total':64}{total:10,} {wasted:8,} {wasted / total:6.1%}"
