"""That what a launch needs on the chip adds up."""

import re
from collections.abc import Iterator
from math import prod

from .findings import Findings, ceil_div, number, round_up, shown
from .formats import OWN_FORMATS, TILE_SHAPES
from .model import Accumulator, CircularBuffer, Kernel, OnChip

# Source: CIRCULAR_BUFFER_COMPUTE_WORD_SIZE of tt-metal, ttnn 0.81.1.
_WORD_BYTES = 16
_MOST_RANK = 64
# The sub-blocks of an accumulator are tried out.
_MOST_DST_TILES = 1024
_MODES = ((False, False), (False, True), (True, False), (True, True))


def check_on_chip(kernel: Kernel, on_chip: OnChip, where: str, findings: Findings) -> None:
    """Adds a finding for whatever the circular buffers' shapes and the device do not give."""
    device = kernel.device
    tile = kernel.inputs.tile_height, kernel.inputs.tile_width
    if tile not in TILE_SHAPES:
        findings.add("TT829", f"{where[: where.index('/launches')]}/inputs", f"found tiles of {shown(tile)}")
        return
    for position, circular in enumerate(on_chip.circular_buffers):
        _check_circular_buffer(kernel, circular, tile, f"{where}/circular_buffers/{position}", findings)
    limit = device.circular_buffers
    findings.expect("TT837", f"{where}/max_circular_buffers", on_chip.max_circular_buffers, limit, f"of {device.name}")
    if limit is not None and len(on_chip.circular_buffers) > limit:
        message = f"found {len(on_chip.circular_buffers)}; {device.name} has {limit} in a core"
        findings.add("TT836", f"{where}/circular_buffers", message)
    if device.cb_alignment is not None:
        end = _end(on_chip, device.cb_alignment)
        findings.expect("TT837", f"{where}/l1_bytes", on_chip.l1_bytes, end, "where the last circular buffer ends")
    usable = device.usable_l1
    tensors = sum(number(buffer.bytes_per_bank) for buffer in kernel.buffers if buffer.memory == "l1")
    available = None if usable is None else max(usable - tensors, 0)
    why = f"{usable} usable bytes less {tensors} of tensors in L1"
    findings.expect("TT837", f"{where}/l1_available_bytes", on_chip.l1_available_bytes, available, why)
    for position, accumulator in enumerate(on_chip.accumulators):
        _check_accumulator(kernel, on_chip, accumulator, tile, f"{where}/accumulators/{position}", findings)


def _end(on_chip: OnChip, alignment: int) -> int:
    """One after the other, each from a multiple of the alignment on."""
    end = 0
    for circular in on_chip.circular_buffers:
        end = round_up(end, alignment) + number(circular.size_bytes)
    return end


def _tiles(circular: CircularBuffer, tile: tuple[int, int]) -> tuple[int, int, int]:
    """Tiles of one matrix down and across, and of the whole buffer."""
    *batch, height, width = (1, 1, *map(number, circular.shape))
    rows, columns = ceil_div(height, tile[0]), ceil_div(width, tile[1])
    return rows, columns, prod(batch) * rows * columns


def _check_circular_buffer(
    kernel: Kernel, circular: CircularBuffer, tile: tuple[int, int], where: str, findings: Findings
) -> None:
    bits = _bits(circular.dtype)
    if len(circular.shape) > _MOST_RANK or bits is None:
        findings.add("TT837", where, f"found {len(circular.shape)} dimensions of {shown(circular.dtype)}")
        return
    rows, columns, num_tiles = _tiles(circular, tile)
    page_size = round_up(ceil_div(tile[0] * tile[1] * bits, 8), _WORD_BYTES)
    size = num_tiles * page_size * circular.num_stages
    data_format = _format(circular.dtype, kernel.inputs.data_format)
    for name, expected, why in (
        ("num_tiles", num_tiles, f"matrices of {rows} x {columns} tiles"),
        ("page_size_bytes", page_size, f"a tile of {tile[0]}x{tile[1]} {circular.dtype}"),
        ("size_bytes", size, f"{num_tiles} tiles of {page_size} bytes in {circular.num_stages} stages"),
        ("data_format", data_format, f"of {circular.dtype}"),
    ):
        findings.expect("TT837", f"{where}/{name}", getattr(circular, name), expected, why)


def _bits(dtype: str) -> int | None:
    """Of an element; of a vector those of all its lanes. A bool takes a byte."""
    found = re.fullmatch(r"(?:bool|[a-z]+(\d+)(?:_[a-z0-9]+?)?)(?:x(\d+))?", dtype)
    if found is None or max(map(len, filter(None, found.groups())), default=0) > len("9999"):
        return None
    return int(found[1] or 8) * int(found[2] or 1)


def _format(dtype: str, chosen: str | None) -> str:
    """What is computed on has its dtype's own format; float16 may be stored as bfloat16 everywhere."""
    if dtype == "float16" and chosen == "Float16_b":
        return chosen
    own = OWN_FORMATS.get(dtype, "none")
    return "none" if own == "Fp8_e4m3" else own


def _check_accumulator(
    kernel: Kernel, on_chip: OnChip, accumulator: Accumulator, tile: tuple[int, int], where: str, findings: Findings
) -> None:
    position = accumulator.circular_buffer
    if not 0 <= position < len(on_chip.circular_buffers):
        message = f"found {position}; expected one of {len(on_chip.circular_buffers)} circular buffers"
        findings.add("TT837", f"{where}/circular_buffer", message)
        return
    circular = on_chip.circular_buffers[position]
    if len(circular.shape) > _MOST_RANK:
        return
    if number(kernel.device.dst_tiles or 0) > _MOST_DST_TILES:
        message = f"found {kernel.device.dst_tiles} tiles of DST; expected at most {_MOST_DST_TILES}"
        findings.add("TT839", where, message)
        return
    rows, columns, _ = _tiles(circular, tile)
    blocks = tuple(_blocks(rows, columns, kernel.device.dst_tiles))
    stated = tuple(
        (block.fp32_dest_acc_en, block.dst_full_sync_en, block.dst_tiles, block.subblock)
        for block in accumulator.subblocks
    )
    for name, found, expected, why in (
        ("name", accumulator.name, circular.name, f"of circular buffer {position}"),
        ("num_tiles_height", accumulator.num_tiles_height, rows, f"of circular buffer {position}"),
        ("num_tiles_width", accumulator.num_tiles_width, columns, f"of circular buffer {position}"),
        ("subblocks", stated, blocks, "the largest that DST holds in each mode"),
    ):
        findings.expect("TT837", f"{where}/{name}", found, expected, why)


def _blocks(rows: int, columns: int, dst_tiles: int | None) -> Iterator[tuple[bool, bool, int, tuple[int, int]]]:
    """Of as many tiles as fit and divide; of those the squarest, and of two such the higher one.

    Source: get_matmul_subblock_params of ttnn 0.81.1. Elements of 32 bits take twice the space, and double-buffering
    leaves one half.
    """
    for fp32, full_sync in _MODES if dst_tiles is not None else ():
        most = number(dst_tiles) // (2 if fp32 else 1) // (1 if full_sync else 2)
        sizes = [
            (height, width)
            for height in range(1, most + 1)
            if rows % height == 0
            for width in range(1, most // height + 1)
            if columns % width == 0
        ]
        best = max(sizes, key=lambda size: (size[0] * size[1], -abs(size[0] - size[1]), size[0]), default=(1, 1))
        yield fp32, full_sync, most, best
