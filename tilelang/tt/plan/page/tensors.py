"""The part of a page that shows the tensors of a kernel: their pages, padding and banks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..._page.markup import Markup, element
from ..._page.parts import details, facts, table
from ..model import Buffer, Kernel
from . import svg
from .parts import by, merging, percent, plural, stored_as, words
from .raster import banks_of, merge

if TYPE_CHECKING:
    from ..model import IntArray

_MAX_PAGES_COUNTED = 2**22
_MAX_SIDE = 32
_CORNER = 16


def tensor_section(kernel: Kernel) -> Markup:
    if not kernel.buffers:
        return Markup()
    cards = [_buffer(buffer) for buffer in kernel.buffers]
    return element(
        "section",
        element("h2", _tensor_finding(kernel.buffers)),
        element("p", "Pages in the colours of their banks; hatched: padding.", class_="note"),
        element("div", *cards, class_="cards"),
        details("Tensors as a table", _buffer_table(kernel.buffers)),
        class_="tensors",
    )


def _tensor_finding(buffers: Sequence[Buffer]) -> str:
    total = sum(int(buffer.num_pages) * int(buffer.page_size_bytes) for buffer in buffers)
    padding = sum(int(buffer.padding_bytes) for buffer in buffers)
    share = padding / total if total else 0.0
    return f"{plural(len(buffers), 'tensor')} of {total:,} bytes, {percent(share)} padding"


def _buffer(buffer: Buffer) -> Markup:
    said, picture = _pages(buffer)
    matrices = int(buffer.num_matrices)
    caption = f"{buffer.access.replace('_', ' and ')}, {words(buffer.layout)}."
    if matrices > 1:
        caption += f" Drawn: the first of {matrices:,} matrices."
    padded = [("Padded to", by(buffer.padded_shape))] if buffer.padded_shape != buffer.shape else []
    listed = [
        ("Shape", by(buffer.shape)),
        *padded,
        ("Stored as", stored_as(buffer.dtype, buffer.data_format)),
        ("Pages", f"{int(buffer.num_pages):,} of {int(buffer.page_size_bytes):,} bytes"),
        ("Padding", _padding(buffer)),
        ("In each bank", f"{int(buffer.bytes_per_bank):,} bytes"),
    ]
    return element(
        "figure",
        element("figcaption", element("h3", buffer.name), caption, " ", said),
        picture,
        _bank_figure(buffer),
        element("p", "Point at a bank.", class_="readout"),
        facts(listed),
        data_link="bank",
    )


def _padding(buffer: Buffer) -> str:
    if not buffer.padding_bytes:
        return "none"
    return f"{int(buffer.padding_bytes):,} bytes ({buffer.padding_percent} %), holds {buffer.padding_value}"


def _page_extents(buffer: Buffer) -> tuple[svg.Extent, svg.Extent]:
    """Across and down one matrix; tensors of fewer than two dimensions are matrices of one row."""
    height, width = (1, 1, *map(int, buffer.shape))[-2:]
    padded_height, padded_width = (1, 1, *map(int, buffer.padded_shape))[-2:]
    if buffer.tile_shape is not None:
        part_height, part_width = buffer.tile_shape
    else:
        pages = buffer.shard.tensor_pages[-1] if buffer.shard is not None else 1
        part_height, part_width = 1, -(-padded_width // pages)
    return svg.Extent(width, padded_width, part_width), svg.Extent(height, padded_height, part_height)


def _pages(buffer: Buffer) -> tuple[str, Markup]:
    """The pages of one matrix, and what is said of how they are drawn; of a large interleaved one, the first pages."""
    width, height = _page_extents(buffer)
    columns, lines = -(-width.padded // width.part), -(-height.padded // height.part)

    def banks(at: "IntArray") -> "IntArray":
        return banks_of(at[:, 1] * columns + at[:, 0], buffer)

    raster = merge((columns, lines, 1), banks, _MAX_SIDE)
    said = merging(raster, "pages", "bank")
    if raster.is_all_mixed:
        raster = merge((min(columns, _CORNER), min(lines, _CORNER), 1), banks)
        said = f"Drawn: the first {by(raster.cells[:2])} of {by((columns, lines))} pages."
    size = by((height.part, width.part))
    label = f"{buffer.name}: {by((lines, columns))} pages of {size} elements, padding: {_padding(buffer)}"
    return said, svg.pages(raster, svg.bank_colours(buffer.num_banks), width, height, label)


def _bank_figure(buffer: Buffer) -> Markup:
    import numpy as np

    if int(buffer.num_pages) > _MAX_PAGES_COUNTED:
        return Markup()
    owners = banks_of(np.arange(int(buffer.num_pages)), buffer)
    counts = np.bincount(owners, minlength=buffer.num_banks).tolist()
    memory = "DRAM bank" if buffer.memory == "dram" else "L1 bank"
    labels = [
        f"{memory} {bank}{_bank_place(buffer, bank)}: {plural(count, 'page')}, "
        f"{count * int(buffer.page_size_bytes):,} bytes"
        for bank, count in enumerate(counts)
    ]
    name = f"{plural(buffer.num_banks, memory)} of {buffer.name}"
    picture = svg.banks(counts, svg.bank_colours(buffer.num_banks), labels, name)
    few, most = min(counts), max(counts)
    each = f"{few:,}" if few == most else f"{few:,} to {most:,}"
    return element(
        "div", picture, element("p", f"{plural(buffer.num_banks, memory)}, {each} pages each"), class_="bank-row"
    )


def _bank_place(buffer: Buffer, bank: int) -> str:
    if buffer.shard is None or buffer.memory == "dram":
        return ""
    x, y = buffer.shard.cores[bank]
    return f" at ({x}, {y})"


def _buffer_table(buffers: Sequence[Buffer]) -> Markup:
    columns = (
        "Tensor",
        "Access",
        "Layout",
        "Shape",
        "Padded to",
        "Stored as",
        "Pages",
        "Page bytes",
        "Banks",
        "Bank bytes",
        "Padding bytes",
        "Accessor words",
    )
    rows = [
        (
            buffer.name,
            words(buffer.access),
            words(buffer.layout),
            by(buffer.shape),
            by(buffer.padded_shape),
            stored_as(buffer.dtype, buffer.data_format),
            int(buffer.num_pages),
            int(buffer.page_size_bytes),
            buffer.num_banks,
            int(buffer.bytes_per_bank),
            int(buffer.padding_bytes),
            " ".join(map(str, buffer.accessor_compile_time_args)),
        )
        for buffer in buffers
    ]
    return table("Tensors", columns, rows)
