"""Each cell's trials over a parameter and base LR, on the fitted surface."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import (
    ShapeCell,
    best_name,
    explore_trials,
    parameter_label,
    shape_cells,
    short,
)
from phitune.analysis.report.charts.chart import Chart, Row, Spec, layer, log_axis, shown, text
from phitune.analysis.report.charts.style import INK, ORANGE, STATUS_COLOURS, STATUSES
from phitune.analysis.results.table import rung_columns

# Points along each axis, and per cent above which all is equally pale.
SIZE, MOST_EXCESS = 22, 100.0
# In the page.
MOST_SURFACES = 150


def surface(guidelines: Guidelines, table: pd.DataFrame, parameter: str) -> Chart:
    """The cells' fitted surfaces with the trials of each family.

    Args:
        guidelines: The conclusions.
        table: The results table.
        parameter: The parameter.
    """
    cells = list(shape_cells(guidelines, parameter))
    drawn = cells[:MOST_SURFACES]
    mine, every = explore_trials(drawn, table)
    parts = [f"{len(drawn)} of {len(cells)} surfaces"] if len(drawn) < len(cells) else []
    parts += [f"one trial in {every}"] if every > 1 else []
    left_out = f" This page holds {' and '.join(parts)}; results.parquet has all trials." if parts else ""
    name = symbol(parameter)
    return Chart(
        f"surface_over_{parameter}",
        f"Trials over {name} and base LR",
        f"Of one family. Colour: how far the fitted surface lies above its lowest point (%), dark is good. Dots: its "
        f"trials. Line: the best base LR for every {name}. Diamond: the best of both with 90 % intervals. Hover over a "
        f"trial or tap it for what it reached; the chart of trials on their way shows it too.{left_out}",
        _spec(parameter),
        [row for each, trials in zip(drawn, mine, strict=True) for row in _rows(each, trials, parameter)],
        ("workload", "budget", "family"),
        height=340,
    )


def _spec(parameter: str) -> Spec:
    x, y = log_axis("x", parameter_label(parameter)), log_axis("y", "base LR")
    legend = {"labelExpr": "datum.value", "orient": "top", "tickCount": 4}
    scale = {"type": "sqrt", "scheme": "yellowgreenblue", "reverse": True}
    colour = {"field": "above", "type": "quantitative", "title": "above the best (%)", "legend": legend, "scale": scale}
    status = {"field": "status", "type": "nominal", "title": None,
              "scale": {"domain": STATUSES, "range": STATUS_COLOURS}}  # fmt: skip
    marks = {**status, "scale": {"domain": STATUSES, "range": ["circle", "circle", "cross"]}}
    hover = shown(trial="trial", status="status", x=symbol(parameter), y="base LR", rungs="at its rungs",
                  objective="objective at the end", seconds="seconds")  # fmt: skip
    end = f"{SIZE - 1}"
    cells: list[Spec] = [
        {"flatten": ["values"], "as": ["above"]},
        {"window": [{"op": "row_number", "as": "n"}]},
        *(
            text(name, f"datum.{axis}0 * pow(datum.{axis}1 / datum.{axis}0, clamp({place} {half}, 0, {end}) / {end})")
            for axis, place in (("x", f"((datum.n - 1) % {SIZE})"), ("y", f"floor((datum.n - 1) / {SIZE})"))
            for name, half in ((axis, "- 0.5"), (f"{axis}2", "+ 0.5"))
        ),
    ]
    best = {"x": x, "y": y}
    followed = {"condition": {"test": "datum.trial === trial", "value": 200}, "value": 40}
    return {
        "params": [{"name": "trial", "value": None}],
        "layer": [
            layer("grid", {"type": "rect", "tooltip": None}, {"x": x, "y": y, "x2": {"field": "x2"},
                  "y2": {"field": "y2"}, "fill": colour}, *cells),
            layer("line", {"type": "line", "color": INK, "strokeWidth": 1.2, "clip": True},
                  {**best, "order": {"field": "x"}}),
            layer("best", {"type": "rule", "color": ORANGE, "strokeWidth": 2.5, "clip": True},
                  {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}, "y": y}),
            layer("best", {"type": "rule", "color": ORANGE, "strokeWidth": 2.5, "clip": True},
                  {"x": x, "y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}}),
            layer("trial", {"type": "point", "filled": True, "opacity": 1, "stroke": "white", "strokeWidth": 0.6},
                  {**best, "color": status, "shape": marks, "size": followed}),
            layer("best", {"type": "point", "shape": "diamond", "filled": True, "size": 150, "color": ORANGE,
                  "stroke": INK, "opacity": 1},
                  {**best, "tooltip": shown(x=best_name(parameter), y="base LR")}),
            layer("trial", {"type": "point", "filled": True, "size": 150, "opacity": 0}, {**best, "tooltip": hover}),
        ],
    }  # fmt: skip


def _rows(each: ShapeCell, trials: pd.DataFrame, parameter: str) -> Iterator[Row]:
    workload, cell, shape, _ = each
    keys = {"workload": workload, "budget": cell.budget, "family": shape.family}
    yield from ({**keys, **row} for row in _fitted(each, trials))
    rungs = rung_columns(trials.columns)
    for trial in trials.to_dict("records"):
        reached = [f"{trial[rung]:.3g}" for rung in rungs if np.isfinite(trial[rung])]
        ended = np.isfinite(trial["objective"])
        yield {
            **keys, "kind": "trial", "x": short(json.loads(trial["schedule"])[parameter]), "y": short(trial["base_lr"]),
            "status": trial["status"], "trial": trial["trial_id"].rpartition("/")[2], "rungs": ", ".join(reached),
            "objective": short(trial["objective"]) if ended else "not reached",
            "seconds": short(trial["seconds"]) if np.isfinite(trial["seconds"]) else "unknown",
        }  # fmt: skip


def _fitted(each: ShapeCell, trials: pd.DataFrame) -> Iterator[Row]:
    """The surface, its line of best LRs and its best point."""
    _, cell, _, fitted = each
    lrs = [float(v) for v in trials["base_lr"]] + [float(v) for v in fitted.best_base_lr]
    if not lrs or fitted.phi is None or fitted.base_lr is None:
        return
    ends = float(fitted.grid[0]), float(fitted.grid[-1])
    value, base_lr = np.geomspace(*ends, SIZE), np.geomspace(min(lrs), max(lrs), SIZE)
    excess = fitted.mean(*(at.ravel() for at in np.meshgrid(value, base_lr)))
    excess = 100.0 * (np.expm1(excess - excess.min()) if cell.delta_relative else excess - excess.min())
    values = [float(f"{min(v, MOST_EXCESS):.2g}") for v in excess]
    yield {"kind": "grid", "x0": ends[0], "x1": ends[1], "y0": min(lrs), "y1": max(lrs), "values": values}
    for x, y in list(zip(fitted.grid, fitted.best_base_lr, strict=True))[::3]:
        yield {"kind": "line", "x": short(x), "y": short(y)}
    low, high = fitted.phi_interval or (fitted.phi, fitted.phi)
    bottom, top = fitted.base_lr_interval or (fitted.base_lr, fitted.base_lr)
    yield {"kind": "best", "x": short(fitted.phi), "y": short(fitted.base_lr), "x_low": short(low),
           "x_high": short(high), "y_low": short(bottom), "y_high": short(top)}  # fmt: skip
