"""One kernel under many inputs, as a table; and two plans, line by line."""

import difflib
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

from ..errors import TTError, catalogue, refusal
from ..plan import make_plan, text
from . import output

if TYPE_CHECKING:
    from ..plan import Kernel, Plan

# Of the inputs that may be varied, how a table calls them.
_TITLES = {"device": "device", "schedule_policy": "policy", "schedule_order": "order", "tile": "tile"}
_FIGURES = (
    text.Column("active cores", right=True),
    text.Column("busiest", right=True),
    text.Column("imbalance", right=True),
    text.Column("padding", right=True),
    text.Column("tensor bytes", right=True, rank=2),
    text.Column("fullest bank", right=True, rank=3),
    text.Column("L1", right=True, rank=1),
)


def what_if(mod: Any, inputs: Mapping[str, Any], varied: Mapping[str, list[Any]]) -> tuple[list[text.Line], bool]:
    """The table of all combinations, and whether any of them can be planned.

    Args:
        mod: The kernels.
        inputs: What all combinations share.
        varied: Values by input, of which each is tried with each.
    """
    columns = [*(text.Column(_TITLES[name]) for name in varied), text.Column("kernel"), *_FIGURES]
    titles = {entry.code: entry.title for entry in catalogue()}
    combinations = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    rows, planned = [], False
    for combination in output.progress(combinations, "planning"):
        labels = [_label(value) for value in combination.values()]
        try:
            plan = make_plan(mod, **_complete(inputs, combination))
        except TTError as error:
            rows.append([*labels, "", text.Piece(f"refused: {error.code}: {titles[error.code]}", "error")])
            continue
        planned = True
        rows += [[*labels, kernel.name, *_figures(kernel)] for kernel in plan.kernels]
    return [*_with_refusals(columns, rows)], planned


def _with_refusals(columns: list[text.Column], rows: list[list[Any]]) -> Iterator[text.Line]:
    """A refusal takes the rest of its line, and makes no column wider."""
    cells = [row if len(row) == len(columns) else [*row[:-1], *[""] * len(_FIGURES)] for row in rows]
    lines = text.table(columns, cells, output.width())
    yield next(lines)
    for row, line in zip(rows, lines, strict=True):
        yield line if len(row) == len(columns) else (*line[: len(row) - 2], row[-1])


def _complete(inputs: Mapping[str, Any], combination: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of inference; a block's size and a panel only for what has them."""
    out = {**inputs, **combination}
    if "tile" in combination:
        out["tile_height"], out["tile_width"] = out.pop("tile")
    if combination.get("schedule_policy", "block_cyclic") != "block_cyclic":
        out.pop("schedule_block_size", None)
    if not combination.get("schedule_order", "swizzled").startswith("swizzled"):
        out.pop("swizzle_panel", None)
    return out


def _label(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "name", value))


def _figures(kernel: "Kernel") -> list[str]:
    if kernel.shape_variables:
        given = " ".join(f"--set {name}=..." for name in kernel.shape_variables)
        raise refusal("TT887", f"kernel `{kernel.name}` depends on {', '.join(kernel.shape_variables)}; give {given}")
    work = [text.work_of_cores(kernel, launch).values() for launch in kernel.launches]
    busiest = sum(max(counts) for counts in work)
    imbalances = [max(counts) * len(counts) / sum(counts) for counts in work]
    sizes = [int(buffer.num_pages) * int(buffer.page_size_bytes) for buffer in kernel.buffers]
    padding = sum(int(buffer.padding_bytes) for buffer in kernel.buffers)
    banks = [int(buffer.bytes_per_bank) for buffer in kernel.buffers if buffer.memory == "dram"]
    needs = [launch.on_chip for launch in kernel.launches]
    available = needs[0].l1_available_bytes
    l1 = max(int(need.l1_bytes) for need in needs)
    return [
        f"{max(int(launch.num_active_cores) for launch in kernel.launches)} of {len(work[0])}",
        f"{busiest:,}",
        f"{max(imbalances):.2f}",
        f"{padding / sum(sizes):.1%}" if sum(sizes) else "",
        f"{sum(sizes):,}",
        f"{sum(banks):,}",
        f"{l1 / available:.1%}" if isinstance(available, int) and available else f"{l1:,}",
    ]


def difference(one: "Plan", other: "Plan", names: tuple[str, str]) -> list[text.Line]:
    """How the second plan differs from the first, as lines that go and lines that come; none where nothing differs.

    Where both look the same, it is told by their files.
    """
    if one.kernels == other.kernels:
        return []
    before, after = str(one).splitlines(), str(other).splitlines()
    if before == after:
        before, after = one.to_json().splitlines(), other.to_json().splitlines()
    roles = {"+": "good", "-": "error", "@": "label"}
    lines = difflib.unified_diff(before, after, *names, n=1, lineterm="")
    return [(text.Piece(line, roles.get(line[0], "")),) for line in lines]
