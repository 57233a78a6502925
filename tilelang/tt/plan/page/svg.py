"""The figures of a page, as SVG: each a function of numbers of the plan, and the same text for the same numbers.

What belongs to one core or one bank has ``data-key``, by which the page links figures. Colours come from its style
sheet, but for those that tell owners apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from math import ceil, cos, pi, sin
from typing import TYPE_CHECKING, NamedTuple

from ..._page.markup import Attribute, Markup, element
from .raster import MIXED, Raster, progressions

if TYPE_CHECKING:
    from ..model import IntArray, OnChip

# Steps of the scale of amounts; page.css has a colour for each.
LEVELS = 8
_LARGEST_CORE = 56
_AXIS = 22
_SIDE = 512
_SLICE_GAP = 14
_LARGEST_CELL = 40
_LARGEST_PAGE = 48
_PAGES_SIDE = 260
# Smaller cells have no room for a number of three digits.
_LEAST_NUMBERED = 20


class Measure(NamedTuple):
    """A number of each core.

    Attributes:
        key: In names of the page.
        title: What is measured, with its unit.
        values: Of each core, by linear core id.
    """

    key: str
    title: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Cores:
    """The cores that a launch may run on.

    Attributes:
        worker_grid: Columns and rows of the chip's worker grid.
        places: ``(x, y)`` of each core, by linear core id.
        labels: What is said of each core.
        is_idle: Of each core, whether it has no work.
    """

    worker_grid: tuple[int, int]
    places: Sequence[tuple[int, int]]
    labels: Sequence[str]
    is_idle: Sequence[bool]

    def colours(self) -> dict[int, str]:
        """A colour for each core, by its place: hue by column, lightness by row."""
        columns, rows = self.worker_grid
        return {
            core: _oklch(0.92 - 0.22 * y / rows, 0.065, 40 + 300 * x / columns)
            for core, (x, y) in enumerate(self.places)
        }


def bank_colours(count: int) -> dict[int, str]:
    """A colour for each bank: one hue, darker by number."""
    return {bank: _oklch(0.93 - 0.36 * bank / count, 0.03 + 0.04 * bank / count, 225) for bank in range(count)}


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """As sRGB; the matrices are those of https://bottosson.github.io/posts/oklab/."""
    a, b = chroma * cos(hue * pi / 180), chroma * sin(hue * pi / 180)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    bounded = [min(max(value, 0.0), 1.0) for value in linear]
    gamma = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in bounded]
    return "#" + "".join(f"{round(255 * value):02x}" for value in gamma)


def short(value: int) -> str:
    """In four characters where it can be: 9999, 12k, 3M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 10 * size:
            return f"{value // size}{unit}"
    return str(value)


def level(value: int, largest: int) -> int:
    """The step of the scale, 1 to ``LEVELS``, and 0 for nothing."""
    return -(-LEVELS * value // largest) if largest else 0


def _svg(width: float, height: float, *children: str, **attributes: Attribute) -> Markup:
    return element("svg", *children, viewBox=f"0 0 {width:g} {height:g}", width=width, height=height, **attributes)


def hatch() -> Markup:
    """The pattern that other figures fill with; it is on the page once."""
    line = element("path", d="M0 6L6 0M-1.5 1.5L1.5 -1.5M4.5 7.5L7.5 4.5")
    pattern = element("pattern", line, id="hatch", width=6, height=6, patternUnits="userSpaceOnUse")
    return element("svg", pattern, class_="defs", aria_hidden="true")


def core_grid(cores: Cores, measures: Sequence[Measure], label: str) -> Markup:
    """The worker grid of the chip, with a number in each core and its colour by the number, for each measure."""
    columns, rows = cores.worker_grid
    pitch = min(_LARGEST_CORE, _SIDE // max(columns, rows))
    ids = {place: core for core, place in enumerate(cores.places)}
    colours = cores.colours()
    axes = [_axis_text(_AXIS + (x + 0.5) * pitch, _AXIS - 8, x) for x in range(columns)]
    axes += [_axis_text(_AXIS - 10, _AXIS + (y + 0.5) * pitch + 4, y) for y in range(rows)]
    lines = []
    for y in range(rows):
        cells = [
            _core((_AXIS + x * pitch, _AXIS + y * pitch, pitch), (x, y), ids.get((x, y)), cores, colours, measures)
            for x in range(columns)
        ]
        lines.append(element("g", *cells, role="row"))
    width, height = _AXIS + columns * pitch + 2, _AXIS + rows * pitch + 2
    return _svg(width, height, *axes, *lines, class_="cores", role="grid", aria_label=label)


def _axis_text(x: float, y: float, number: int) -> Markup:
    return element("text", str(number), x=x, y=y, class_="axis", aria_hidden="true")


def _core(
    square: tuple[int, int, int],
    place: tuple[int, int],
    core: int | None,
    cores: Cores,
    colours: Mapping[int, str],
    measures: Sequence[Measure],
) -> Markup:
    left, top, size = square
    box: dict[str, Attribute] = {"x": left + 1.5, "y": top + 1.5, "width": size - 3, "height": size - 3, "rx": 3}
    middle: dict[str, Attribute] = {"x": left + size / 2, "y": top + size / 2 + 4.5}
    common: dict[str, Attribute] = {"role": "gridcell", "tabindex": -1}
    if core is None:
        rect = element("rect", **box)
        label = f"core at ({place[0]}, {place[1]}): not for this kernel"
        return element("g", rect, class_="core unused", aria_label=label, **common)
    parts = []
    for measure in measures:
        value = measure.values[core]
        heat = level(value, max(measure.values))
        text = element("text", short(value), **middle)
        parts.append(element("g", element("rect", **box), text, class_=f"of-{measure.key} q{heat}"))
    text = element("text", str(core), **middle)
    parts.append(element("g", element("rect", fill=colours[core], **box), text, class_="of-number owner"))
    kind = "core idle" if cores.is_idle[core] else "core"
    return element("g", *parts, class_=kind, data_key=core, aria_label=cores.labels[core], **common)


class _Canvas(NamedTuple):
    """Where the cells of a raster lie: in slices along z, which stand side by side and then below each other.

    Attributes:
        columns: Cells of a line of a slice.
        lines: Lines of a slice.
        slices: Slices.
        across: Slices side by side.
        wide: Width of a cell.
        high: Height of a cell.
    """

    columns: int
    lines: int
    slices: int
    across: int
    wide: int
    high: int

    def place(self, column: int, line: int, number: int) -> tuple[int, int]:
        """Left and top of a cell."""
        left = number % self.across * (self.columns * self.wide + _SLICE_GAP) + column * self.wide
        return left + 1, number // self.across * (self.lines * self.high + _SLICE_GAP) + line * self.high + 1

    @property
    def width(self) -> int:
        return self.across * (self.columns * self.wide + _SLICE_GAP) - _SLICE_GAP + 2

    @property
    def height(self) -> int:
        return ceil(self.slices / self.across) * (self.lines * self.high + _SLICE_GAP) - _SLICE_GAP + 2


def _canvas(raster: Raster) -> _Canvas:
    """A grid of one axis is written in lines, as text is."""
    columns, lines, slices = raster.cells
    if sum(count > 1 for count in raster.cells) == 1:
        count = columns * lines * slices
        columns = count if count <= 16 else 2 ** ceil((count - 1).bit_length() / 2 + 0.5)
        lines, slices = -(-count // columns), 1
    across = min(slices, max(1, round((slices * lines / columns) ** 0.5)))
    down = -(-slices // across)
    room_x, room_y = (_SIDE - (count - 1) * _SLICE_GAP for count in (across, down))
    return _Canvas(columns, lines, slices, across, *_cell(room_x // (across * columns), room_y // (down * lines)))


def _cell(wide: int, high: int) -> tuple[int, int]:
    """Width and height of a cell, of which there is so much room: at most four to one."""
    wide, high = (max(2, min(_LARGEST_CELL, side)) for side in (wide, high))
    return min(wide, 4 * high), min(high, 4 * wide)


def launch_grid(raster: Raster, first_ids: "IntArray | None", colours: Mapping[int, str], label: str) -> Markup:
    """The launch grid, each cell in the colour of its core; ``first_ids`` are the work tiles, unless merged."""
    canvas = _canvas(raster)
    owners = _rows(raster.owners.tolist(), canvas)
    data = {
        "grid": raster.grid,
        "block": raster.block,
        "cells": raster.cells,
        "canvas": [*canvas, _SLICE_GAP],
        "owners": progressions(raster.owners.tolist()),
        "shares": progressions(raster.shares.tolist()) if raster.is_merged else None,
        "lookedAt": progressions(raster.looked_at.tolist()) if raster.is_merged else None,
        "tiles": None if first_ids is None else progressions(first_ids.tolist()),
    }
    parts = [*_areas(owners, canvas, colours), _borders(owners, canvas)]
    if first_ids is not None and canvas.wide >= _LEAST_NUMBERED and canvas.high >= _LEAST_NUMBERED // 2:
        parts += _core_numbers(raster.owners.tolist(), first_ids.tolist(), canvas)
    parts.append(element("rect", class_="cursor", width=canvas.wide, height=canvas.high))
    return _svg(
        canvas.width,
        canvas.height,
        *parts,
        class_="raster",
        role="application",
        tabindex=0,
        aria_label=label,
        data_raster=dumps(data, separators=(",", ":")),
    )


def _rows(owners: list[int], canvas: _Canvas) -> list[list[list[int | None]]]:
    """Owners by slice, line and column; None after the last cell."""
    padded: list[int | None] = [*owners, *[None] * (canvas.columns * canvas.lines * canvas.slices - len(owners))]
    lines = [padded[at : at + canvas.columns] for at in range(0, len(padded), canvas.columns)]
    return [lines[at : at + canvas.lines] for at in range(0, len(lines), canvas.lines)]


def _areas(slices: list[list[list[int | None]]], canvas: _Canvas, colours: Mapping[int, str]) -> Iterator[Markup]:
    """A path for each owner."""
    paths: dict[int, list[str]] = {}
    for number, lines in enumerate(slices):
        for line, owners in enumerate(lines):
            for column, length in _stretches(owners):
                owner = owners[column]
                if owner is None:
                    continue
                left, top = canvas.place(column, line, number)
                width = length * canvas.wide
                paths.setdefault(owner, []).append(f"M{left} {top}h{width}v{canvas.high}h-{width}z")
    for owner, path in sorted(paths.items()):
        if owner == MIXED:
            yield element("path", d="".join(path), class_="mixed")
        else:
            yield element("path", d="".join(path), data_key=owner, fill=colours[owner])


def _stretches(values: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Start and length of each stretch of equal values."""
    start = 0
    for at in range(1, len(values) + 1):
        if at == len(values) or values[at] != values[start]:
            yield start, at - start
            start = at


def _borders(slices: list[list[list[int | None]]], canvas: _Canvas) -> Markup:
    """Lines between cells of different owners, so that areas are told apart without colours."""
    path = []
    for number, lines in enumerate(slices):
        for line in range(1, canvas.lines):
            differ = [above != below for above, below in zip(lines[line - 1], lines[line], strict=True)]
            for column, length in _stretches(differ):
                if differ[column]:
                    left, top = canvas.place(column, line, number)
                    path.append(f"M{left} {top}h{length * canvas.wide}")
        for column in range(1, canvas.columns):
            differ = [owners[column - 1] != owners[column] for owners in lines]
            for line, length in _stretches(differ):
                if differ[line]:
                    left, top = canvas.place(column, line, number)
                    path.append(f"M{left} {top}v{length * canvas.high}")
    return element("path", d="".join(path), class_="border" if min(canvas.wide, canvas.high) >= 6 else "border fine")


def _core_numbers(owners: list[int], tiles: list[int], canvas: _Canvas) -> Iterator[Markup]:
    """The number of each core, in the first of its work tiles."""
    first: dict[int, int] = {}
    for cell in sorted(range(len(tiles)), key=tiles.__getitem__):
        first.setdefault(owners[cell], cell)
    for owner, cell in sorted(first.items()):
        line, column = divmod(cell, canvas.columns)
        number, line = divmod(line, canvas.lines)
        left, top = canvas.place(column, line, number)
        size = min(11, canvas.wide // 2 + 1)
        yield element(
            "text",
            str(owner),
            x=left + canvas.wide / 2,
            y=top + canvas.high / 2 + size * 0.36,
            font_size=size,
            class_="owner",
            aria_hidden="true",
        )


class Extent(NamedTuple):
    """Elements of one axis of a matrix: how many, with padding, and of a part of the raster's grid."""

    elements: int
    padded: int
    part: int


def pages(raster: Raster, colours: Mapping[int, str], width: Extent, height: Extent, label: str) -> Markup:
    """The pages of one matrix, in the colours of their banks, with its padding hatched."""
    canvas = _matrix_canvas(raster, height.part == 1)
    owners = _rows(raster.owners.tolist(), canvas)
    parts = [*_areas(owners, canvas, colours), _borders(owners, canvas)]
    scale_x = canvas.wide / (width.part * raster.block[0])
    scale_y = canvas.high / (height.part * raster.block[1])
    right, bottom = width.padded * scale_x, height.padded * scale_y
    left, top = width.elements * scale_x, height.elements * scale_y
    if left < right or top < bottom:
        outline = f"M{left + 1:.6g} 1H{right + 1:.6g}V{bottom + 1:.6g}H1V{top + 1:.6g}H{left + 1:.6g}z"
        parts += [element("path", d=outline, class_=kind) for kind in ("padding ground", "padding")]
    parts.append(element("rect", x=1, y=1, width=left, height=top, class_="tensor"))
    # A block at the edge of the grid may reach beyond it, and a part of the grid ends before its edge.
    right, bottom = min(right, canvas.width - 2), min(bottom, canvas.height - 2)
    return _svg(right + 2, bottom + 2, *parts, class_="pages", role="img", aria_label=label)


def _matrix_canvas(raster: Raster, are_rows: bool) -> _Canvas:
    """Tiles are drawn as squares, and rows as wide as there is room."""
    columns, lines, _ = raster.cells
    wide = _PAGES_SIDE // columns
    high = max(4, min(_LARGEST_PAGE, _PAGES_SIDE // lines))
    return _Canvas(columns, lines, 1, 1, wide if are_rows else min(wide, high), high if are_rows else min(wide, high))


def banks(values: Sequence[int], colours: Mapping[int, str], labels: Sequence[str], label: str) -> Markup:
    """A bar for each bank, as high as it has pages."""
    pitch = max(3, min(24, 320 // len(values)))
    height, largest = 44, max(values) or 1
    bars = []
    for bank, value in enumerate(values):
        size = max(height * value / largest, 1)
        bar = element("rect", x=bank * pitch, y=height - size, width=max(pitch - 2, 2), height=size, fill=colours[bank])
        slot = element("rect", x=bank * pitch, y=0, width=pitch, height=height + 2, class_="slot")
        bars.append(
            element("g", slot, bar, role="gridcell", tabindex=-1, data_key=bank, aria_label=labels[bank], class_="bank")
        )
    row = element("g", *bars, role="row")
    return _svg(len(values) * pitch, height + 2, row, class_="banks", role="grid", aria_label=label)


def l1_bar(on_chip: "OnChip", label: str) -> Markup:
    """What circular buffers take of a core's L1, drawn to scale; what is beyond it is hatched."""
    used, available = int(on_chip.l1_bytes), on_chip.l1_available_bytes
    limit = used if available is None else int(available)
    scale = 920 / max(used, limit, 1)
    parts = [element("rect", x=0.5, y=0.5, width=limit * scale, height=34, class_="free")]
    at = 0.0
    for number, buffer in enumerate(on_chip.circular_buffers):
        width = int(buffer.size_bytes) * scale
        parts.append(element("rect", x=at + 0.5, y=0.5, width=width, height=34, class_=f"q{3 + 2 * (number % 2)}"))
        if width > 7.5 * len(buffer.name) + 8:
            parts.append(element("text", buffer.name, x=at + 8, y=22, class_=f"on-q{3 + 2 * (number % 2)}"))
        at += width
    if used > limit:
        parts.append(element("rect", x=limit * scale, y=0.5, width=(used - limit) * scale, height=34, class_="over"))
        parts.append(element("path", d=f"M{limit * scale:.6g} -4v46", class_="limit"))
    return _svg(922, 36, *parts, class_="l1", role="img", aria_label=label)


def bounds(values: Sequence[tuple[str, float, str]], label: str) -> Markup:
    """A bar for each bound: its name, clocks, and what of."""
    largest = max(value for _, value, _ in values) or 1
    parts = []
    for number, (name, value, of) in enumerate(values):
        top, width = 30 * number, 460 * value / largest
        parts += [
            element("text", name, x=0, y=top + 16),
            element(
                "rect", x=80, y=top + 2, width=max(width, 1.0), height=20, class_="q6" if value == largest else "q3"
            ),
            element("text", f"{value:,.0f} clocks: {of}", x=88 + width, y=top + 16),
        ]
    return _svg(920, 30 * len(values), *parts, class_="bounds", role="img", aria_label=label)


def legend(largest: int) -> Markup:
    """The scale of amounts up to the largest, as a strip."""
    steps = [element("rect", x=20 * n - 20, y=0, width=20, height=8, class_=f"q{n}") for n in range(1, LEVELS + 1)]
    ends = [element("text", "0", x=0, y=21), element("text", short(largest), x=160, y=21, text_anchor="end")]
    return _svg(160, 24, *steps, *ends, class_="legend", aria_hidden="true")
