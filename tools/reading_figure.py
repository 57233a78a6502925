"""Draws the plan of docs/reading.md into docs/_static/reading.svg; with --check only says whether it is up to date."""

import re
import sys
import tempfile
from pathlib import Path

from tilelang.tt import corerange_to_cores

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reading.md"
FIGURE = ROOT / "docs" / "_static" / "reading.svg"

WIDTH, HEIGHT = 880, 420
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#b6992d", "#9c755f")
STYLE = (
    "text{font:12px sans-serif;fill:#222;text-anchor:middle;dominant-baseline:central}"
    ".field{font-family:monospace;font-weight:bold;text-anchor:start}"
    ".note{fill:#555;text-anchor:start}.light{fill:#fff}"
)


def planned():
    """The plan that the first block of the page makes."""
    source = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]
    with tempfile.TemporaryDirectory() as folder:  # TVM's parser reads the source from a file
        file = Path(folder) / "reading.py"
        file.write_text(source, encoding="utf-8")
        names = {"__name__": "reading"}
        exec(compile(source, str(file), "exec"), names)
    return names["plan"]


def text(x, y, content, kind=""):
    return f'<text x="{x:g}" y="{y:g}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{content}</text>'


def box(x, y, width, height, fill="none", stroke="#888", dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" stroke="{stroke}"{dashes}/>'


def caption(x, y, field, note):
    yield text(x, y, field, "field")
    yield text(x, y + 18, note, "note")


def launch_grid(launch, x, y, cell=44):
    """The work tiles, in the colours of their cores."""
    columns, rows, _ = launch.grid
    yield from caption(x, y, "grid, tile_runs", f"{columns} x {rows} work tiles, by number")
    y += 36
    for run in launch.tile_runs:
        for number in range(run.start, run.start + run.length):
            left, top = x + number % columns * cell, y + number // columns * cell
            yield box(left, top, cell, cell, COLOURS[run.core], "#fff")
            yield text(left + cell / 2, top + cell / 2, number, "light")


def cores(kernel, x, y, cell=26):
    """The worker grid; the cores that are used have their numbers."""
    columns, rows = kernel.device.worker_grid
    yield from caption(x, y, "worker_grid, cores", "core 0 to 7 of the chip run them")
    y += 36
    used = {place: core for core, place in enumerate(corerange_to_cores(kernel.inputs.cores, None, True))}
    for row in range(rows):
        for column in range(columns):
            left, top = x + column * cell, y + row * cell
            core = used.get((column, row))
            if core is None:
                yield box(left + 2, top + 2, cell - 4, cell - 4, stroke="#bbb", dash="2 2")
            else:
                yield box(left + 2, top + 2, cell - 4, cell - 4, COLOURS[core], COLOURS[core])
                yield text(left + cell / 2, top + cell / 2, core, "light")


def tensor(buffer, x, y, cell=44):
    """The tiles of a matrix with the numbers of their pages, and the part that holds elements."""
    height, width = (extent * cell / tile for extent, tile in zip(buffer.shape, buffer.tile_shape, strict=True))
    yield from caption(x, y, f"{buffer.name}: padded_shape", f"shape {list(buffer.shape)} is the blue part")
    y += 36
    padded = [extent * cell / tile for extent, tile in zip(buffer.padded_shape, buffer.tile_shape, strict=True)]
    yield box(x, y, padded[1], padded[0], "url(#hatch)", "none")
    yield box(x, y, width, height, "#dbe7f3", "none")
    for page in range(buffer.num_pages):
        row, column = divmod(page, buffer.num_tiles_width)
        yield box(x + column * cell, y + row * cell, cell, cell)
        yield text(x + (column + 0.3) * cell, y + (row + 0.3) * cell, page)


def banks(buffers, x, y, cell=24):
    """The DRAM banks, with the pages that are in each, by tensor."""
    count = buffers[0].num_banks
    yield from caption(x, y, "num_banks, bytes_per_bank", "page p of a tensor is in bank p % 12")
    y += 36
    for column, buffer in enumerate(buffers):
        yield text(x + 66 + column * 36, y + 6, buffer.name)
    for bank in range(count):
        top = y + 16 + bank * cell
        yield text(x + 20, top + cell / 2, f"bank {bank}")
        for column, buffer in enumerate(buffers):
            left = x + 48 + column * 36
            has_page = bank < buffer.num_pages
            yield box(left, top + 1, 36, cell - 2, "#dbe7f3" if has_page else "none", "#888" if has_page else "#ddd")
            if has_page:
                yield text(left + 18, top + cell / 2, bank)


def figure(plan):
    kernel = plan.kernel()
    (launch,) = kernel.launches
    parts = [
        *launch_grid(launch, 20, 30),
        *cores(kernel, 190, 30),
        *tensor(kernel.buffers[-1], 450, 30),
        *banks(kernel.buffers, 660, 30),
    ]
    lines = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>Work tiles, the cores that run them, the tiles of a tensor, and the banks that hold their pages</title>
<style>{STYLE}</style>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#f4f4f4"/><line x1="0" y1="0" x2="0" y2="6" stroke="#bbb" stroke-width="2"/>
</pattern></defs>
<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>
{lines}
</svg>
"""


def main():
    drawn = figure(planned())
    if FIGURE.exists() and FIGURE.read_text(encoding="utf-8") == drawn:
        return 0
    if "--check" in sys.argv:
        print(f"{FIGURE} is out of date; run python tools/reading_figure.py", file=sys.stderr)
        return 1
    FIGURE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
