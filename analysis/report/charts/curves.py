"""How far behind the best each cell's trials were where they were judged, and at the end."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import (
    ShapeCell,
    explore_trials,
    shape_cells,
    short,
)
from phitune.analysis.report.charts.chart import TARGET, Chart, Row, Spec, layer, linear_axis, shown
from phitune.analysis.report.charts.surface import MOST_EXCESS
from phitune.analysis.results.table import rung_columns


def curves(guidelines: Guidelines, table: pd.DataFrame, parameter: str) -> Chart:
    """The trials of each family from rung to rung, coloured by a parameter; nothing of cells without rungs.

    Args:
        guidelines: The conclusions.
        table: The results table.
        parameter: The parameter.
    """
    cells = list(shape_cells(guidelines, parameter))
    trials, _ = explore_trials(cells, table)
    name = symbol(parameter)
    return Chart(
        f"curves_by_{parameter}",
        f"Trials on their way, by {name}",
        f"A line is a trial: how far behind the best it was at its rungs, where it was judged, and at the end; a "
        f"stopped one ends early. Colour: {name}. Lines that cross: who leads early is not who ends ahead. Hover over "
        "a line or tap it: the surface shows where its trial lies. What is further behind than 100 % is drawn there.",
        _spec(parameter, all(each.cell.delta_relative for each in cells)),
        [row for each, mine in zip(cells, trials, strict=True) for row in _rows(each, mine, parameter)],
        ("workload", "budget", "family"),
        height=340,
    )


def _spec(parameter: str, relative: bool) -> Spec:
    x: Spec = {"field": "at", "type": "ordinal", "title": None, "sort": {"field": "n"}, "axis": {"labelAngle": 0}}
    # Those close to the best are told apart; the worst are not.
    y = linear_axis("behind", f"behind the best there{' (%)' if relative else ''}", type="sqrt", zero=True)
    colour: Spec = {"field": "x", "type": "quantitative", "title": symbol(parameter),
                    "scale": {"type": "log", "scheme": "viridis"},
                    "legend": {"orient": "top", "tickCount": 4, "format": "~g"}}  # fmt: skip
    points: list[Spec] = [
        {"flatten": ["behind", "values", "places"], "as": ["behind", "value", "at"]},
        {"window": [{"op": "row_number", "as": "n"}], "groupby": ["trial"]},
        {"filter": "isValid(datum.value)"},
    ]
    followed = {"condition": {"test": "datum.trial === trial", "value": 4}, "value": 1.2}
    faded = {"condition": {"test": "trial == null || datum.trial === trial", "value": 0.8}, "value": 0.2}
    line = {"x": x, "y": y, "detail": {"field": "trial"}}
    hover = shown(trial="trial", status="status", x=symbol(parameter), y="base LR", at="at", value="objective",
                  behind="behind the best")  # fmt: skip
    return {
        "params": [{"name": "trial", "value": None}],
        "layer": [
            layer("curve", {"type": "line"},
                  {**line, "color": colour, "strokeWidth": followed, "opacity": faded}, *points),
            # A trial stopped at the first rung has no line. Not filled, or the legend is not a gradient.
            layer("curve", {"type": "point", "size": 6, "strokeWidth": 3},
                  {**line, "color": colour, "opacity": faded}, *points),
            layer("curve", TARGET, {**line, "tooltip": hover}, *points),
        ],
    }  # fmt: skip


def _rows(each: ShapeCell, trials: pd.DataFrame, parameter: str) -> Iterator[Row]:
    places = [rung for rung in rung_columns(trials.columns) if trials[rung].notna().any()]
    if not places:
        return
    keys = {"workload": each.workload, "budget": each.cell.budget, "family": each.shape.family, "kind": "curve"}
    names = [rung.replace("_", " ") for rung in places] + ["end"]
    values = trials[[*places, "objective"]].to_numpy(dtype=np.float64)
    # Where no trial came, there is no best.
    best = (np.fmin if (trials["mode"] == "min").all() else np.fmax).reduce(values, axis=0)
    behind = np.abs(values - best)
    if each.cell.delta_relative:
        behind = np.minimum(100.0 * behind / np.abs(best), MOST_EXCESS)
    for trial, reached, gap in zip(trials.to_dict("records"), values, behind, strict=True):
        yield {
            **keys, "trial": trial["trial_id"].rpartition("/")[2], "status": trial["status"], "places": names,
            "x": short(json.loads(trial["schedule"])[parameter]), "y": short(trial["base_lr"]),
            "values": _numbers(reached), "behind": _numbers(gap),
        }  # fmt: skip


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [short(value) if np.isfinite(value) else None for value in values]
