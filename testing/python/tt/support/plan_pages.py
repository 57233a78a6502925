"""Kernels for pages, and what a page says, read back from its markup."""

import json
import re
from dataclasses import dataclass
from html import unescape

from .host import T


def filled(gx, gy, gz):
    """A kernel of that grid that writes one element of two tensors in each work tile."""

    @T.prim_func
    def fill(A: T.Buffer((gz, gy, gx), "float32"), B: T.Buffer((gz * gy, gx), "bfloat16")):
        bx = T.launch_thread("blockIdx.x", gx)
        by = T.launch_thread("blockIdx.y", gy)
        bz = T.launch_thread("blockIdx.z", gz)
        A[bz, by, bx] = T.float32(1)
        B[bz * gy + by, bx] = T.bfloat16(1)

    return fill


@dataclass(frozen=True)
class Core:
    work: int
    is_idle: bool
    label: str


@dataclass(frozen=True)
class Page:
    """What the page says of its first launch; owners and tiles are those of cells of the launch grid."""

    cores: list
    num_unused: int
    owners: list
    tiles: list


def read(html):
    cores = {}
    for is_idle, key, label, work in re.findall(
        r'<g[^>]* class="core( idle)?" data-key="(\d+)" aria-label="(.*?)".*?class="of-work.*?<text.*?>(\d+)<', html
    ):
        cores[int(key)] = Core(int(work), bool(is_idle), unescape(label))
    raster = json.loads(unescape(re.search(r'data-raster="(.*?)"', html)[1]))
    return Page(
        [cores[key] for key in sorted(cores)],
        html.count('class="core unused"'),
        _integers(raster["owners"]),
        _integers(raster["tiles"]),
    )


def _integers(text):
    runs = [tuple(map(int, run.split(","))) for run in text.split()]
    return [start + step * at for start, step, count in runs for at in range(count)]


def words(html):
    """The text of a page, without its style and script."""
    return unescape(re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", "", html, flags=re.DOTALL))
