"""A plan as text, for ``print`` and for terminals.

Lines are made of pieces, and a piece has the role that it plays. Who has colours gives the roles theirs; without them
the pieces are the text. Nothing here is imported that takes long.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..work_split import corerange_to_cores

if TYPE_CHECKING:
    from .model import Buffer, Kernel, Launch, OnChip, RuntimeArgument, Size
    from .plan import Plan

WIDTH = 100
_GAP = "  "
_LABEL = 12
_LONGEST_CELL = 20
# Cores with work play one of so many roles, by how much of it they have.
_HEAT_LEVELS = 4


class Piece(NamedTuple):
    """A part of a line.

    Attributes:
        text: What it says.
        role: ``title``, ``label``, ``head``, ``warning``, ``idle``, ``unused``, ``heat1`` to ``heat4``, or nothing.
    """

    text: str
    role: str = ""


Line: TypeAlias = tuple[Piece, ...]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: Above it.
        right: Whether it is aligned to the right, as numbers are.
        rank: Columns of the highest rank go first where the table is too wide; one of rank 0 never does.
    """

    title: str
    right: bool = False
    rank: int = 0


def describe(plan: "Plan", width: int = WIDTH) -> str:
    """The plan as text, in lines of about ``width`` characters at most."""
    return plain(lines(plan, width))


def plain(text: Iterable[Line]) -> str:
    """Lines without their roles."""
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in text)


def lines(plan: "Plan", width: int = WIDTH) -> Iterator[Line]:
    """The plan in lines of about ``width`` characters at most."""
    for number, kernel in enumerate(plan.kernels):
        if number:
            yield ()
        yield from _kernel(kernel, width)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Piece]], width: int = WIDTH) -> Iterator[Line]:
    """A table with a line for its titles, as wide as it must be; columns that do not fit are left out by rank."""
    cells = [[cell if isinstance(cell, Piece) else Piece(cell) for cell in row] for row in rows]
    widths = [
        max(len(column.title), *(len(row[position].text) for row in cells), 0)
        for position, column in enumerate(columns)
    ]
    shown = list(range(len(columns)))
    while sum(widths[i] + len(_GAP) for i in shown) - len(_GAP) > width:
        last = max(shown, key=lambda i: (columns[i].rank, i))
        if columns[last].rank == 0:
            break
        shown.remove(last)
    for row in [[Piece(column.title, "head") for column in columns], *cells]:
        yield tuple(Piece(_justify(row[i].text, widths[i], columns[i].right), row[i].role) for i in shown)


def work_of_cores(kernel: "Kernel", launch: "Launch") -> dict[tuple[int, int], int]:
    """Work tiles of each core ``(x, y)`` that may be used, in the order of cores; none where the grid is symbolic."""
    if launch.tile_range is not None:
        return {}
    cores = corerange_to_cores(kernel.inputs.cores, None, kernel.inputs.core_order == "row_major")
    counts = [0] * len(cores)
    for run in launch.tile_runs:
        counts[run.core] += run.length * run.repeat
    return dict(zip(cores, counts, strict=True))


def _justify(text: str, width: int, right: bool) -> str:
    return (text.rjust(width) if right else text.ljust(width)) + _GAP


def _kernel(kernel: "Kernel", width: int) -> Iterator[Line]:
    sizes = f", for any {', '.join(kernel.shape_variables)}" if kernel.shape_variables else ""
    yield Piece(kernel.name, "title"), Piece(f" on {kernel.device.name}{sizes}")
    for number, launch in enumerate(kernel.launches):
        yield ()
        if len(kernel.launches) > 1:
            yield (Piece(f"launch {number}", "title"),)
        yield from _launch(kernel, launch, width)
    if kernel.buffers:
        yield ()
        yield from _buffers(kernel.buffers, width)
    for warning in kernel.warnings:
        yield ()
        yield from _warning(warning.code, warning.message)


def _launch(kernel: "Kernel", launch: "Launch", width: int) -> Iterator[Line]:
    inputs = kernel.inputs
    work = work_of_cores(kernel, launch)
    counts = list(work.values())
    block = f" of {inputs.schedule_block_size}" if inputs.schedule_block_size else ""
    panel = f" of {inputs.swizzle_panel}" if inputs.swizzle_panel else ""
    yield _labelled("grid", f"{_by(launch.grid)} = {launch.num_tiles} work tiles, {inputs.schedule_order}{panel}")
    yield _labelled("schedule", f"{inputs.schedule_policy}{block}, {_shares(launch, counts)}")
    if launch.tile_range is not None:
        yield _labelled("  start", str(launch.tile_range.start))
        yield _labelled("  count", str(launch.tile_range.count))
    if launch.persistent is not None:
        persistent = launch.persistent
        yield _labelled("persistent", f"{persistent.loop} counts waves of {persistent.wave} work tiles")
    if counts and launch.num_tiles:
        yield _labelled("imbalance", _imbalance(counts))
    yield _labelled("L1", _on_chip(launch.on_chip))
    yield from _arguments(launch.runtime_arguments, width)
    if counts:
        yield ()
        yield from _core_map(kernel.device.worker_grid, work)
    if launch.on_chip.circular_buffers:
        yield ()
        yield from _circular_buffers(launch.on_chip, width)


def _labelled(label: str, text: str) -> Line:
    return Piece(label.ljust(_LABEL), "label"), Piece(text)


def _shares(launch: "Launch", counts: list[int]) -> str:
    if launch.tile_range is not None:
        return "by core_id, the number of a core"
    cores = f"{launch.num_active_cores} of {len(counts)} cores"
    groups = sorted(Counter(count for count in counts if count).items(), reverse=True)
    if len(groups) > 3:
        return f"{cores} run {groups[-1][0]} to {groups[0][0]} tiles each"
    if len(groups) == 1:
        return f"{cores} run {groups[0][0]} each"
    return f"{cores} have work: {', '.join(f'{cores} run {count}' for count, cores in groups)}"


def _imbalance(counts: list[int]) -> str:
    most, mean = max(counts), sum(counts) / len(counts)
    return f"{most} on the busiest core, {mean:.2f} on average: {1 - mean / most:.1%} of core time is idle"


def _on_chip(on_chip: "OnChip") -> str:
    needed, available = on_chip.l1_bytes, on_chip.l1_available_bytes
    share = ""
    if isinstance(needed, int) and isinstance(available, int) and available:
        share = f" ({needed / available:.1%})"
    known = "" if available is None else f" of {_size(available)}"
    limit = "" if on_chip.max_circular_buffers is None else f" of {on_chip.max_circular_buffers}"
    buffers = f"{len(on_chip.circular_buffers)}{limit} circular buffers"
    return f"{_size(on_chip.l1_bytes)}{known} bytes{share}, in {buffers}"


def _arguments(arguments: "tuple[RuntimeArgument, ...]", width: int) -> Iterator[Line]:
    """What each core is told, and what all are."""
    for scope, title in (("per_core", "each core"), ("common", "all cores")):
        texts = [_argument(argument) for argument in arguments if argument.scope == scope]
        for number, line in enumerate(_fill(texts, width - _LABEL)):
            yield _labelled("" if number else title, line)


def _argument(argument: "RuntimeArgument") -> str:
    value = "?" if argument.source == "unresolved" else argument.value
    return argument.name if value is None else f"{argument.name} = {value}"


def _fill(texts: list[str], width: int) -> list[str]:
    """The texts, separated by commas, in lines of at most ``width`` characters where that can be."""
    filled: list[str] = []
    for text in texts:
        if filled and len(filled[-1]) + len(text) + 3 <= width:
            filled[-1] += f", {text}"
        else:
            filled.append(text)
    return [f"{line}," for line in filled[:-1]] + filled[-1:]


def _core_map(grid: tuple[int, int], counts: dict[tuple[int, int], int]) -> Iterator[Line]:
    columns, rows = grid
    most = max(counts.values())
    width = max(3, 1 + max(len(_short(count)) for count in counts.values()))
    yield (Piece("Work tiles of each core", "head"),)
    yield (Piece("   " + "".join(f"{x:{width}}" for x in range(columns)), "label"),)
    for y in range(rows):
        row = (_core(counts.get((x, y)), most, width) for x in range(columns))
        yield Piece(f"{y:3}", "label"), *row
    if len(counts) < columns * rows:
        yield (Piece(f"   {'-':>{width}} is not for this kernel", "unused"),)


def _core(count: int | None, most: int, width: int) -> Piece:
    if count is None:
        return Piece("-".rjust(width), "unused")
    if count == 0:
        return Piece("0".rjust(width), "idle")
    return Piece(_short(count).rjust(width), f"heat{ceil(_HEAT_LEVELS * count / most)}")


def _short(count: int) -> str:
    """In four characters where it can be: 9999, 12k, 3M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= 10 * size:
            return f"{count // size}{unit}"
    return str(count)


_TENSOR_COLUMNS = (
    Column("tensor"),
    Column("access", rank=2),
    Column("format", rank=1),
    Column("shape"),
    Column("padded to", rank=5),
    Column("layout", rank=3),
    Column("page", rank=6),
    Column("pages", right=True),
    Column("banks", right=True, rank=4),
    Column("bytes", right=True),
    Column("padding", right=True),
)


def _buffers(buffers: "tuple[Buffer, ...]", width: int) -> Iterator[Line]:
    yield from table(_TENSOR_COLUMNS, [_buffer(buffer) for buffer in buffers], width)


def _buffer(buffer: "Buffer") -> list[str | Piece]:
    return [
        buffer.name,
        buffer.access,
        buffer.data_format,
        _shape(buffer.shape),
        _shape(buffer.padded_shape) if buffer.padded_shape != buffer.shape else "",
        buffer.layout,
        _shape(buffer.tile_shape) if buffer.tile_shape else "row",
        _cell(buffer.num_pages),
        str(buffer.num_banks),
        _bytes(buffer),
        _percent(buffer),
    ]


def _bytes(buffer: "Buffer") -> str:
    pages, size = buffer.num_pages, buffer.page_size_bytes
    return f"{pages * size:,}" if isinstance(pages, int) and isinstance(size, int) else ""


def _percent(buffer: "Buffer") -> str:
    return f"{buffer.padding_percent}%" if isinstance(buffer.padding_percent, int) and buffer.padding_bytes else ""


_CIRCULAR_COLUMNS = (
    Column("on chip"),
    Column("scope", rank=3),
    Column("format", rank=1),
    Column("shape"),
    Column("tiles", right=True),
    Column("stages", right=True, rank=2),
    Column("bytes", right=True),
)


def _circular_buffers(on_chip: "OnChip", width: int) -> Iterator[Line]:
    rows = [
        [
            buffer.name,
            buffer.scope,
            buffer.data_format,
            _shape(buffer.shape),
            _cell(buffer.num_tiles),
            str(buffer.num_stages),
            _cell(buffer.size_bytes),
        ]
        for buffer in on_chip.circular_buffers
    ]
    yield from table(_CIRCULAR_COLUMNS, rows, width)


def _warning(code: str, message: str) -> Iterator[Line]:
    first, *more = message.removeprefix(f"{code}: ").splitlines()
    yield Piece(f"warning: {code}: ", "warning"), Piece(first)
    for line in more:
        yield (Piece(line),)


def _size(size: "Size") -> str:
    return f"{size:,}" if isinstance(size, int) else size


def _cell(size: "Size") -> str:
    """Of a table, which long formulas would tear apart."""
    text = _size(size)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 3]}..."


def _by(extents: "Sequence[Size]") -> str:
    return " x ".join(str(extent) for extent in extents) or "scalar"


def _shape(extents: "Sequence[Size]") -> str:
    return (
        "x".join(
            str(extent) if isinstance(extent, int) or extent.isidentifier() else f"({extent})" for extent in extents
        )
        or "scalar"
    )
