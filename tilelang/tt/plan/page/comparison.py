"""The part of a page that shows the plan beside others."""

from ..._page.markup import Markup, element
from ..._page.parts import table
from ..compare import ESTIMATE, Comparison, Row
from .parts import percent

_COLUMNS = (
    "Plan", "Cores", "Imbalance", "Padding", "Bytes read", "Bytes written", "Multicast saves", "Bytes of L1",
    "Compute cycles", "NoC cycles", "DRAM cycles", "Estimate", "Limited by",
)  # fmt: skip


def comparison_section(comparison: Comparison) -> Markup:
    """A table of the plans, the fastest by the estimate first, and why others are none."""
    planned = [row for row in comparison.rows if row.error is None]
    refused = [element("li", f"{row.name}: {row.error}") for row in comparison.rows if row.error is not None]
    reasons = dict.fromkeys(f"Not known: {reason}" for row in planned for reason in row.unknown)
    notes = [element("li", reason) for reason in reasons]
    return element(
        "section",
        element("h2", f"{comparison.kernel}: {len(planned)} plans side by side"),
        element("p", f"{ESTIMATE[0].upper()}{ESTIMATE[1:]}.", class_="note"),
        table("Plans, the fastest by the estimate first", _COLUMNS, [_cells(row) for row in planned]),
        element("ul", *notes, *refused, class_="note") if notes or refused else Markup(),
        class_="comparison",
    )


def _cells(row: Row) -> list[str | int]:
    known = (row.num_cores, row.num_active_cores, row.imbalance, row.padding_percent)
    assert None not in known, "a plan has these"
    cycles = (row.compute_cycles, row.noc_cycles, row.dram_cycles)
    return [
        row.name,
        f"{row.num_active_cores} of {row.num_cores}",
        f"{row.imbalance:.2f}",
        percent((row.padding_percent or 0) / 100),
        *(
            _known(value)
            for value in (row.dram_read_bytes, row.dram_written_bytes, row.multicast_saved_bytes, row.l1_bytes)
        ),
        *(_known(None if value is None else round(value)) for value in cycles),
        "?" if row.microseconds is None else f"{row.microseconds:,.1f} µs",
        row.limited_by or "?",
    ]


def _known(value: int | None) -> str | int:
    return "?" if value is None else value
