"""Numbers in words, for several sections of a page."""

from collections.abc import Iterable, Sequence

from ..model import Size
from .raster import Raster

_TIMES = "\N{MULTIPLICATION SIGN}"


def plural(count: Size, noun: str, ending: str = "s") -> str:
    return f"{count:,} {noun}{'' if count == 1 else ending}" if isinstance(count, int) else f"{count} {noun}{ending}"


def share_of(used: int, available: Size | None) -> str:
    if not available:
        return f"{used:,} bytes"
    return f"{used:,} of {int(available):,} bytes ({percent(used / int(available))})"


def percent(share: float) -> str:
    """With a decimal where it is small."""
    return f"{100 * share:.{1 if 0 < share < 0.1 else 0}f} %"


def by(extents: Iterable[Size]) -> str:
    return f" {_TIMES} ".join(f"{int(extent):,}" for extent in extents) or "scalar"


def grid_size(extents: Sequence[Size]) -> str:
    """Extents of a launch grid, without those of 1 at its end."""
    axes = [axis for axis, extent in enumerate(extents) if int(extent) > 1]
    return by(extents[: max(axes, default=0) + 1])


def words(name: str) -> str:
    return name.replace("_", " ")


def stored_as(dtype: str, data_format: str) -> str:
    return f"{data_format} ({dtype})"


def merging(raster: Raster, parts: str, owner: str) -> str:
    """What a cell of a raster stands for."""
    if not raster.is_merged:
        return ""
    judged = f", judged by {int(raster.looked_at.max())} of them" if raster.is_sampled else ""
    size = grid_size(raster.block)
    return (
        f"Each cell stands for {size} {parts}{judged}, in the colour of the {owner} that has at least half of them, "
        "and grey where none has."
    )
