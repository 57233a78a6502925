"""The page of a plan: it is whole, it says what the plan says, and nothing that a kernel holds becomes markup."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from support.launch_forms import SEVERAL_FORMS
from support.plan_pages import filled, read, words
from support.plans import SAMPLE

from tilelang.tt import Layout, Shard, annotate_tt_layout, errors, specialize
from tilelang.tt.plan import Plan, make_plan, model, what_if
from tilelang.tt.plan.estimate import estimate
from tilelang.tt.plan.estimate import figures as count
from tilelang.tt.plan.page import to_frame, to_html
from tilelang.tt.plan.page.svg import LEVELS

pytestmark = pytest.mark.stage("report")

SMALL = make_plan(filled(8, 4, 1))
MILLION = make_plan(filled(1024, 1024, 1), schedule_policy="block_cyclic", schedule_block_size=16)
VOID = {"meta", "input", "rect", "path", "line"}


class Balanced(HTMLParser):
    """Fails on an element that is not closed, or closed twice."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(html):
    parser = Balanced()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


@pytest.mark.parametrize("plan", [SMALL, MILLION], ids=["small", "million"])
def test_page_is_whole(plan):
    html = to_html(plan)
    parsed = parse(html)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert len(html) < 300_000
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.parametrize("form", SEVERAL_FORMS, ids=str)
def test_several_launches(form):
    mod = form.build()
    plan = make_plan(mod)
    if any(kernel.shape_variables for kernel in plan.kernels):
        plan = make_plan(specialize(mod, **dict.fromkeys(plan.kernel().shape_variables, 100)))
    html = to_html(plan)
    parse(html)
    count = sum(len(kernel.launches) for kernel in plan.kernels)
    assert html.count("data-raster=") == count
    assert [f"Launch {number}: " in html for number in range(count)] == [count > 1] * count


def test_page_needs_nothing_else():
    html = to_html(SMALL)
    parsed = parse(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    assert {name for name, _ in parsed.attributes} & {"src", "style", "onclick", "onload"} == set()
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")


def test_policy_allows_the_page_its_own_style_and_script_alone():
    html = to_html(SMALL)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html)[1]
    for tag in ("style", "script"):
        text = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        assert f"{tag}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_same_plan_same_bytes(tmp_path):
    again = Plan.from_json(SMALL.to_json())
    SMALL.to_html(tmp_path / "one.html")
    again.to_html(tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes() == to_html(SMALL).encode()


def test_finding():
    assert "32 work tiles on 32 of 64 cores of wormhole_n150, busiest core 1 tile, 50 % idle" in to_html(SMALL)
    five = make_plan(filled(65, 1, 1))
    assert "65 work tiles on 64 of 64 cores of wormhole_n150, busiest core 2 tiles, 49 % idle" in to_html(five)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"schedule_policy": "strided", "cores": [[1, 1, 3, 2]]},
        {"schedule_policy": "block_cyclic", "schedule_block_size": 3, "device": "blackhole_p150"},
        {"schedule_order": "swizzled_row", "swizzle_panel": 2, "core_order": "column_major"},
    ],
    ids=str,
)
def test_page_says_what_each_core_runs(inputs):
    plan = make_plan(filled(9, 7, 1), **inputs)
    kernel = plan.kernel()
    (launch,) = kernel.launches
    page = read(to_html(plan))
    runs = [(run.core, range(run.start + r * run.stride, run.start + r * run.stride + run.length))
            for run in launch.tile_runs for r in range(run.repeat)]  # fmt: skip
    owner = {tile: core for core, tiles in runs for tile in tiles}
    assert sorted(owner) == list(range(63))
    assert dict(zip(page.tiles, page.owners, strict=True)) == owner
    counts = [sum(core == one for one in owner.values()) for core in range(len(page.cores))]
    assert [core.work for core in page.cores] == counts
    assert [core.is_idle for core in page.cores] == [count == 0 for count in counts]
    assert page.num_unused == kernel.device.num_workers - len(counts)


def test_page_says_how_tensors_lie():
    kernel = annotate_tt_layout(
        filled(70, 250, 1), "B", Layout(memory="l1", shard=Shard.height((32, 96), [(0, 0, 7, 0)]))
    )
    kernel = annotate_tt_layout(kernel, "A", Layout(page_layout="row_major"))
    plan = make_plan(kernel)
    text = words(to_html(plan))
    for buffer in plan.kernel().buffers:
        assert f"{buffer.num_pages:,} of {buffer.page_size_bytes:,} bytes" in text
        assert f"{buffer.bytes_per_bank:,} bytes" in text
        holds = f"{buffer.padding_bytes:,} bytes ({buffer.padding_percent} %), holds {buffer.padding_value}"
        assert (holds in text) == (buffer.padding_bytes > 0)
    # 8 shards of one row of three tiles each; padding 250 rows to 256, 70 columns to 96.
    assert "L1 bank 7 at (7, 0): 3 pages, 6,144 bytes" in unescape(to_html(plan))


def test_page_says_what_moves():
    plan = make_plan(filled(8, 8, 2), device="blackhole_p150")
    text = words(to_html(plan))
    found, guess = count(plan), estimate(plan)
    for core, value in enumerate(found.launches[0].per_core("written", "dram").tolist()):
        assert f"core {core} at " in to_html(plan)
        assert f"{value:,} DRAM bytes written" in to_html(plan)
    assert f"{found.dram_written_bytes:,} bytes written" in text
    assert f"{guess.dram_cycles:,.0f} clocks" in text
    assert str(guess)[1:] in text


def test_other_plans_stand_beside_it(tmp_path):
    kernel = filled(8, 8, 2)
    comparison = what_if(
        kernel, devices=["wormhole_n150", "blackhole_p150"], policies=["contiguous", ("block_cyclic", 0)]
    )
    make_plan(kernel).to_html(tmp_path / "page.html", comparison)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    parse(page)
    assert len([row for row in comparison.rows if row.error]) == 2
    for row in comparison.rows:
        assert row.name in words(page)
        assert row.error is None or row.error.partition("\n")[0] in words(page)
        for number in (row.dram_written_bytes, row.l1_bytes):
            assert number is None or f">{number:,}<" in page
    assert f"{comparison.kernel}: 2 plans side by side" in page
    assert "estimates" in page


def test_what_is_not_known_is_said():
    kernel = SMALL.kernels[0]
    unclocked = replace(kernel, device=replace(kernel.device, noc_width=None))
    assert "Not known: noc_width of wormhole_n150" in words(to_html(replace(SMALL, kernels=(unclocked,))))


def test_large_grids_say_that_they_are_merged():
    text = words(to_html(MILLION))
    assert "Each cell stands for 16 \u00d7 16 work tiles, in the colour of the core that has at least half" in text
    assert "judged by" not in text
    huge = make_plan(filled(5000, 5000, 40))
    assert "judged by 256 of them" in words(to_html(huge))


NASTY = "</script><script>alert('x')</script>\"' onload=\"alert(1)&amp;]]>"


def nasty(record):
    """The record with that in each of its texts that no type limits."""
    changes = {}
    for name, value in vars(record).items():
        if name in ("name", "scope", "dtype", "reason", "message", "file", "padding_value", "package_version", "host"):
            changes[name] = NASTY if value is not None else None
        elif isinstance(value, tuple) and value and hasattr(value[0], "__dataclass_fields__"):
            changes[name] = tuple(map(nasty, value))
        elif isinstance(value, (model.OnChip, model.Source, model.Provenance, model.Persistent)):
            changes[name] = nasty(value)
    return replace(record, **changes)


def test_nothing_of_a_kernel_is_markup():
    clean = replace(SAMPLE.kernels[0], launches=SAMPLE.kernels[0].launches[:1], buffers=(), shape_variables=())
    clean = replace(clean, launches=(replace(clean.launches[0], persistent=model.Persistent("w", 3, 8)),))
    plan = nasty(Plan((*SMALL.kernels, clean), replace(SAMPLE.provenance, kernels=SAMPLE.provenance.kernels * 2)))
    plan = replace(plan, provenance=replace(plan.provenance, kernels=(
        replace(plan.provenance.kernels[0], warning_sources=()), plan.provenance.kernels[1])))  # fmt: skip
    html = to_html(plan)
    parsed = parse(html)
    assert html.count("<script") == 1
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert NASTY not in html
    assert words(html).count(NASTY) > 10


def test_notebook_shows_the_page_in_a_frame():
    frame = SMALL._repr_html_()
    assert frame == to_frame(SMALL)
    ((tag, attributes),) = [(tag, dict(attrs)) for tag, attrs in tags(frame)]
    assert tag == "iframe"
    assert attributes["srcdoc"] == to_html(SMALL)
    assert attributes["sandbox"] == "allow-scripts"
    assert SAMPLE._repr_html_() is None


def tags(html):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, attrs))
    parser.feed(html)
    return found


def test_warnings_have_their_places():
    origin = SMALL.provenance.kernels[0]
    warned = replace(SMALL.kernels[0], warnings=(model.PlanWarning("TT610", "TT610: first\n  second"),))
    source = replace(origin, warning_sources=(model.Source("kernels/a.py", 17),))
    plan = Plan((warned,), replace(SMALL.provenance, kernels=(source,)))
    text = words(to_html(plan))
    assert "Warning TT610" in text
    assert "kernels/a.py:17" in text
    assert "first\n  second" in text


def test_symbolic_kernels_are_refused(tmp_path):
    with pytest.raises(errors.PlanError, match="TT895: matmul depends on m; expected a kernel of fixed sizes"):
        SAMPLE.to_html(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_several_kernels_have_links():
    plan = Plan(SMALL.kernels * 2, replace(SMALL.provenance, kernels=SMALL.provenance.kernels * 2))
    html = to_html(plan)
    parsed = parse(html)
    links = [value for name, value in parsed.attributes if name == "href"]
    assert links == ["#kernel-0", "#kernel-1"]
    assert {"kernel-0", "kernel-1"} <= set(parsed.ids)


def _luminance(colour):
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """As WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [1, 2], ids=["light", "dark"])
def test_texts_stand_out(theme):
    style = re.search(r"<style>(.*?)</style>", to_html(SMALL), re.DOTALL)[1]
    found = re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", style)
    colours = {match[0]: match[theme] for match in found}
    pairs = [(text, ground) for text in ("ink", "soft", "mark") for ground in ("paper", "panel")]
    pairs += [("on-low" if step <= LEVELS // 2 else "on-high", f"q{step}") for step in range(1, LEVELS + 1)]
    assert {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs
            if contrast(colours[pair[0]], colours[pair[1]]) < 4.5} == {}  # fmt: skip


@pytest.mark.parametrize("theme", [1, 2], ids=["light", "dark"])
def test_scale_goes_one_way(theme):
    style = re.search(r"<style>(.*?)</style>", to_html(SMALL), re.DOTALL)[1]
    steps = [_luminance(match[theme - 1]) for match in re.findall(r"--q\d: light-dark\((#\w+), (#\w+)\)", style)]
    assert steps == sorted(steps, reverse=theme == 1)
    assert len(steps) == LEVELS


def test_numbers_of_cores_stand_out_on_their_colours():
    html = to_html(make_plan(filled(8, 8, 2), device="blackhole_p150"))
    ground = set(re.findall(r'fill="(#\w{6})"', html))
    assert ground
    assert all(contrast("#16181b", colour) >= 4.5 for colour in ground)
