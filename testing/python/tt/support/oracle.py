"""The truth in numbers, stated slowly: by walking tiles, cores and elements one at a time."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product
from math import floor, prod

import numpy as np

Rectangle = Sequence[int]  # [x0, y0, x1, y1], both corners inclusive

FORMATS = {  # dtype: (tt-metal's name, bytes of an element)
    "float32": ("Float32", 4),
    "float16": ("Float16", 2),
    "bfloat16": ("Float16_b", 2),
    "int32": ("Int32", 4),
    "uint32": ("UInt32", 4),
    "uint16": ("UInt16", 2),
    "uint8": ("UInt8", 1),
    "int8": ("Int8", 1),
    "float8_e4m3fn": ("Fp8_e4m3", 1),  # row-major, on Blackhole
}
TILED_DTYPES = tuple(sorted(set(FORMATS) - {"float8_e4m3fn"}))
FLOAT_FORMATS = ("Float32", "Float16_b", "Bfp8_b", "Bfp4_b")
TILE_SHAPES = (
    (32, 32),
    (16, 32),
    (32, 16),
    (16, 16),
    (8, 32),
    (4, 32),
    (2, 32),
    (1, 32),
    (8, 16),
    (4, 16),
    (2, 16),
    (1, 16),
)
BLOCK_FORMATS = {"Bfp8_b": 8, "Bfp4_b": 4}  # bits of an element, without the shared exponents
BANKS = {  # (memory, device): (banks, alignment in bytes)
    ("dram", "wormhole_n150"): (12, 32),
    ("l1", "wormhole_n150"): (64, 16),
    ("dram", "blackhole_p150"): (8, 64),
    ("l1", "blackhole_p150"): (130, 16),
}
WORKERS = (8, 8)


def lines_of(rectangle: Rectangle, order: str) -> list[list[tuple[int, int]]]:
    """The rows of a rectangle, or its columns where cores are numbered along columns."""
    x0, y0, x1, y1 = rectangle
    if order == "row_major":
        return [[(x, y) for x in range(x0, x1 + 1)] for y in range(y0, y1 + 1)]
    return [[(x, y) for y in range(y0, y1 + 1)] for x in range(x0, x1 + 1)]


def cores_of(rectangles: Iterable[Rectangle], order: str) -> list[tuple[int, int]]:
    """All cores in the order of their linear ids."""
    return [core for rectangle in rectangles for line in lines_of(rectangle, order) for core in line]


def cells_of(rectangles: Iterable[Rectangle]) -> list[tuple[int, int]]:
    return cores_of(rectangles, "row_major")


def owners_of(num_tiles: int, num_cores: int) -> list[int]:
    """The core of every work tile, by dealing one tile to every core in turn and then laying the hands in a row."""
    hands = [0] * num_cores
    for tile in range(num_tiles):
        hands[tile % num_cores] += 1
    return [core for core, hand in enumerate(hands) for _ in range(hand)]


def tiles_per_core(num_tiles: int, num_cores: int) -> list[list[int]]:
    table = [[0, 0] for _ in range(num_cores)]
    for tile, core in enumerate(owners_of(num_tiles, num_cores)):
        if table[core][1] == 0:
            table[core][0] = tile
        table[core][1] += 1
    return table


def tile_order(grid: Sequence[int], order: str, panel: int | None) -> list[tuple[int, int, int]]:
    """The cells of a grid in the order of their work tiles."""
    gx, gy, gz = grid
    planes = {
        "row_major": lambda: [(x, y) for y in range(gy) for x in range(gx)],
        "column_major": lambda: [(x, y) for x in range(gx) for y in range(gy)],
        "swizzled_row": lambda: [rasterization_2d_row(i, gx, gy, panel) for i in range(gx * gy)],
        "swizzled_column": lambda: [rasterization_2d_row(i, gy, gx, panel)[::-1] for i in range(gx * gy)],
    }
    return [(x, y, z) for z in range(gz) for x, y in planes[order]()]


def rasterization_2d_row(block_idx: int, grid_dim_x: int, grid_dim_y: int, panel_width: int) -> tuple[int, int]:
    """TileLang's device function of that name, over the launch's own row-major number of a block."""
    grid_size = grid_dim_x * grid_dim_y
    panel_size = panel_width * grid_dim_x
    panel_offset = block_idx % panel_size
    panel_idx = block_idx // panel_size
    total_panel = -(-grid_size // panel_size)
    is_last = panel_idx + 1 == total_panel
    stride = (grid_size - panel_idx * panel_size) // grid_dim_x if is_last else panel_width
    column = panel_offset // stride
    row = panel_offset % stride + panel_idx * panel_width
    return (grid_dim_x - 1 - column if panel_idx % 2 else column), row


def tiles_of_cores(grid, cores, core_order, policy, block_size=None, order="row_major", panel=None) -> list[list[int]]:
    """The work tiles of every core by its linear id, dealt out one by one."""
    ids = {core: i for i, core in enumerate(cores_of(cores, core_order))}
    hands = [[] for _ in ids]
    cells = tile_order(grid, order, panel)
    contiguous = owners_of(len(cells), len(ids))
    for tile, (x, y, z) in enumerate(cells):
        if policy == "contiguous":
            core = contiguous[tile]
        elif policy == "strided":
            core = tile % len(ids)
        elif policy == "block_cyclic":
            core = tile // block_size % len(ids)
        else:
            x0, y0, x1, y1 = _bounds(list(ids))
            (gx, gy, gz) = grid
            columns, column, rows, row = (
                (gx, x, gy * gz, z * gy + y) if order == "row_major" else (gx * gz, z * gx + x, gy, y)
            )
            per_core_n, per_core_m = -(-columns // (x1 - x0 + 1)), -(-rows // (y1 - y0 + 1))
            core = ids[x0 + column // per_core_n, y0 + row // per_core_m]
        hands[core].append(tile)
    return hands


def active_ranges(cores: Sequence[Rectangle], core_order: str, hands: list[list[int]], policy: str) -> list[list[int]]:
    """The cores that have tiles: a rectangle of its own for `rectangular`, else as ttnn cuts the first cores."""
    active = [core for core, hand in zip(cores_of(cores, core_order), hands, strict=True) if hand]
    return [_bounds(active)] if policy == "rectangular" else cover(cores, 0, len(active), core_order)


def expand(run: Sequence[int]) -> list[int]:
    """The work tiles of [start, length, stride, repeat]."""
    start, length, stride, repeat = run
    return [start + r * stride + i for r in range(repeat) for i in range(length)]


def runs_of(tiles: list[int]) -> list[list[int]]:
    """The fewest [start, length] of consecutive tiles."""
    runs: list[list[int]] = []
    for tile in tiles:
        if runs and sum(runs[-1]) == tile:
            runs[-1][1] += 1
        else:
            runs.append([tile, 1])
    return runs


def cover(rectangles: Sequence[Rectangle], start: int, count: int, order: str) -> list[list[int]]:
    """The cores with ids [start, start + count) as ttnn cuts them: per rectangle what is left of a line that was begun,
    the full lines after it as one rectangle, and the beginning of one more line.
    """
    wanted = set(cores_of(rectangles, order)[start : start + count])
    out = []
    for rectangle in rectangles:
        begun, full, tail = [], [], []
        for line in lines_of(rectangle, order):
            part = [core for core in line if core in wanted]
            if part == line:
                full += part
            elif part and part[-1] == line[-1]:
                begun = part
            elif part:
                tail = part
        out += [_bounds(part) for part in (begun, full, tail) if part]
    return out


def _bounds(cores: list[tuple[int, int]]) -> list[int]:
    columns, rows = zip(*cores, strict=True)
    return [min(columns), min(rows), max(columns), max(rows)]


def split_work(rectangles: Sequence[Rectangle], units: int, order: str) -> tuple:
    """Ttnn's split_work_to_cores."""
    num_cores = min(units, len(cores_of(rectangles, order)))
    if num_cores == 0:
        return 0, [], [], [], 0, 0
    counts = [count for _, count in tiles_per_core(units, num_cores)]
    everyone = cover(rectangles, 0, num_cores, order)
    most, least = max(counts), min(counts)
    if most == least:
        return num_cores, everyone, everyone, [], most, 0
    busier = counts.count(most)
    group_2 = cover(rectangles, busier, num_cores - busier, order)
    return num_cores, everyone, cover(rectangles, 0, busier, order), group_2, most, least


def round_up(number: int, step: int) -> int:
    while number % step:
        number += 1
    return number


def tile_bytes(data_format: str, element_bytes: int, tile: tuple[int, int]) -> int:
    """Bytes of a tile, element by element; block formats have an exponent for each row of 16."""
    elements = np.zeros(tile)
    if data_format not in BLOCK_FORMATS:
        return elements.size * element_bytes
    exponents = len(elements.reshape(-1, 16))
    return round_up(exponents, 16) + elements.size * BLOCK_FORMATS[data_format] // 8


def tensor_layout(
    shape: Sequence[int],
    dtype: str,
    tile: tuple[int, int] = (32, 32),
    *,
    memory: str = "dram",
    page_layout: str = "tile",
    data_format: str | None = None,
    device: str = "wormhole_n150",
) -> dict:
    """How a tensor is tiled, padded, paged and spread over banks, page by page."""
    own_format, element_bytes = FORMATS[dtype]
    data_format = data_format or own_format
    element_bytes = dict(FORMATS.values()).get(data_format, 0)
    *batch, rows, columns = [*([1] * (2 - len(shape))), *shape]
    if page_layout == "tile":
        height, width = tile
        logical = [*batch, rows, columns]
        padded = [*batch, round_up(rows, height), round_up(columns, width)]
        tile_rows, tile_columns = range(0, rows, height), range(0, columns, width)
        pages = list(product(*map(range, batch), tile_rows, tile_columns))
        page_size = tile_bytes(data_format, element_bytes, tile)
    else:
        logical = padded = [*shape] or [1]
        tile_rows, tile_columns = (), ()
        pages = list(product(*map(range, padded[:-1])))
        page_size = padded[-1] * element_bytes
    num_banks, alignment = BANKS[memory, device]
    banks = [pages[bank::num_banks] for bank in range(num_banks)]
    aligned = round_up(page_size, alignment)
    total = len(pages) * page_size
    needed = Fraction(total * prod(shape), prod(padded))
    padding = floor(total - needed)
    return {
        "num_matrices": len(list(product(*map(range, batch)))),
        "num_tiles_height": len(tile_rows),
        "num_tiles_width": len(tile_columns),
        "needs_padding": padded != logical,
        "padded_shape": padded,
        "page_size": page_size,
        "aligned_page_size": aligned,
        "num_pages": len(pages),
        "num_banks": num_banks,
        "bytes_per_bank": max(map(len, banks)) * aligned,
        "padding_bytes": padding,
        "padding_percent": 100 * padding // total,
        "accessor_ct_args": [2 if memory == "dram" else 0, aligned],
    }


NO_PRODUCT = {"source": "none", "value": 1}


def schedule_attrs(
    grid,
    cores=((0, 0, 7, 7),),
    core_order="row_major",
    policy="contiguous",
    block_size=None,
    order="row_major",
    panel=None,
    **schema,
) -> dict:
    """What InferDefaultTTSchedule writes on a kernel; of tt_tile_runs nothing."""
    x, y, z = grid
    hands = tiles_of_cores(grid, cores, core_order, policy, block_size, order, panel)
    return {
        "tt_grid_x": x,
        "tt_grid_y": y,
        "tt_grid_z": z,
        "tt_num_tiles": sum(map(len, hands)),
        "tt_core_grid": list(WORKERS),
        "tt_num_cores": len(hands),
        "tt_num_active_cores": sum(map(bool, hands)),
        "tt_tiles_per_core": [[hand[0], len(hand)] if hand else [0, 0] for hand in hands],
        "tt_core_ranges": active_ranges(cores, core_order, hands, policy),
        "tt_runtime_args_schema": runtime_args_schema(grid, **schema),
    }


def runtime_args_schema(grid, kt=NO_PRODUCT, products=(), params=(), runs=0) -> list[dict]:
    """The arguments of a kernel; `params` are its parameters: `(name, dtype)` is a scalar, `(name, None)` a tensor.

    `kt` is what is known of kt_tiles, `products` the tiles of each product where they are several, `runs` the most that
    a core has in tt_tile_runs.
    """
    x, y, z = grid
    per_core = {"dtype": "uint32", "scope": "per_core", "source": "schedule", "bound": "launch"}

    def common(name, source, **known):
        bound = "compile_time" if "value" in known else "launch"
        return {"name": name, "dtype": "uint32", "scope": "common", "source": source, "bound": bound, **known}

    return [
        {"name": "start_id", **per_core},
        {"name": "count", **per_core},
        common("grid_x", "schedule", value=x),
        common("grid_y", "schedule", value=y),
        common("kt_tiles", **kt),
        *([common("grid_z", "schedule", value=z)] if z > 1 else []),
        *({"name": name, **per_core} for name in ("run_length", "run_stride", "run_repeat")[: 3 * runs]),
        *(
            {"name": f"run_{key}_{run}", **per_core}
            for run in range(2, runs + 1)
            for key in ("start", "length", "stride", "repeat")
        ),
        *(common(f"kt_tiles_{i}", "kernel", value=tiles) for i, tiles in enumerate(products, 1)),
        *(
            {**common(name, "parameter", param_index=index), "dtype": dtype}
            for index, (name, dtype) in enumerate(params)
            if dtype
        ),
        *(
            common(f"{name}_addr", "buffer", param_index=index)
            for index, (name, dtype) in enumerate(params)
            if not dtype
        ),
    ]


def buffer_attrs(name, index, dtype, shape, access, tile=(32, 32), padding_value="any", **options) -> dict:
    """The entry of tt_buffers that InferDefaultTTShard writes for one tensor."""
    layout = tensor_layout(shape, dtype, tile, **options)
    page_layout, memory = options.get("page_layout", "tile"), options.get("memory", "dram")
    if not layout["needs_padding"]:
        del layout["padded_shape"]
    else:
        layout["padding_value"] = padding_value
    if page_layout == "tile":
        layout["tile_shape"] = list(tile)
    else:
        del layout["num_tiles_height"], layout["num_tiles_width"]
    return {
        "name": name,
        "param_index": index,
        "dtype": dtype,
        "shape": list(shape),
        "tt_access": access,
        "tt_memory": memory,
        "tt_layout": f"{memory}_interleaved",
        "tt_page_layout": page_layout,
        "tt_data_format": options.get("data_format") or FORMATS[dtype][0],
        **{f"tt_{key}": value for key, value in layout.items()},
    }


def places_by_cutting(padded, page_shape, shard_shape, num_cores, contiguous):
    """{page: (core, slot)} by cutting an array of page numbers into blocks, in pages."""

    def in_pages(shape):
        page = [1] * (len(shape) - 2) + page_shape[-len(shape) :]
        return [-(-extent // step) for extent, step in zip(shape, page, strict=True)]

    pages, shard = in_pages(padded), in_pages(shard_shape)
    folded = [prod(pages[: len(pages) - len(shard) + 1]), *pages[len(pages) - len(shard) + 1 :]]
    numbers = np.arange(prod(folded)).reshape(folded)
    blocks = list(product(*[range(0, extent, step) for extent, step in zip(folded, shard, strict=True)]))
    turns = -(-len(blocks) // num_cores)
    out = {}
    for number, start in enumerate(blocks):
        core, turn = divmod(number, turns) if contiguous else divmod(number, num_cores)[::-1]
        block = numbers[tuple(slice(at, at + step) for at, step in zip(start, shard, strict=True))]
        for index in np.ndindex(block.shape):
            out[int(block[index])] = (core, turn * prod(shard) + int(np.ravel_multi_index(index, shard)))
    return out
