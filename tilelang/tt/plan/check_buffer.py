"""That every page of a tensor lies in one place inside of its bank, and every element in one place of one page."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..device import Device
from .findings import Findings, ceil_div, number, round_up, shown
from .formats import FLOAT_FORMATS, OWN_FORMATS, TILE_SHAPES, element_bits, tile_bytes
from .model import Buffer, Kernel, ShardPlan

if TYPE_CHECKING:
    from .model import IntArray

_MOST_RANK = 8
# Pages of a tensor with shards are looked up one by one, so many at a time, and at most so many.
_CHUNK = 1 << 18
_MOST_PAGES = 1 << 23
_SHARDED = ("height_sharded", "width_sharded", "block_sharded", "nd_sharded")


class _Page(NamedTuple):
    """What one page holds: elements down and across, and bytes."""

    height: int
    width: int
    num_bytes: int


def check_buffer(buffer: Buffer, device: Device, where: str, findings: Findings) -> None:
    """Adds a finding for whatever the tensor's shape, format, tile, memory and shard do not give."""
    page = _page_of(buffer, device, where, findings)
    banks = _banks_of(buffer, device, where, findings)
    if page is None or banks is None:
        return
    num_banks, alignment = banks
    num_pages = _check_padding(buffer, page, where, findings)
    aligned = round_up(page.num_bytes, alignment)
    findings.expect(
        "TT829",
        f"{where}/page_size_bytes",
        buffer.page_size_bytes,
        page.num_bytes,
        f"{page.height}x{page.width} elements of {buffer.data_format}",
    )
    _check_stride(buffer, page.num_bytes, aligned, alignment, where, findings)
    slots = ceil_div(num_pages, num_banks)
    if buffer.shard is not None:
        num_banks = len(buffer.shard.cores)
        slots = _check_shard(buffer, buffer.shard, page, num_pages, f"{where}/shard", findings)
        _check_cores(buffer, buffer.shard, device, f"{where}/shard", findings)
        address = None if buffer.memory == "dram" else number(device.l1_size) - slots * aligned
        place = f"{where}/shard/address_if_alone"
        findings.expect("TT832", place, buffer.shard.address_if_alone, address, "where L1 ends less the tensor's bytes")
    why = "the shards' cores" if buffer.shard else f"the banks of {buffer.memory} of {device.name}"
    findings.expect("TT833", f"{where}/num_banks", buffer.num_banks, num_banks, why)
    _check_reserved(buffer, slots, aligned, where, findings)
    words = tuple(_accessor_words(buffer, device, aligned))
    place = f"{where}/accessor_compile_time_args"
    findings.expect("TT835", place, buffer.accessor_compile_time_args, words, "the words of this layout")


def check_capacity(kernel: Kernel, where: str, findings: Findings) -> None:
    """Adds a finding for a memory that the tensors and circular buffers of a kernel do not fit together."""
    dram, l1 = (
        sum(number(buffer.bytes_per_bank) for buffer in kernel.buffers if buffer.memory == memory)
        for memory in ("dram", "l1")
    )
    usable = kernel.device.usable_dram_bank
    if usable is not None and dram > usable:
        message = (
            f"the tensors reserve {dram:,} bytes of every DRAM bank; {kernel.device.name} has {usable:,} usable ones"
        )
        findings.add("TT836", f"{where}/buffers", message)
    usable = kernel.device.usable_l1
    for position, launch in enumerate(kernel.launches):
        needed = l1 + number(launch.on_chip.l1_bytes)
        if usable is not None and needed > usable:
            message = (
                f"tensors reserve {l1:,} bytes of L1 and circular buffers {launch.on_chip.l1_bytes:,}; "
                f"{kernel.device.name} has {usable:,} usable ones in a core"
            )
            findings.add("TT836", f"{where}/launches/{position}/on_chip/l1_bytes", message)


# ---- pages ---------------------------------------------------------------------------------------------------------


def _page_of(buffer: Buffer, device: Device, where: str, findings: Findings) -> _Page | None:
    """None where there can be no such page, or no such tensor."""
    before = findings.total
    shape = tuple(map(number, buffer.shape))
    if len(shape) > _MOST_RANK or min(shape, default=1) < 1:
        message = f"found {shown(shape)}; expected at most {_MOST_RANK} extents of at least 1"
        findings.add("TT830", f"{where}/shape", message)
    _check_format(buffer, device, where, findings)
    is_tiled = buffer.page_layout == "tile"
    if buffer.page_layout not in ("tile", "row_major"):
        message = f"found {shown(buffer.page_layout)}; expected tile or row_major"
        findings.add("TT829", f"{where}/page_layout", message)
    if is_tiled and buffer.tile_shape not in TILE_SHAPES:
        message = f"found {shown(buffer.tile_shape)}; expected one of the hardware's tiles"
        findings.add("TT829", f"{where}/tile_shape", message)
    if not is_tiled and buffer.tile_shape is not None:
        message = f"found {shown(buffer.tile_shape)}; expected null, as pages are rows"
        findings.add("TT829", f"{where}/tile_shape", message)
    if buffer.shard is not None and (not buffer.shard.shape or min(buffer.shard.shape) < 1):
        message = f"found {shown(buffer.shard.shape)}; expected extents of at least 1"
        findings.add("TT834", f"{where}/shard/shape", message)
    if findings.total > before:
        return None
    if buffer.tile_shape is not None:
        return _Page(*buffer.tile_shape, tile_bytes(buffer.data_format, buffer.tile_shape))
    width = buffer.shard.shape[-1] if buffer.shard else shape[-1] if shape else 1
    return _Page(1, width, width * (element_bits(buffer.data_format) // 8))


def _check_format(buffer: Buffer, device: Device, where: str, findings: Findings) -> None:
    """Adds a finding where elements of this dtype are not stored so in such pages."""
    own, found = OWN_FORMATS.get(buffer.dtype), buffer.data_format
    if own is None:
        message = f"found {shown(buffer.dtype)}; expected one of {', '.join(OWN_FORMATS)}"
        findings.add("TT829", f"{where}/dtype", message)
        return
    others = [name for name in FLOAT_FORMATS if own in FLOAT_FORMATS and name not in (own, "Float16")]
    known = (own, *others)
    if found not in known:
        message = f"found {shown(found)} of {buffer.dtype}; expected one of {', '.join(known)}"
        findings.add("TT829", f"{where}/data_format", message)
    elif found.startswith("Bfp") and buffer.page_layout != "tile":
        findings.add("TT829", f"{where}/data_format", f"found {shown(found)} in rows; expected it in tiles only")
    elif found == "Fp8_e4m3" and (buffer.page_layout != "row_major" or device.arch != "blackhole"):
        findings.add("TT829", f"{where}/data_format", f"found {shown(found)}; expected it in rows on Blackhole only")


def _check_padding(buffer: Buffer, page: _Page, where: str, findings: Findings) -> int:
    """How many pages the tensor has. The last two dimensions are matrices, each padded by itself to whole pages."""
    shape = tuple(map(number, buffer.shape))
    is_tiled = buffer.page_layout == "tile"
    matrix = (1,) * ((2 if is_tiled else 1) - len(shape)) + shape
    rows = ceil_div(matrix[-2], page.height) if len(matrix) > 1 else 1
    columns = ceil_div(matrix[-1], page.width)
    padded = (*matrix[:-2], *((rows * page.height,) if len(matrix) > 1 else ()), columns * page.width)
    num_matrices, num_pages = prod(shape[:-2]), prod(matrix[:-2]) * rows * columns
    is_padded = padded != matrix
    num_bytes = num_pages * page.num_bytes
    tile = (page.height * page.width, page.num_bytes)  # a block format's elements have their share of the exponents
    padding = num_bytes - ceil_div(prod(shape) * tile[1], tile[0])
    expectations: tuple[tuple[str, object, str], ...] = (
        ("padded_shape", padded if is_padded else shape, f"whole pages of {page.height}x{page.width} elements"),
        ("num_tiles_height", rows if is_tiled else None, f"{matrix[-2:-1] or 1} in pages of {page.height}"),
        ("num_tiles_width", columns if is_tiled else None, f"{matrix[-1]} in pages of {page.width}"),
        ("num_matrices", num_matrices, "the product of all dimensions but the last two"),
        ("num_pages", num_pages, f"{prod(matrix[:-2])} x {rows} x {columns}"),
        ("padding_bytes", padding, f"{num_bytes} bytes of pages less those of {prod(shape)} elements"),
        ("padding_percent", padding * 100 // num_bytes, f"{padding} of {num_bytes} bytes"),
    )
    for name, expected, why in expectations:
        findings.expect("TT830", f"{where}/{name}", getattr(buffer, name), expected, why)
    if is_padded != (buffer.padding_value is not None) or not _is_padding_value(buffer.padding_value):
        needed = "a number, any or unknown" if is_padded else "null, as there is no padding"
        findings.add("TT830", f"{where}/padding_value", f"found {shown(buffer.padding_value)}; expected {needed}")
    return num_pages


def _is_padding_value(text: str | None) -> bool:
    if text in (None, "any", "unknown"):
        return True
    try:
        float(str(text))
    except ValueError:
        return False
    return True


# ---- banks ---------------------------------------------------------------------------------------------------------


def _banks_of(buffer: Buffer, device: Device, where: str, findings: Findings) -> tuple[int, int] | None:
    """How many there are of the memory, and what pages are aligned to in them."""
    banks = {"dram": (device.dram_banks, device.dram_alignment), "l1": (device.num_workers, device.l1_alignment)}
    count, alignment = banks.get(buffer.memory, (None, None))
    if count is None or alignment is None or (buffer.memory == "l1" and device.l1_size is None):
        findings.add("TT833", f"{where}/memory", f"found {shown(buffer.memory)}, whose banks nobody knows")
        return None
    known = _SHARDED if buffer.shard else (f"{buffer.memory}_interleaved",)
    if buffer.layout not in known:
        message = f"found {shown(buffer.layout)}; expected {' or '.join(known)}"
        findings.add("TT833", f"{where}/layout", message)
    return count, alignment


def _check_stride(buffer: Buffer, page_size: int, aligned: int, alignment: int, where: str, findings: Findings) -> None:
    """Pages of a bank follow each other at a stride that keeps them apart."""
    found, where = number(buffer.aligned_page_size_bytes), f"{where}/aligned_page_size_bytes"
    if found < page_size:
        message = f"a page begins {found} bytes after the one before it, which has {page_size}; expected {aligned}"
        findings.add("TT831", where, message)
    else:
        findings.expect("TT829", where, found, aligned, f"{page_size} rounded up to {alignment}")


def _check_reserved(buffer: Buffer, slots: int, aligned: int, where: str, findings: Findings) -> None:
    reserved, needed = number(buffer.bytes_per_bank), slots * aligned
    fitting = max(reserved, 0) // aligned
    why = f"{slots} times {aligned} bytes"
    if fitting < slots:
        why += f": the last {slots - fitting} pages of a bank lie beyond what is reserved"
    findings.expect("TT832", f"{where}/bytes_per_bank", reserved, needed, why)


def _check_cores(buffer: Buffer, shard: ShardPlan, device: Device, where: str, findings: Findings) -> None:
    """Each bank of a tensor with shards is there, and is one of its own."""
    columns, rows = (number(device.dram_banks), 1) if buffer.memory == "dram" else device.worker_grid
    owner: dict[tuple[int, int], int] = {}
    for bank, (x, y) in enumerate(shard.cores):
        if not (0 <= x < columns and 0 <= y < rows):
            kind = "banks [b, 0]" if buffer.memory == "dram" else "workers"
            message = f"found [{x}, {y}]; expected one of the {columns}x{rows} {kind} of {device.name}"
            findings.add("TT833", f"{where}/cores/{bank}", message)
        elif owner.setdefault((x, y), bank) != bank:
            message = f"banks {owner[x, y]} and {bank} are both [{x}, {y}], so that their pages lie in one place"
            findings.add("TT831", f"{where}/cores/{bank}", message)


# ---- shards --------------------------------------------------------------------------------------------------------


class _Cut(NamedTuple):
    """A tensor in pages and its shards: pages, and shards, are numbered along the last dimension first."""

    tensor: Sequence[int]
    shard: Sequence[int]

    @property
    def grid(self) -> tuple[int, ...]:
        return tuple(map(ceil_div, self.tensor, self.shard))

    def locate(self, pages: "IntArray") -> tuple["IntArray", "IntArray"]:
        """The shard of each page, and its number in there."""
        shard, within = np.zeros_like(pages), np.zeros_like(pages)
        shard_step = page_step = 1
        for tensor, part, shards in zip(reversed(self.tensor), reversed(self.shard), reversed(self.grid), strict=True):
            pages, place = np.divmod(pages, tensor)
            shard += place // part * shard_step
            within += place % part * page_step
            shard_step, page_step = shard_step * shards, page_step * part
        return shard, within


def _check_shard(buffer: Buffer, shard: ShardPlan, page: _Page, num_pages: int, where: str, findings: Findings) -> int:
    """Pages for which every bank reserves memory."""
    before = findings.total
    cut = _cut_of(buffer, shard, page, where, findings)
    num_cores = max(len(shard.cores), 1)
    if cut is None:
        return 0
    num_shards = prod(cut.grid)
    per_core = ceil_div(num_shards, num_cores)
    for name, expected, why in (
        ("num_shards", num_shards, f"of {shown(cut.grid)} shards"),
        ("pages_per_shard", prod(cut.shard), f"of {shown(cut.shard)} pages"),
        ("shards_per_core", per_core, f"{num_shards} shards on {num_cores} banks"),
    ):
        findings.expect("TT834", f"{where}/{name}", getattr(shard, name), expected, why)
    _check_pages(shard, cut, num_pages, where, findings)
    if findings.total == before:
        _check_kind(buffer, shard, cut, where, findings)
    return per_core * prod(cut.shard)


def _cut_of(buffer: Buffer, shard: ShardPlan, page: _Page, where: str, findings: Findings) -> _Cut | None:
    """In all dimensions that the shard has; those that it has not are a part of its first one."""
    is_tiled = buffer.page_layout == "tile"
    shape = tuple(map(number, buffer.shape))
    extents = (1,) * ((2 if is_tiled else 1) - len(shape)) + shape
    rank = len(shard.shape)
    sides = (1,) * rank + (page.height, page.width)
    if rank > len(extents) and not (rank == 2 and len(extents) == 1):
        findings.add("TT834", f"{where}/shape", f"found {rank} dimensions of a tensor of {len(extents)}")
        return None
    if any(extent % side for extent, side in zip(shard.shape, sides[-rank:], strict=True)):
        message = f"found {shown(shard.shape)}; expected whole pages of {page.height}x{page.width} elements"
        findings.add("TT834", f"{where}/shape", message)
        return None
    extents = (1,) * (rank - len(extents)) + extents
    pages = tuple(map(ceil_div, extents, ((1,) * len(extents) + sides[-2:])[-len(extents) :]))
    joined = (prod(pages[: len(pages) - rank + 1]), *pages[len(pages) - rank + 1 :])
    return _Cut(joined, tuple(extent // side for extent, side in zip(shard.shape, sides[-rank:], strict=True)))


def _check_pages(shard: ShardPlan, cut: _Cut, num_pages: int, where: str, findings: Findings) -> None:
    """The plan joins dimensions that are not cut: each page has to be where it is without that."""
    stated = _Cut(shard.tensor_pages, shard.shard_pages)
    rank = len(stated.tensor)
    if rank != len(stated.shard) or not 1 <= rank <= _MOST_RANK or min(*stated.tensor, *stated.shard) < 1:
        message = f"found {shown(stated.shard)} of {shown(stated.tensor)}; expected extents of at least 1, equally many"
        findings.add("TT834", f"{where}/shard_pages", message)
        return
    before = findings.total
    findings.expect("TT834", f"{where}/shard_grid", shard.shard_grid, stated.grid, "pages over pages of a shard")
    for name, found, expected in (
        ("tensor_pages", stated.tensor, num_pages),
        ("shard_pages", stated.shard, prod(cut.shard)),
    ):
        if prod(found) != expected:
            findings.add("TT834", f"{where}/{name}", f"found {shown(found)}, {prod(found)} pages; expected {expected}")
    if findings.total > before:
        return
    if num_pages > _MOST_PAGES:
        message = f"{num_pages} pages in shards are too many to be looked up; expected at most {_MOST_PAGES}"
        findings.add("TT839", where, message)
        return
    for first in range(0, num_pages, _CHUNK):
        pages = np.arange(first, min(first + _CHUNK, num_pages))
        found_in, expected_in = stated.locate(pages), cut.locate(pages)
        wrong = np.flatnonzero((found_in[0] != expected_in[0]) | (found_in[1] != expected_in[1]))
        if len(wrong):
            place, other = ([int(part[wrong[0]]) for part in found] for found in (found_in, expected_in))
            message = (
                f"page {first + wrong[0]} is page {place[1]} of shard {place[0]}; expected page {other[1]} of shard "
                f"{other[0]}, as shards have {shown(cut.shard)} of {shown(cut.tensor)} pages"
            )
            findings.add("TT834", f"{where}/shard_pages", message)
            return


def _check_kind(buffer: Buffer, shard: ShardPlan, cut: _Cut, where: str, findings: Findings) -> None:
    """That the shards are what the layout and the distribution are called."""
    num_cores, num_shards = len(shard.cores), prod(cut.grid)
    in_turn = shard.distribution == "round_robin_1d"
    spans_width, spans_height = cut.shard[-1] == cut.tensor[-1], cut.shard[:-1] == cut.tensor[:-1]
    one_each = in_turn and num_shards <= num_cores
    is_line = one_each and (spans_width or spans_height)
    claims = {
        "height_sharded": one_each and spans_width,
        "width_sharded": one_each and spans_height,
        "block_sharded": shard.distribution == "grid_2d" or (one_each and not is_line),
        "nd_sharded": len(cut.tensor) > 2 or not is_line,
    }
    if not claims.get(buffer.layout, True):
        message = f"found {buffer.layout}; shards {shown(cut.grid)} on {num_cores} banks, {shard.distribution}, are not"
        findings.add("TT834", f"{where}/distribution", message)
    deals = {
        "round_robin_1d": True,
        "contiguous_1d": num_shards % max(num_cores, 1) == 0,
        "grid_2d": num_shards == num_cores,
    }
    if not deals.get(shard.distribution, False):
        message = (
            f"found {shown(shard.distribution)} of {num_shards} shards on {num_cores} banks; expected equally many"
        )
        findings.add("TT834", f"{where}/distribution", message)
    if shard.orientation not in ("row_major", "column_major"):
        message = f"found {shown(shard.orientation)}; expected row_major or column_major"
        findings.add("TT834", f"{where}/orientation", message)


# ---- accessors -----------------------------------------------------------------------------------------------------


def _accessor_words(buffer: Buffer, device: Device, aligned: int) -> Iterator[int]:
    """Source: TensorAccessorArgs of ttnn 0.81.1, tt_metal/hw/inc/api/tensor/tensor_accessor_args.h."""
    yield (2 if buffer.memory == "dram" else 0) | (buffer.shard is not None)
    yield aligned
    if buffer.shard is None:
        return
    shard = buffer.shard
    yield len(shard.tensor_pages)
    yield len(shard.cores) | (1 << 31 if shard.distribution == "contiguous_1d" else 0)
    yield from shard.tensor_pages
    yield from shard.shard_pages
    banks = [_bank_coordinate(x, y, buffer, device) for x, y in shard.cores] + [0]
    yield from (banks[i] | banks[i + 1] << 16 for i in range(0, len(shard.cores), 2))


def _bank_coordinate(x: int, y: int, buffer: Buffer, device: Device) -> int:
    """A DRAM bank is its number; a worker has coordinates that skip Blackhole's columns of DRAM and ethernet.

    Source: worker_core_from_logical_core of ttnn 0.81.1 on mock devices.
    """
    if buffer.memory != "dram":
        x, y = (x + (1 if x < 7 else 3), y + 2) if device.arch == "blackhole" else (x + 18, y + 18)
    return x << 8 | y
