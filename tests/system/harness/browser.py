"""A headless browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver

from tests.system.harness.requirements import program


@contextmanager
def chromium(width: int = 1700, height: int = 1100) -> Iterator[Any]:
    """Chromium with a window of a size in pixels; what needs it is skipped, as `require` does, where there is none."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "google-chrome", package="chromium")
    driver = program("chromedriver", package="chromium-driver")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    options.add_argument(f"--window-size={width},{height}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()
