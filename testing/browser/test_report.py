"""The page of a comparison: what it shows of what one asks for, and that it can be read by everybody."""

from dataclasses import replace

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from support.comparison import NOTHING, SEVERAL, many

from tilelang.tt.testing.compare.report import to_html


@pytest.fixture
def show(open_page):
    """Shows a report."""
    return lambda report, **how: open_page(to_html(report), **how)


def find(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def shown(page):
    """The names of the findings that are shown, in their order."""
    names = "[...document.querySelectorAll('#findings .test')].filter((name) => name.checkVisibility())"
    return page.execute_script(f"return {names}.map((name) => name.textContent)")


def said(page):
    return find(page, "#shown").text


def chip(page, kind):
    return find(page, f"label.{kind}")


def test_all_is_shown_at_first(show):
    page = show(SEVERAL)
    assert said(page) == f"All {len(SEVERAL.findings)} tests are shown."
    assert len(shown(page)) == 10
    assert not any(part.is_displayed() for part in page.find_elements(By.CSS_SELECTOR, "#findings pre"))


def test_kinds(show):
    page = show(SEVERAL)
    for kind in ("regression", "new", "fixed", "lost"):
        chip(page, kind).click()
    assert shown(page) == [
        "tests/test_optim.py::TestAdam::test_fused",
        "tests/test_optim.py::TestAdam::test_foreach",
        "tests/test_sum.py::test_threads",
    ]
    assert said(page) == f"3 of {len(SEVERAL.findings)} tests are shown."
    chip(page, "new").click()
    assert len(shown(page)) == 4


def test_text(show):
    page = show(SEVERAL)
    field = find(page, "[name=text]")
    field.send_keys("OPTIM adam f")
    assert shown(page) == ["tests/test_optim.py::TestAdam::test_fused", "tests/test_optim.py::TestAdam::test_foreach"]
    field.clear()
    field.send_keys("add_wide")
    assert shown(page) == ["tests/test_sum.py::test_carry[int64]", "tests/test_sum.py::test_carry[int32]"]
    field.clear()
    field.send_keys("test_profiler")
    assert shown(page) == ["5 tests of tests/test_autograd.py"]
    field.send_keys(Keys.ENTER)
    assert shown(page) == ["5 tests of tests/test_autograd.py"]
    field.send_keys("nothing")
    assert shown(page) == []
    assert said(page).startswith("0 of ")


def test_file_category_and_what_breaks(show):
    page = show(SEVERAL)
    Select(find(page, "[name=file]")).select_by_value("tests/test_sum.py")
    assert len(shown(page)) == 3
    find(page, "[name=breaks]").click()
    assert len(shown(page)) == 2
    Select(find(page, "[name=category]")).select_by_value("codegen")
    assert shown(page) == ["tests/test_sum.py::test_carry[int32]"]


def test_order(show):
    page = show(SEVERAL)
    before = shown(page)
    Select(find(page, "[name=order]")).select_by_value("test")
    assert shown(page) == sorted(before)
    Select(find(page, "[name=order]")).select_by_value("")
    assert shown(page) == before


def test_keys_open_a_finding(show):
    page = show(SEVERAL)
    reached = []
    for _ in range(30):
        ActionChains(page, duration=0).send_keys(Keys.TAB).perform()
        active = page.switch_to.active_element
        reached.append(active.get_attribute("name") or active.get_attribute("id") or active.tag_name)
        if active.tag_name == "summary":
            break
    assert reached == ["theme", *["kind"] * 6, "text", "file", "category", "order", "breaks", "summary"]
    ActionChains(page, duration=0).send_keys(Keys.ENTER).perform()
    assert find(page, "#findings pre").is_displayed()
    assert find(page, "#findings pre mark").text.startswith("E       AssertionError")


def test_thousands_are_searched_while_one_types(show):
    page = show(many(5000))
    assert said(page) == "500 of 5000 tests are shown."
    find(page, "#more").click()
    assert len(shown(page)) == 1000
    find(page, "[name=text]").send_keys("test_4321")
    assert shown(page) == ["tests/test_121.py::test_4321[4321]"]
    assert not find(page, "#more").is_displayed()


@pytest.mark.parametrize("width", [320, 390, 800, 1600])
def test_page_is_as_wide_as_the_window(show, width_of_page, width):
    long = replace(SEVERAL.findings[0], test=f"tests/{'very_' * 60}long.py::test_a", message="x" * 500)
    show(replace(SEVERAL, findings=(long, *SEVERAL.findings[1:])), width=width)
    assert width_of_page(width) <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("report", [SEVERAL, NOTHING], ids=["several", "nothing"])
def test_accessibility(show, violations, report, scheme):
    show(report, prefers_color_scheme=scheme)
    assert violations() == []
