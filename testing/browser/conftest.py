"""Tests in a browser. They stand beside the suite as they need more than a host: Chromium, chromedriver, selenium."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from selenium import webdriver

# axe-core, of which this package has the newest copy on PyPI.
AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")


def pytest_addoption(parser):
    parser.addoption("--browser", default="chromium", help="Chromium's name or path (default: %(default)s)")


@pytest.fixture(scope="session")
def browser(request):
    """Chromium. That it is missing fails."""
    paths = {name: shutil.which(name) for name in (request.config.getoption("--browser"), "chromedriver")}
    assert None not in paths.values(), f"expected these on PATH: {', '.join(paths)}"
    chromium, driver = paths.values()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as chrome:
        yield chrome


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page of HTML; after the test nothing may have been loaded, and nothing complained of."""

    def open_page(html, width=1280, **media):
        browser.get_log("performance")  # what is of other tests
        browser.set_window_size(width, 1400)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        browser.get(path.as_uri())
        return browser

    yield open_page
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    assert all(url.startswith(tmp_path.as_uri()) for url in requested)


@pytest.fixture
def violations(browser):
    """What axe finds on the page with all its details open."""

    def violations():
        browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
        # The page's policy forbids it every other script, and not the debugger.
        browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
        found = browser.execute_async_script("axe.run(document).then(arguments[0])")
        assert len(found["passes"]) > 15
        return [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found["violations"]]

    return violations


@pytest.fixture
def width_of_page(browser):
    """How wide the open page is in a window that wide; a window of Chromium has a least width."""

    def width_of_page(width):
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            return browser.execute_script("return document.documentElement.scrollWidth")
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    return width_of_page
