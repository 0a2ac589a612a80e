"""The page in a real browser, as wide as a desk's screen and as a phone: it switches, copies, hovers, prints."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness.browser import chromium

pytestmark = pytest.mark.full

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium(1280, 900) as browser:
        yield browser


@pytest.fixture
def page(browser: Any, guidelines_file: Path) -> Any:
    """The browser with the page, its charts drawn."""
    return opened(browser, guidelines_file)


def opened(browser: Any, guidelines_file: Path) -> Any:
    browser.get((guidelines_file.parent / "report.html").as_uri())
    until(lambda: browser.execute_script("return document.body.hasAttribute('data-drawn')"), "charts")
    return browser


def until(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if value := look():
            return value
        time.sleep(0.05)
    raise AssertionError(f"no {what}")


def visible(browser: Any, selector: str) -> list[Any]:
    return [element for element in browser.find_elements("css selector", selector) if element.is_displayed()]


def chosen(browser: Any, name: str) -> str:
    return str(browser.execute_script(f"return document.querySelector('select[name={name}]').value"))


def test_it_needs_no_other_file_and_no_network(page: Any) -> None:
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    errors = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    assert len(visible(page, "figure svg")) >= 5


def test_a_card_switches_its_budget_and_the_charts_follow(page: Any) -> None:
    card = page.find_elements("css selector", ".card")[-1]
    selector = f".card[data-workload='{card.get_attribute('data-workload')}']"
    assert [a.get_attribute("data-budget") for a in visible(page, f"{selector} .answer")] == ["400"]
    page.execute_script("arguments[0].click()", card.find_element("css selector", "[data-pick-budget='100']"))
    [answer] = visible(page, f"{selector} .answer")
    assert "For 100 iterations use" in answer.text and "horizon=100" in answer.text
    until(lambda: chosen(page, "budget") == "100", "choice of the charts")
    assert chosen(page, "workload") == card.get_attribute("data-workload")


def test_the_button_copies_the_code_that_is_shown(page: Any) -> None:
    copied = "navigator.clipboard.writeText = async text => { window.copied = text; }"
    page.execute_script(copied)
    code = visible(page, ".code")[0]
    for library in ("PyTorch", "Lightning"):
        button = code.find_element("css selector", f"[data-pick-library='{library}']")
        page.execute_script("arguments[0].click()", button)
        page.execute_script("arguments[0].click()", code.find_element("css selector", ".copy"))
        [shown] = [pre for pre in code.find_elements("css selector", "pre") if pre.is_displayed()]
        assert shown.get_attribute("data-library") == library
        text = until(lambda: page.execute_script("return window.copied"), "copied text")
        assert text.strip() == shown.text.strip() and "phitune" in text


def last_trial(browser: Any) -> tuple[float, float]:
    """Where a trial of the surface lies in the window."""
    [plot] = visible(browser, "#chart-surface_over_phi svg")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    x, y = browser.execute_script(
        "const r = [...document.querySelectorAll('#chart-surface_over_phi .role-mark.mark-symbol path')].at(-1)"
        ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
    )
    return x, y


def test_hovering_over_a_trial_shows_what_it_reached(page: Any) -> None:
    x, y = last_trial(page)
    page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    tip = until(lambda: visible(page, "#vg-tooltip-element"), "tooltip")[0]
    assert "base LR" in tip.text and "explore-" in tip.text and "null" not in tip.text


def test_hovering_over_a_trial_shows_its_curve(page: Any) -> None:
    thick = "#chart-curves_by_phi .mark-line path[stroke-width='4']"
    assert not page.find_elements("css selector", thick)
    x, y = last_trial(page)
    page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
    tip = until(lambda: visible(page, "#vg-tooltip-element"), "tooltip")[0].text
    [line] = until(lambda: page.find_elements("css selector", thick), "curve")
    label = str(line.get_attribute("aria-label"))
    assert re.search(r"explore-\d+", tip)[0] in label  # type: ignore[index]


def test_it_fits_a_phone_answers_a_tap_and_prints_every_answer(browser: Any, guidelines_file: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        opened(browser, guidelines_file)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE["width"]
        x, y = last_trial(browser)
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert "explore-" in until(lambda: visible(browser, "#vg-tooltip-element"), "tooltip")[0].text
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        answers = browser.find_elements("css selector", ".answer")
        assert len(answers) > 1 and all(answer.is_displayed() for answer in answers)
        assert not visible(browser, ".switch")
        printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert printed.startswith(b"%PDF") and len(printed) > 50_000
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
