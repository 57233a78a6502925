"""The documentation says what is true: its Python runs, its output is real, its lists are complete."""

import inspect
import re
import subprocess
import sys

import pytest
from support.examples import ROOT, examples, pattern, run

from tilelang import tt
from tilelang.tt import (
    AccumulatorAttrs,
    BufferAttrs,
    CircularBufferAttrs,
    OnChipAttrs,
    ProductAttrs,
    RuntimeArg,
    ScheduleAttrs,
    SubBlockAttrs,
    TrafficAttrs,
    TransferAttrs,
    _host,
    apply_tt_defaults,
    errors,
    transform,
)

pytestmark = pytest.mark.stage("docs")

# In the order of the tables of attributes.md.
VIEWS = (
    ScheduleAttrs,
    RuntimeArg,
    BufferAttrs,
    OnChipAttrs,
    CircularBufferAttrs,
    AccumulatorAttrs,
    SubBlockAttrs,
    TrafficAttrs,
    TransferAttrs,
    ProductAttrs,
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES_WITH_PYTHON = [page for page in PAGES if examples(page)]


@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for example in examples(page):
        printed = run(example, tmp_path / f"{page.stem}_line_{example.line}.py", names)
        assert re.fullmatch(pattern(example.output), printed), f"{page.name}:{example.line}: {printed}"


def test_examples_are_found():
    assert sum(len(examples(page)) for page in PAGES) > 30


def test_picture_of_a_plan_shows_the_plan_of_its_page():
    drawn = subprocess.run([sys.executable, "-P", str(ROOT / "tools" / "reading_figure.py"), "--check"], check=False)
    assert drawn.returncode == 0


def test_demo_fits_a_terminal_and_shows_the_numbers():
    demo = [sys.executable, str(ROOT / "examples" / "gemm.py")]
    lines = subprocess.run(demo, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert "10 x 16 x 1 = 160 work tiles" in "".join(lines)
    # 10 tiles of 4096 bytes, 300 elements of four bytes in them.
    assert "bias read Float32 300 32x320 dram_interleaved 32x32 10 12 40,960 97%" in [
        " ".join(line.split()) for line in lines
    ]
    assert lines[-1].startswith("C = A @ B + bias holds")


def test_one_kernel_on_four_devices():
    demo = [sys.executable, str(ROOT / "examples" / "devices.py")]
    _, *rows = subprocess.run(demo, capture_output=True, text=True, check=True).stdout.splitlines()
    # 10 x 16 work tiles; A has 16 x 4 pages.
    assert [" ".join(row.split()) for row in rows] == [
        "wormhole_n150 8x 8 3 12 6",
        "wormhole_n300 8x 8 3 12 6",
        "blackhole_p150 11x10 2 8 8",
        "n150_corner 5x 3 11 12 6",
    ]


def test_errors_page_lists_every_class():
    page = (ROOT / "docs" / "errors" / "index.md").read_text(encoding="utf-8")
    bases = (errors.TTError, errors.TTWarning)
    classes = [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, bases)]
    assert re.findall(r"^\.\. autoexception:: tilelang\.tt\.errors\.(\w+)", page, re.MULTILINE) == classes


def test_errors_page_lists_every_code():
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "error_index.py"), "--check"], check=False)
    assert done.returncode == 0


def test_covered_page_lists_every_operation():
    tool = ROOT / "tools" / "covered_operations.py"
    done = subprocess.run([sys.executable, "-P", str(tool), "--check"], check=False)
    assert done.returncode == 0


def test_attributes_page_lists_every_key():
    page = (ROOT / "docs" / "attributes.md").read_text(encoding="utf-8")
    inputs = {f"tt_{name}" for name in inspect.signature(apply_tt_defaults).parameters if name != "mod"}
    inputs.add("tt_buffer_layouts")  # by annotate_tt_layout
    tables = [inputs, *(set(view.__annotations__) for view in VIEWS)]
    documented = [
        {key for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
        for table in re.findall(r"^\| key \|.*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    ]
    assert documented == tables


def test_reference_lists_every_public_name():
    pages = [ROOT / "docs" / "reference.md", ROOT / "docs" / "errors" / "index.md"]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    documented = set(re.findall(r"^\.\. (?:auto)?\w+:: (?:tilelang\.tt\.)?(\w+)$", text, re.MULTILINE))
    assert sorted(set(tt.__all__) - documented) == ["__version__"]


def test_every_pass_has_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "passes").glob("*.md"))
    passes = [make() for name, make in vars(transform).items() if name[0].isupper() and inspect.isfunction(make)]
    assert passes
    for pass_ in passes:
        assert f"`{pass_.info.name}`" in pages


@pytest.mark.parametrize("page", ["README.md", "docs/hosts.md"])
def test_page_names_every_host(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [str(tried) for tried in _host._TRIED if f"pip install {tried}" not in text] == []
