"""The parts of a page that show what moves, and the estimate of the time that it takes."""

from ..._page.markup import Markup, element
from ..estimate import Figures, LaunchFigures, estimate, figures
from ..model import Kernel
from . import svg

_MAX_TILES_WALKED = 2**22


def count_figures(kernel: Kernel) -> Figures | None:
    """What the kernel moves, unless it has too many work tiles to walk through."""
    tiles = sum(int(launch.num_tiles) for launch in kernel.launches)
    return figures(kernel) if tiles <= _MAX_TILES_WALKED else None


def dram_banks(found: LaunchFigures | None) -> Markup:
    """What moves from and to each DRAM bank, with a bar for each."""
    if found is None:
        return Markup()
    moved = {access: found.per_bank(access) for access in ("read", "written")}
    known = {access: values.tolist() for access, values in moved.items() if values is not None and values.any()}
    if not known:
        return Markup()
    charts = []
    for access, values in known.items():
        labels = [f"DRAM bank {bank}: {value:,} bytes {access}" for bank, value in enumerate(values)]
        name = f"Bytes {access}, by DRAM bank"
        bars = svg.banks(values, svg.bank_colours(len(values)), labels, name)
        total = f"{sum(values):,} bytes {access}, at most {max(values):,} of one bank"
        charts.append(element("div", bars, element("p", total), class_="bank-row"))
    return element(
        "figure",
        element("figcaption", element("h3", "DRAM banks"), "What all cores move, by bank, in whole pages."),
        element("div", *charts, class_="charts"),
        element("p", "Point at a bank.", class_="readout"),
        class_="wide",
        data_link="bank",
    )


def estimate_section(kernel: Kernel, found: Figures) -> Markup:
    """The bounds of the time that the kernel takes, with a bar for each."""
    guess = estimate(kernel, figures=found)
    bounds = [
        ("Compute", guess.compute_cycles, "products of matrices on the busiest core"),
        ("NoC", guess.noc_cycles, "bytes of the core that moves most"),
        ("DRAM", guess.dram_cycles, "bytes of all cores"),
    ]
    known = [(name, value, of) for name, value, of in bounds if value is not None]
    reasons = [element("li", f"Not known: {reason}") for reason in guess.unknown]
    label = "; ".join(f"{name} {value:,.0f} cycles" for name, value, _ in known)
    return element(
        "section",
        element("h2", str(guess)[0].upper() + str(guess)[1:]),
        element(
            "p", "No measurement: the time that each bound takes by itself, as if all else were free.", class_="note"
        ),
        svg.bounds(known, label) if known else Markup(),
        element("ul", *reasons, class_="note") if reasons else Markup(),
        class_="estimate",
    )
