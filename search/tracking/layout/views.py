"""Views of MLflow's runs table, and their addresses.

MLflow keeps a view as a tag of the experiment, ``mlflow.sharedViewState.<key>``: filter, order, columns and charts as
JSON. An address opens it by its key; one with a name and a time is listed in the page's menu *Views*, too.
"""

from __future__ import annotations

import json
import re
from typing import Any

from phitune.search.tracking.facts import CellFacts, StudyFacts
from phitune.trainables.mlflow_names import BEST, CELL, GAIN, KIND, metric_name

# Keys of the views.
CELLS, FINALISTS, TRIALS = "phitune", "phitune-finalists", "phitune-trials"
# Tag by which cells, and the finalists of each, are in the study's order.
ORDER = "phitune.order"
_TAG = "mlflow.sharedViewState."
_NAME = "attributes.`Run Name`"
# Of a cell: what `phitune analyze` sets, then what the search does; their widths in pixels, for a page of 1,700.
_TEXTS = {
    "verdict": 140,
    "family": 115,
    "φ": 145,
    "shape": 145,
    "base LR": 150,
    "over cosine": 110,
    "over linear": 110,
    "best so far": 150,
    "trials": 185,
}
_CONFIGURATION = ("family", "phi", "base_lr")
# Pages for training runs rather than for language-model traces, in which MLflow starts.
_TRAINING = "workflowType=machine_learning"
# In pixels.
_WIDTHS = {_NAME: 375, "runDateAndNestInfo": 50} | {f"tags.`{name}`": width for name, width in _TEXTS.items()}
_WIDTH = {"tags": 150, "params": 95, "metrics": 160}


def runs_page(experiment_id: str, server: str = "", view: str = CELLS, charts: bool = False) -> str:
    """Address of a view of an experiment's runs, as model training: its table, or its charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"{server}/#/experiments/{experiment_id}/runs?{_TRAINING}{mode}&viewStateShareKey={view}"


def run_page(experiment_id: str, run_id: str) -> str:
    """Address of a run's page, below the server's."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"


def cell_view(cell: str) -> str:
    """Key of the view of a cell's trials."""
    return "phitune-" + re.sub(r"[^\w.-]", "-", cell)


def views(facts: StudyFacts, created: int) -> dict[str, str]:
    """The experiment's tags that hold the views: cells, finalists, all trials, the trials of each cell.

    Args:
        facts: The study.
        created: The views' time in the menu, in ms since 1970.
    """
    cells = facts.cells.values()
    place = [key for key in ("workload", "optimizer", "budget") if len({getattr(cell, key) for cell in cells}) > 1]
    configuration = _columns("params", *_CONFIGURATION)
    # Beside a name are a box and a mark.
    names = min(100 + 7 * max(len(cell.name) for cell in cells), _WIDTHS[_NAME])
    means = [f"final/{name}" for name in ("objective_mean", "objective_std", "objective_n", "test_metric_mean")]
    # In the order of time trials would be folded below their cells.
    by_cell = {"orderByKey": f"tags.`{CELL}`", "orderByAsc": True}
    in_order = {"orderByKey": f"tags.`{ORDER}`", "orderByAsc": True}
    named = {
        (CELLS, "Cells"): _of("cell") | in_order | _table(_columns("tags", *_TEXTS), names) | _cells_compared(facts),
        (FINALISTS, "Finalists"): _of("finalist")
        | in_order
        | _table(configuration + _columns("metrics", *means))
        | _charts({"Means of the replicates": [_bar(means[0])]}),
        (TRIALS, "All trials"): _of("trial") | by_cell | _table(_columns("params", *place) + configuration + _finals()),
    }
    # The menu lists the newest first.
    tags = {_TAG + key: _listed(name, created - n, named[key, name]) for n, (key, name) in enumerate(named)}
    return tags | {_TAG + cell_view(key): json.dumps(_best_of(key, cell)) for key, cell in facts.cells.items()}


def _cells_compared(facts: StudyFacts) -> dict[str, Any]:
    families = [_bar(metric_name(GAIN, family)) for family in facts.families if family != "cosine"]
    return _charts(
        {
            "Families: gain over cosine, %": families,
            "Recommended": [_bar("answer/phi"), _bar("answer/base_lr"), _bar("answer/over linear")],
            "Search: best objective so far, over trials": [_line(BEST)],
        }
    )


def _best_of(key: str, cell: CellFacts) -> dict[str, Any]:
    """The view of a cell's trials: the best first, charts of the ten best."""
    best = [_line("ema_val_loss"), _line("lr", log=False), _bar("final/objective")]
    return (
        _of("trial", f" AND tags.`{CELL}` = '{key}'")
        | {"orderByKey": "metrics.`final/objective`", "orderByAsc": cell.mode == "min"}
        | _table(_columns("params", *_CONFIGURATION) + _finals() + _columns("tags", "phitune.status", "phitune.phase"))
        | _charts({"The ten best": best})
        | {"runsHiddenMode": "FIRST_10_RUNS"}
    )


def _of(kind: str, and_filter: str = "") -> dict[str, Any]:
    return {"searchFilter": f"tags.`{KIND}` = '{kind}'{and_filter}"}


def _columns(group: str, *names: str) -> list[str]:
    return [f"{group}.`{name}`" for name in names]


def _finals() -> list[str]:
    return _columns("metrics", "final/objective", "final/val_metric", "final/steps")


def _table(columns: list[str], names: int = _WIDTHS[_NAME]) -> dict[str, Any]:
    widths = {column: _WIDTH[column.partition(".")[0]] for column in columns}
    # The table heeds widths only of columns whose order is given; "1" is the box to tick.
    order = ["1", _NAME, "runDateAndNestInfo", *columns, "duration"]
    return {"selectedColumns": columns, "columnOrder": order, "columnWidths": widths | _WIDTHS | {_NAME: names}}


def _charts(sections: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Charts below headings, for all runs of the table; MLflow adds those of all other metrics below them."""
    heads = [{"uuid": head, "name": head, "display": True, "isReordered": True} for head in sections]
    cards = [
        {**card, "uuid": f"{head}-{number}", "metricSectionId": head, "deleted": False, "isGenerated": False}
        for head, charts in sections.items()
        for number, card in enumerate(charts)
    ]
    return {
        "compareRunCharts": cards,
        "compareRunSections": heads,
        "isAccordionReordered": True,
        "runsHiddenMode": "SHOW_ALL",
    }


def _bar(metric: str) -> dict[str, Any]:
    return {"type": "BAR", "metricKey": metric, "runsCountToCompare": 100}


def _line(metric: str, log: bool = True) -> dict[str, Any]:
    scale = "log" if log else "linear"
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "scaleType": scale,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "lineSmoothness": 0,
        "yAxisKey": "metric",
        "runsCountToCompare": 100,
    }


def _listed(name: str, at: int, state: dict[str, Any]) -> str:
    return json.dumps({"name": name, "createdAt": at, "updatedAt": at, "state": json.dumps(state)})
