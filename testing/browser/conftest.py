"""Tests in a browser. They stand beside the suite as they need more than a host: Chromium, chromedriver, selenium."""

import shutil

import pytest
from selenium import webdriver


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
