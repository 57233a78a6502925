"""The page of a plan: what it does with pointer and keys, and that its numbers are those of the plan."""

import json

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from support.plan_pages import filled

from tilelang.tt.plan import Plan, make_plan
from tilelang.tt.plan.estimate import figures as count
from tilelang.tt.plan.page import to_html
from tilelang.tt.plan.page.svg import short

SMALL = make_plan(filled(11, 16, 1))
IDLE = make_plan(filled(3, 2, 2), cores=[[1, 1, 4, 2]])
MILLION = make_plan(filled(1024, 1024, 1))


@pytest.fixture
def show(open_page):
    """Shows a plan."""
    return lambda plan, **how: open_page(to_html(plan), **how)


def find(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def find_all(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def readout(page):
    return find(page, "[data-link=core] .readout").text


def lit(page):
    """Keys of what is lit in the figures of a launch."""
    return {item.get_attribute("data-key") for item in find_all(page, "[data-link=core] .lit")}


def point_at(page, element, x=0, y=0):
    """With the pointer at an offset from the middle of an element."""
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    ActionChains(page, duration=0).move_to_element_with_offset(element, x, y).perform()


def point_at_cell(page, column, line):
    """With the pointer at a cell of the launch grid."""
    raster = find(page, ".raster")
    sizes = json.loads(raster.get_attribute("data-raster"))["canvas"][4:6]
    box = page.execute_script("return arguments[0].viewBox.baseVal", raster)
    scale = raster.rect["width"] / box["width"]
    cells = zip((column, line), sizes, (box["width"], box["height"]), strict=True)
    at = [(1 + (number + 0.5) * size - extent / 2) * scale for number, size, extent in cells]
    point_at(page, raster, *map(round, at))


def press(page, *keys):
    ActionChains(page, duration=0).send_keys(*keys).perform()


def tiles_of(plan, core):
    (launch,) = plan.kernel().launches
    return [run.start + at for run in launch.tile_runs if run.core == core for at in range(run.length)]


@pytest.mark.parametrize("core", [0, 7, 50])
def test_core_lights_its_work_tiles(show, core):
    page = show(SMALL)
    point_at(page, find(page, f".core[data-key='{core}']"))
    assert lit(page) == {str(core)}
    tiles = tiles_of(SMALL, core)
    moved = count(SMALL).launches[0].per_core("written", "dram")[core]
    assert readout(page) == (
        f"core {core} at ({core % 8}, {core // 8}): {len(tiles)} work tiles, {tiles[0]} to {tiles[-1]}; "
        f"0 DRAM bytes read; {moved:,} DRAM bytes written"
    )
    paths = [item.tag_name for item in find_all(page, ".raster .lit")]
    assert paths == ["path"]


@pytest.mark.parametrize("cell", [(0, 0), (4, 0), (10, 15)])
def test_work_tile_lights_its_core(show, cell):
    page = show(SMALL)
    point_at_cell(page, *cell)
    tile = cell[1] * 11 + cell[0]
    (core,) = (core for core in range(64) if tile in tiles_of(SMALL, core))
    assert readout(page).startswith(f"work tile {tile} at x {cell[0]}, y {cell[1]}, z 0: core {core} at ")
    assert lit(page) == {str(core)}
    assert len(find_all(page, ".core.lit")) == 1


def test_click_keeps_and_escape_lets_go(show):
    page = show(SMALL)
    core = find(page, ".core[data-key='9']")
    point_at(page, core)
    core.click()
    point_at(page, find(page, ".core[data-key='30']"))
    assert lit(page) == {"9"}
    press(page, Keys.ESCAPE)
    assert lit(page) == set()


def test_leaving_lets_go(show):
    page = show(SMALL)
    hint = readout(page)
    point_at_cell(page, 2, 2)
    assert readout(page) != hint
    point_at(page, find(page, "h1"))
    assert lit(page) == set()
    assert readout(page) == hint


def test_measures(show):
    page = show(IDLE)

    def numbers():
        return [text.text for text in find_all(page, ".core text") if text.is_displayed()]

    counts = [len(tiles_of(IDLE, core)) for core in range(8)]
    assert numbers() == [str(count) for count in counts]
    find(page, "input[value=number]").click()
    assert numbers() == [str(core) for core in range(8)]
    find(page, "input[value=written]").click()
    written = count(IDLE).launches[0].per_core("written", "dram")
    assert numbers() == [short(value) for value in written.tolist()]
    assert written.any()


def test_keys_reach_everything(show):
    page = show(IDLE)
    reached = []
    for _ in range(40):
        press(page, Keys.TAB)
        active = page.switch_to.active_element
        reached.append((active.get_attribute("id") or active.get_attribute("class") or active.tag_name).split()[0])
        if active.tag_name == "body":
            break
    order = [reached.index(name) for name in ("theme", "input", "core", "raster", "bank")]
    assert order == sorted(order)
    assert reached.count("core unused") + reached.count("core") == 1, (
        "arrow keys go through cores, the Tab key does not"
    )
    assert reached.count("summary") >= 3


def test_arrow_keys_go_through_cores(show):
    page = show(IDLE)
    page.execute_script("arguments[0].focus()", find(page, ".core"))
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.switch_to.active_element.get_attribute("data-key") == "0"
    assert lit(page) == {"0"}
    assert readout(page).startswith("core 0 at (1, 1): 2 work tiles, 0 to 1;")
    press(page, Keys.ARROW_DOWN)
    assert readout(page).startswith("core 4 at (1, 2): 1 work tile, 8;")
    press(page, Keys.END)
    assert readout(page) == "core at (7, 2): not for this kernel"
    press(page, Keys.ARROW_RIGHT)
    assert readout(page) == "core at (7, 2): not for this kernel"
    press(page, Keys.HOME, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    assert readout(page) == "core at (0, 0): not for this kernel"


def test_arrow_keys_go_through_work_tiles(show):
    page = show(IDLE)
    while page.switch_to.active_element.get_attribute("class") != "raster":
        press(page, Keys.TAB)
    assert readout(page).startswith("work tile 0 at x 0, y 0, z 0: core 0 at (1, 1)")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert readout(page).startswith("work tile 4 at x 1, y 1, z 0: core 2 at ")
    press(page, Keys.END)
    assert readout(page).startswith("work tile 11 at x 2, y 1, z 1: core 7 at ")
    assert find(page, "[data-link=core] .readout").get_attribute("aria-live") == "polite"
    assert find(page, ".cursor").value_of_css_property("visibility") == "visible"


def test_bank_lights_its_pages(show):
    page = show(MILLION)
    point_at(page, find(page, ".cards .bank[data-key='3']"))
    buffer = MILLION.kernel().buffers[0]
    pages = len(range(3, buffer.num_pages, buffer.num_banks))
    expected = f"DRAM bank 3: {pages} pages, {pages * buffer.page_size_bytes:,} bytes"
    assert find(page, ".cards .readout").text == expected
    assert [item.get_attribute("data-key") for item in find_all(page, ".pages .lit")] == ["3"]


def test_banks_say_what_moves(show):
    page = show(SMALL)
    point_at(page, find(page, ".charts .bank[data-key='3']"))
    written = count(SMALL).launches[0].per_bank("written")
    assert find(page, ".wide > .readout").text == f"DRAM bank 3: {written[3]:,} bytes written"


def test_merged_work_tiles(show):
    page = show(MILLION)
    point_at_cell(page, 0, 0)
    assert readout(page).startswith(
        "work tiles at x 0 to 15, y 0 to 15, z 0: 256 of 256 on core 0 at (0, 0): 16,384 work"
    )
    assert lit(page) == {"0"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(show, scheme):
    page = show(SMALL, prefers_color_scheme=scheme)

    def is_dark():
        colour = find(page, "body").value_of_css_property("background-color")
        return sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) < 3 * 128

    assert is_dark() == (scheme == "dark")
    button = find(page, "#theme")
    for _ in range(2):
        assert button.get_attribute("aria-pressed") == str(is_dark()).lower()
        before = is_dark()
        button.click()
        assert is_dark() != before


def test_nothing_moves_where_that_is_asked_for(show):
    page = show(SMALL, prefers_reduced_motion="reduce")
    assert find(page, ".core").value_of_css_property("transition-duration") == "0s"


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_page_is_as_wide_as_the_window(show, width_of_page, width):
    show(SMALL, width=width)
    assert width_of_page(width) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("plan", [SMALL, IDLE, MILLION], ids=["small", "idle", "million"])
def test_accessibility(show, violations, plan, scheme):
    show(Plan(plan.kernels * 2, plan.provenance.__class__(
        plan.provenance.package_version, plan.provenance.host, plan.provenance.kernels * 2)),
        prefers_color_scheme=scheme)  # fmt: skip
    assert violations() == []


def test_in_a_notebook(browser, tmp_path):
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><title>n</title><body>{SMALL._repr_html_()}</body>", encoding="utf-8")
    browser.get(path.as_uri())
    browser.switch_to.frame(find(browser, "iframe"))
    point_at(browser, find(browser, ".core[data-key='5']"))
    assert readout(browser).startswith("core 5 at (5, 0): 3 work tiles")
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []
