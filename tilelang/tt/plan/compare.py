"""Plans side by side: what differs between two of them, and what a kernel costs on other devices and otherwise planned.

Comparing plans needs no TVM; :func:`what_if` plans a kernel anew for each row.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import PlanError, TTError, catalogue
from .estimate import Estimate, Figures, estimate, figures
from .model import Kernel
from .text import WIDTH, Column, Line, Piece, plain, table

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.tirx import PrimFunc

    from ..device import Device
    from .plan import Plan

_Choice: TypeAlias = str | tuple[str, int]
# Values of a change that are longer are cut.
_LONGEST = 60
ESTIMATE = "times are estimates: the least that products of matrices, NoC and DRAM leave"


@dataclass(frozen=True)
class Row:
    """One plan of a kernel, and what it costs. A number that is None is not known.

    Attributes:
        name: What is particular about the plan.
        device: Of the chip.
        schedule_policy: How work tiles are dealt to cores.
        schedule_order: How work tiles are numbered.
        tile: ``[height, width]`` of tensors without a layout of their own, in elements.
        num_cores: Cores that may be used.
        num_active_cores: Cores that have work.
        imbalance: The most work tiles of a core over the mean.
        padding_bytes: Of all pages, bytes that hold no element.
        padding_percent: The same in percent, rounded down.
        dram_read_bytes: That all cores read.
        dram_written_bytes: That all cores write.
        most_bytes_of_a_core: Read from and written to DRAM.
        most_bytes_of_a_bank: Read and written.
        multicast_saved_bytes: Of those read.
        l1_bytes: Of circular buffers on a core.
        l1_available_bytes: What a core has for them.
        compute_cycles: Estimated, as are those that follow.
        noc_cycles: Of the busiest core.
        dram_cycles: Of all cores.
        total_cycles: The greatest of the three, of each launch.
        microseconds: Of these.
        limited_by: ``compute``, ``noc`` or ``dram``.
        unknown: Why numbers are not known.
        error: Why there is no such plan; then there are no numbers.
    """

    name: str
    device: str
    schedule_policy: str
    schedule_order: str
    tile: tuple[int, int]
    num_cores: int | None = None
    num_active_cores: int | None = None
    imbalance: float | None = None
    padding_bytes: int | None = None
    padding_percent: int | None = None
    dram_read_bytes: int | None = None
    dram_written_bytes: int | None = None
    most_bytes_of_a_core: int | None = None
    most_bytes_of_a_bank: int | None = None
    multicast_saved_bytes: int | None = None
    l1_bytes: int | None = None
    l1_available_bytes: int | None = None
    compute_cycles: float | None = None
    noc_cycles: float | None = None
    dram_cycles: float | None = None
    total_cycles: float | None = None
    microseconds: float | None = None
    limited_by: str | None = None
    unknown: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Plans of one kernel, the fastest by the estimate first; those without a time, and without a plan, last.

    Attributes:
        kernel: Its name.
        rows: One for each plan.
    """

    kernel: str
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        """The rows as JSON, with the names of :class:`Row`."""
        return json.dumps(
            {"kernel": self.kernel, "note": ESTIMATE, "rows": [asdict(row) for row in self.rows]}, indent=2
        )

    def lines(self, width: int = WIDTH) -> Iterator[Line]:
        """A table in lines of about ``width`` characters, without the columns that do not fit."""
        yield from _table(self, width)
        yield (Piece(ESTIMATE, "note"),)

    def __str__(self) -> str:
        return plain(self.lines())


@dataclass(frozen=True)
class Change:
    """One value that differs between two plans.

    Attributes:
        where: Which one, in words, such as ``main, tensor A: num_pages``.
        old: Its value in the one plan, as text; None where it has none.
        new: Its value in the other.
    """

    where: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return plain([self.line()])

    def line(self) -> Line:
        """The change as one line."""
        where = Piece(f"{self.where}: ", "label")
        if self.old is None or self.new is None:
            return where, Piece(f"only in the {'second' if self.old is None else 'first'} plan")
        return where, Piece(self.old, "error"), Piece(" -> "), Piece(self.new, "good")


@dataclass(frozen=True)
class Diff:
    """What differs between two plans. True where anything does.

    Attributes:
        changes: In the order of the plans; where the plans come from is left out.
        comparisons: Of each kernel that both have: its two plans, in their order.
    """

    changes: tuple[Change, ...]
    comparisons: tuple[Comparison, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def to_json(self) -> str:
        """Changes and rows as JSON."""
        return json.dumps({"note": ESTIMATE, **asdict(self)}, indent=2)

    def lines(self, width: int = WIDTH) -> Iterator[Line]:
        """Changes, and the tables in lines of about ``width`` characters."""
        if not self.changes:
            yield (Piece("the plans are the same"),)
        for change in self.changes:
            yield change.line()
        for comparison in self.comparisons:
            yield ()
            yield from _table(comparison, width)
        if self.comparisons:
            yield (Piece(ESTIMATE, "note"),)

    def __str__(self) -> str:
        return plain(self.lines())


def diff(
    first: "Plan",
    second: "Plan",
    names: tuple[str, str] = ("first", "second"),
    *,
    fidelity: str | None = None,
) -> Diff:
    """What differs between two plans, field by field, and what both cost.

    Args:
        first: A plan.
        second: Another one.
        names: What to call them in the table.
        fidelity: As for :func:`tilelang.tt.plan.estimate`.

    Raises:
        OptionError: There is no such fidelity.
    """
    ours, theirs = ({kernel.name: kernel for kernel in plan.kernels} for plan in (first, second))
    changes: list[Change] = []
    comparisons = []
    for name in dict.fromkeys([*ours, *theirs]):
        if name not in theirs or name not in ours:
            changes.append(_missing(f"kernel {name}", name in theirs))
            continue
        found = list(_changes(ours[name], theirs[name], name))
        changes += found
        if found:
            rows = [_row_or_error(own[name], label, fidelity) for own, label in zip((ours, theirs), names, strict=True)]
            comparisons.append(Comparison(name, tuple(rows)))
    return Diff(tuple(changes), tuple(comparisons))


def compare(plans: "Iterable[tuple[str, Plan | Kernel]]", *, fidelity: str | None = None) -> Comparison:
    """Plans of one kernel side by side.

    Args:
        plans: What to call each, and the plan, which has one kernel.
        fidelity: As for :func:`tilelang.tt.plan.estimate`.

    Raises:
        BufferLookupError: A plan has several kernels.
        PlanError: A plan depends on shape variables.
    """
    kernels = [(name, plan if isinstance(plan, Kernel) else plan.kernel()) for name, plan in plans]
    rows = [row(kernel, name, fidelity=fidelity) for name, kernel in kernels]
    return _ranked(", ".join(dict.fromkeys(kernel.name for _, kernel in kernels)), rows)


def what_if(
    kernel: "IRModule | PrimFunc",
    *,
    devices: "Sequence[str | Device] | None" = None,
    policies: Sequence[_Choice] | None = None,
    orders: Sequence[_Choice] | None = None,
    tiles: Sequence[tuple[int, int]] | None = None,
    fidelity: str | None = None,
    name: str | None = None,
    progress: "Callable[[list[Any]], Iterable[Any]]" = iter,
    **inputs: Any,
) -> Comparison:
    """Plan a kernel for every combination, and compare what the plans cost.

    A combination that is refused is a row that says why.

    Args:
        kernel: A PrimFunc or an IRModule with one kernel. It is not changed.
        devices: Names, or devices. What is not given is what the kernel has, or its default.
        policies: Names of schedule policies; a policy with blocks is a pair of its name and their size.
        orders: Names of schedule orders; an order with panels is a pair of its name and their size.
        tiles: ``(height, width)`` of tiles, in elements.
        fidelity: As for :func:`tilelang.tt.plan.estimate`.
        name: Of the kernel, where the module has several.
        progress: Gives the items of the list that it is given, such as ``tqdm``, which shows how far they are.
        **inputs: Other keyword arguments of :func:`tilelang.tt.apply_tt_defaults`, the same for all.

    Raises:
        PlanError: The kernel depends on shape variables.
        ArgumentError, NoKernelError, BufferLookupError: As :func:`make_plan` and :meth:`Plan.kernel`.
    """
    from .make import make_plan

    axes: list[list[dict[str, Any]]] = [
        [{"device": device} for device in devices] if devices is not None else [{}],
        [_choice("schedule_policy", "schedule_block_size", policy) for policy in policies]
        if policies is not None
        else [{}],
        [_choice("schedule_order", "swizzle_panel", order) for order in orders] if orders is not None else [{}],
        [{"tile_height": height, "tile_width": width} for height, width in tiles] if tiles is not None else [{}],
    ]
    planned = make_plan(kernel, **inputs).kernel(name)
    rows = []
    combinations = [{key: value for part in parts for key, value in part.items()} for parts in product(*axes)]
    for chosen in progress(combinations):
        label = ", ".join(_described(chosen)) or "as it is"
        try:
            rows.append(row(make_plan(kernel, **{**inputs, **chosen}).kernel(planned.name), label, fidelity=fidelity))
        except TTError as error:
            if error.code in ("TT850", "TT851"):
                raise
            rows.append(_refused(planned, label, chosen, error))
    return _ranked(planned.name, rows)


def row(kernel: Kernel, name: str, *, fidelity: str | None = None) -> Row:
    """What one plan of a kernel costs.

    Raises:
        PlanError: It depends on shape variables.
    """
    found = figures(kernel)
    times = _times(estimate(kernel, fidelity=fidelity, figures=found))
    return Row(name=name, **{**_inputs(kernel), **_figures(found), **times})


def _inputs(kernel: Kernel) -> dict[str, Any]:
    inputs = kernel.inputs
    return {
        "device": kernel.device.name,
        "schedule_policy": _named(inputs.schedule_policy, inputs.schedule_block_size),
        "schedule_order": _named(inputs.schedule_order, inputs.swizzle_panel),
        "tile": (inputs.tile_height, inputs.tile_width),
    }


def _figures(found: Figures) -> dict[str, Any]:
    read, written = found.per_core("read"), found.per_core("written")
    banks = [found.per_bank("read"), found.per_bank("written")]
    available = [launch.l1_available_bytes for launch in found.launches]
    return {
        "num_cores": found.num_cores,
        "num_active_cores": found.num_active_cores,
        "imbalance": found.imbalance,
        "padding_bytes": found.padding_bytes,
        "padding_percent": found.padding_percent,
        "dram_read_bytes": found.dram_read_bytes,
        "dram_written_bytes": found.dram_written_bytes,
        "most_bytes_of_a_core": None if read is None or written is None else int((read + written).max()),
        "most_bytes_of_a_bank": None
        if banks[0] is None or banks[1] is None
        else int((banks[0] + banks[1]).max(initial=0)),
        "multicast_saved_bytes": found.multicast_saved_bytes,
        "l1_bytes": found.l1_bytes,
        "l1_available_bytes": None if None in available else min(one for one in available if one is not None),
    }


def _times(found: Estimate) -> dict[str, Any]:
    names = ("compute_cycles", "noc_cycles", "dram_cycles", "total_cycles", "microseconds", "limited_by", "unknown")
    return {name: getattr(found, name) for name in names}


def _row_or_error(kernel: Kernel, name: str, fidelity: str | None) -> Row:
    try:
        return row(kernel, name, fidelity=fidelity)
    except PlanError as error:
        return Row(name=name, **{**_inputs(kernel), "error": str(error)})


def _refused(planned: Kernel, label: str, chosen: dict[str, Any], error: TTError) -> Row:
    found = _inputs(planned)
    if "device" in chosen:
        found["device"] = str(getattr(chosen["device"], "name", chosen["device"]))
    if "schedule_policy" in chosen:
        found["schedule_policy"] = _named(chosen["schedule_policy"], chosen["schedule_block_size"])
    if "schedule_order" in chosen:
        found["schedule_order"] = _named(chosen["schedule_order"], chosen["swizzle_panel"])
    if "tile_height" in chosen:
        found["tile"] = (chosen["tile_height"], chosen["tile_width"])
    return Row(name=label, **{**found, "error": str(error)})


def _choice(name: str, size_name: str, choice: _Choice) -> dict[str, Any]:
    word, size = (choice, None) if isinstance(choice, str) else choice
    return {name: word, size_name: size}


def _named(word: str, size: int | None) -> str:
    return word if size is None else f"{word} {size}"


def _described(chosen: dict[str, Any]) -> Iterator[str]:
    if "device" in chosen:
        yield str(getattr(chosen["device"], "name", chosen["device"]))
    if "schedule_policy" in chosen:
        yield _named(chosen["schedule_policy"], chosen["schedule_block_size"])
    if "schedule_order" in chosen:
        yield _named(chosen["schedule_order"], chosen["swizzle_panel"])
    if "tile_height" in chosen:
        yield f"tiles {chosen['tile_height']}x{chosen['tile_width']}"


def _ranked(kernel: str, rows: Sequence[Row]) -> Comparison:
    def rank(one: Row) -> tuple[bool, bool, float]:
        return one.error is not None, one.microseconds is None, one.microseconds or 0.0

    return Comparison(kernel, tuple(sorted(rows, key=rank)))


# ---- as text ---------------------------------------------------------------------------------------------------------

# The higher the rank, the earlier a column goes where a line is too short.
_COLUMNS = (
    Column("plan"),
    Column("cores", right=True, rank=1),
    Column("imbalance", right=True, rank=2),
    Column("padding", right=True, rank=6),
    Column("read", right=True, rank=3),
    Column("written", right=True, rank=4),
    Column("busiest core", right=True, rank=5),
    Column("busiest bank", right=True, rank=8),
    Column("multicast saves", right=True, rank=9),
    Column("L1", right=True, rank=7),
    Column("compute cycles", right=True, rank=10),
    Column("NoC cycles", right=True, rank=10),
    Column("DRAM cycles", right=True, rank=10),
    Column("estimate", right=True),
)


def _table(comparison: Comparison, width: int) -> Iterator[Line]:
    """Below the table stands what is not known, and why. A refusal takes the rest of its line, and widens no column."""
    rows = comparison.rows
    cells = [_cells(one) if one.error is None else [one.name, *[""] * (len(_COLUMNS) - 1)] for one in rows]
    head, *lines = table(_COLUMNS, cells, width)
    yield (Piece(f"{comparison.kernel}:", "title"),)
    yield head
    for one, line in zip(rows, lines, strict=True):
        yield line if one.error is None else (line[0], Piece(_refusal(one.error), "error"))
    if any(_OVERFLOW in cell for line in cells for cell in line[1:]):
        yield (Piece(f"{_OVERFLOW.strip()} more than a core has", "warning"),)
    for reason in dict.fromkeys(reason for one in rows for reason in one.unknown):
        yield (Piece(f"? {reason}"),)


def _refusal(error: str) -> str:
    """In few words: the whole message is longer than a line."""
    code = error.partition(":")[0]
    titles = {entry.code: entry.title for entry in catalogue()}
    return f"refused: {code}: {titles[code]}" if code in titles else error.partition("\n")[0]


_OVERFLOW = " !"


def _cells(one: Row) -> list[str]:
    fits = one.l1_bytes is None or one.l1_available_bytes is None or one.l1_bytes <= one.l1_available_bytes
    time = "?" if one.microseconds is None else f"{one.microseconds:,.1f} us ({one.limited_by})"
    return [
        one.name,
        f"{one.num_active_cores}/{one.num_cores}",
        f"{one.imbalance:.2f}",
        f"{one.padding_percent}%",
        _bytes(one.dram_read_bytes),
        _bytes(one.dram_written_bytes),
        _bytes(one.most_bytes_of_a_core),
        _bytes(one.most_bytes_of_a_bank),
        _bytes(one.multicast_saved_bytes),
        _bytes(one.l1_bytes) + ("" if fits else _OVERFLOW),
        *(
            ("?" if cycles is None else f"{cycles:,.0f}")
            for cycles in (one.compute_cycles, one.noc_cycles, one.dram_cycles)
        ),
        time,
    ]


def _bytes(number: int | None) -> str:
    if number is None:
        return "?"
    value, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


# ---- field by field --------------------------------------------------------------------------------------------------

_ITEMS = {
    "launches": "launch", "buffers": "tensor", "circular_buffers": "circular buffer", "accumulators": "accumulator",
    "runtime_arguments": "runtime argument", "transfers": "transfer", "products": "product", "warnings": "warning",
}  # fmt: skip


def _changes(old: Any, new: Any, where: str, field: str = "") -> Iterator[Change]:
    """What differs between two values of one field."""
    if old == new:
        return
    if is_dataclass(old) and type(old) is type(new):
        for one in fields(old):
            inner = f"{field}.{one.name}" if field else one.name
            yield from _changes(getattr(old, one.name), getattr(new, one.name), where, inner)
    elif isinstance(old, tuple) and isinstance(new, tuple) and field.rpartition(".")[2] in _ITEMS:
        yield from _changes_of_items(old, new, where, _ITEMS[field.rpartition(".")[2]])
    elif field == "tile_runs" and isinstance(old, tuple) and isinstance(new, tuple):
        yield Change(f"{where}: work tiles of cores", f"{len(old)} runs", f"{len(new)} runs{_of_cores(old, new)}")
    else:
        yield Change(f"{where}: {field}", _text(old), _text(new))


def _of_cores(old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    """How many cores have other work."""
    shares: list[dict[int, list[Any]]] = [{}, {}]
    for share, runs in zip(shares, (old, new), strict=True):
        for run in runs:
            share.setdefault(run.core, []).append(run)
    count = sum(shares[0].get(core) != shares[1].get(core) for core in {*shares[0], *shares[1]})
    return f", of which {count} cores have others"


def _changes_of_items(old: tuple[Any, ...], new: tuple[Any, ...], where: str, kind: str) -> Iterator[Change]:
    """By name, where items have names of their own; else by position."""
    keyed = [_keyed(items) for items in (old, new)]
    for key in dict.fromkeys([*keyed[0], *keyed[1]]):
        place = f"{where}, {kind} {key}"
        if key in keyed[0] and key in keyed[1]:
            yield from _changes(keyed[0][key], keyed[1][key], place)
        else:
            yield _missing(place, key in keyed[1])


def _keyed(items: tuple[Any, ...]) -> dict[Any, Any]:
    names = [getattr(item, "name", None) for item in items]
    unique = None not in names and len(set(names)) == len(names)
    return dict(zip(names, items, strict=True)) if unique else dict(enumerate(items))


def _missing(where: str, only_in_second: bool) -> Change:
    return Change(where, None if only_in_second else "", "" if only_in_second else None)


def _text(value: Any) -> str:
    text = (
        "none"
        if value is None
        else str(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value)
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
