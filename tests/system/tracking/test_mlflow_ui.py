"""MLflow's pages in a real browser: what a person sees of a study."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mlflow import MlflowClient
from selenium.common.exceptions import WebDriverException

from phitune.search.tracking.layout.views import TRIALS, cell_view, runs_page
from tests.conftest import PATIENCE, command, environment
from tests.system.harness.browser import chromium
from tests.system.harness.clusters.start import free_ports
from tests.system.harness.servers.answering import wait_for_answer

pytestmark = pytest.mark.full

T = TypeVar("T")
CELL = re.compile(r"\S+ T=\d+")
NAME = re.compile(r"(uba φ=[\d.e+-]+|linear|cosine) lr=[\d.e+-]+ seed \d+ · \S+ T=\d+")


class Page:
    """A browser on MLflow's pages."""

    def __init__(self, browser: Any, base: str) -> None:
        self.browser = browser
        self.base = base

    def open(self, route: str) -> None:
        self.browser.get(f"{self.base}/#/{route}")

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.find_elements("css selector", selector))

    def text(self) -> str:
        return str(self.browser.find_element("css selector", "body").text)

    def until(self, look: Callable[[], T], what: str) -> T:
        """Repeats ``look`` until it returns something true; the page is drawn bit by bit."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                if value := look():
                    return value
            except WebDriverException:
                pass
            time.sleep(0.1)
        raise AssertionError(f"no {what} on {self.browser.current_url}: {self.text()[:500]}")

    def press(self, selector: str, place: int = 0, text: str = "") -> bool:
        """Presses one of the elements; returns whether it was there."""
        elements = [element for element in self.all(selector) if text in element.text][place : place + 1]
        for element in elements:
            self.browser.execute_script("arguments[0].click()", element)
        return bool(elements)

    def names(self) -> list[str]:
        """Names of the runs in the table."""
        return [link.text for link in self.all(".ag-row a") if link.text]

    def shoot(self, name: str) -> None:
        """Saves a picture for a person if PHITUNE_SCREENSHOTS names a folder."""
        if folder := os.environ.get("PHITUNE_SCREENSHOTS"):
            self.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


# As wide as the search's fixture, so that where there is no browser nothing is searched for it.
@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Any, searched: Path) -> Iterator[Page]:
    port = free_ports(1)[0]
    server = subprocess.Popen(
        command("ui", "--port", str(port)),
        cwd=searched,
        # Runners of evaluation jobs would take half a minute of CPU.
        env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    base = f"http://127.0.0.1:{port}"
    try:
        wait_for_answer(f"{base}/health", server)
        # A server maps its tables at its first request, and some that come at once may find them half mapped.
        wait_for_answer(f"{base}/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=small", server)
        page = Page(browser, base)
        # The assistant's panel would cover the page; it opens at the first page that is not told before.
        browser.get(f"{base}/health")
        browser.execute_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        yield page
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=PATIENCE)


@pytest.fixture(scope="module")
def experiment(searched: Path) -> str:
    client = MlflowClient(tracking_uri=f"sqlite:///{searched}/runs/mlflow.db")
    return str(client.get_experiment_by_name("small").experiment_id)


def follow(page: Page, view: str) -> None:
    """Opens a view by the link in the description on the page."""
    links = page.until(lambda: page.all(f"a[href$='viewStateShareKey={view}']"), f"link to {view}")
    link = links[0].get_attribute("href")
    # A click opens a page of its own.
    page.browser.get("about:blank")
    page.browser.get(link)


def test_the_link_shows_the_cells_and_what_they_came_to(page: Page, experiment: str) -> None:
    page.open("experiments")
    page.until(lambda: "small" in page.text(), "experiment")
    page.open(runs_page(experiment).removeprefix("/#/"))
    page.until(lambda: "best so far" in page.text(), "column of the best so far")
    names = page.until(page.names, "cells")
    page.shoot("cells")
    assert all(CELL.fullmatch(name) for name in names), names
    assert len(names) > 3
    # The view has a name in MLflow's menu.
    assert any(button.text == "Cells" for button in page.all("[data-testid=saved-views-trigger]"))


def test_the_charts_compare_the_cells(page: Page, experiment: str) -> None:
    page.open(runs_page(experiment, charts=True).removeprefix("/#/"))
    page.until(lambda: "best objective so far" in page.text(), "heading of a chart")
    page.until(lambda: page.all(".js-plotly-plot"), "chart")
    page.shoot("charts")


def test_a_cell_leads_to_its_trials_the_best_first(page: Page, experiment: str, searched: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{searched}/runs/mlflow.db")
    key = "mlp/digits sgd 256"
    (cell,) = client.search_runs([experiment], f"tags.`phitune.kind` = 'cell' AND tags.`phitune.cell` = '{key}'")
    page.open(f"experiments/{experiment}/runs/{cell.info.run_id}")
    page.shoot("cell")
    follow(page, cell_view(key))
    page.until(lambda: "final/objective" in page.text(), "column of the objective")
    names = page.until(page.names, "trials")
    page.shoot("trials")
    assert all(NAME.fullmatch(name) and name.endswith("mlp/digits T=256") for name in names), names
    query = f"tags.`phitune.kind` = 'trial' AND tags.`phitune.cell` = '{key}'"
    best = client.search_runs([experiment], query, order_by=["metrics.`final/objective` ASC"])[0]
    assert names[0] == best.info.run_name


def test_a_trial_shows_its_curves_and_what_it_is(page: Page, experiment: str, searched: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{searched}/runs/mlflow.db")
    trial = client.search_runs(
        [experiment], "params.workload = 'mlp/digits' AND params.budget = '256' AND tags.`phitune.status` = 'completed'"
    )[0]
    steps = [point.step for point in client.get_metric_history(trial.info.run_id, "val_loss")]
    assert len(steps) > 3
    route = f"experiments/{experiment}/runs/{trial.info.run_id}"
    page.open(route)
    page.until(lambda: "256 of 256 iterations" in page.text(), "description")
    page.until(lambda: "Finished" in page.text(), "status")
    page.shoot("trial")
    page.open(f"{route}/model-metrics")
    search = page.until(lambda: page.all("input[placeholder*='Search metric']"), "search field for charts")[0]
    search.send_keys("val_loss")

    def drawn() -> list[int]:
        return [
            len(graph["x"])
            for chart in page.all(".js-plotly-plot")
            for graph in page.browser.execute_script("return arguments[0].data.map(g => ({x: g.x}))", chart)
        ]

    page.until(lambda: len(steps) in drawn(), "curve of the validation loss")
    page.shoot("curves")


def test_two_trials_compare(page: Page, experiment: str) -> None:
    page.open(runs_page(experiment, view=TRIALS).removeprefix("/#/"))
    page.until(lambda: any(NAME.fullmatch(name) for name in page.names()), "trials")
    # A row is drawn anew while one looks at it.
    for row in (0, 1):
        page.until(lambda row=row: page.press(".ag-row .ag-checkbox-input", row), "box to tick")  # type: ignore[misc]
    page.until(lambda: page.press("button, a", text="Compare"), "button")
    page.until(lambda: "Comparing 2 Runs" in page.text(), "comparison")
    page.until(lambda: len([line for line in page.text().splitlines() if NAME.fullmatch(line)]) == 2, "both names")
    page.until(lambda: page.all(".js-plotly-plot"), "chart")
    page.shoot("comparison")


def test_the_study_describes_itself(page: Page, experiment: str, searched: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{searched}/runs/mlflow.db")
    (study,) = client.search_runs([experiment], "tags.`phitune.kind` = 'study'")
    page.open(f"experiments/{experiment}/runs/{study.info.run_id}")
    # MLflow folds a long description; where the study was analysed before, the answers stand first.
    page.until(lambda: any(heading in page.text() for heading in ("What was searched", "Answers")), "description")
    page.shoot("study")
