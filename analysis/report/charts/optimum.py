"""A parameter's best value against the budget, with the bands of the models."""

from collections.abc import Iterator

import numpy as np

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import LOCATED
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import ShapeCell, best_name, parameter_label, sentence, shape_cells, short
from phitune.analysis.report.charts.chart import Chart, Row, Spec, layer, log_axis, shown, span
from phitune.analysis.report.charts.style import BLUE, GREY, ORANGE
from phitune.analysis.report.words.shapes import verdict_text

BAND_POINTS = 24
OWN, OTHER = "this workload", "a new workload"


def optimum_against_budget(guidelines: Guidelines, parameter: str) -> Chart:
    """Best values with 90 % intervals and the models' 90 % bands."""
    cells = list(shape_cells(guidelines, parameter))
    best, name = best_name(parameter), symbol(parameter)
    return Chart(
        f"{parameter}_against_budget",
        f"{sentence(best)} against the budget",
        f"A mark is a cell's {best} with its 90 % interval; hollow where it cannot be told or no effect of {name} is "
        "seen. Blue band: where the model of all cells expects a cell of this workload, 90 %. Orange: a workload never "
        "searched. Dashed: what is chosen without a search.",
        _spec(parameter),
        [*_points(cells), *_bands(guidelines, cells, parameter), *_usual(cells)],
        ("workload", "family"),
        pictured=True,
    )


def _spec(parameter: str) -> Spec:
    best = best_name(parameter)
    x, y = log_axis("T", "budget (iterations)"), log_axis("best", parameter_label(parameter, best=True), margin=8)
    ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
    models = {"domain": [OWN, OTHER], "range": [BLUE, ORANGE]}
    model = {"field": "model", "type": "nominal", "title": None, "scale": models}
    hover = shown(T="budget", best=best, range="90 % interval", verdict="verdict", base_lr="its base LR",
                  trials="trials of the family")  # fmt: skip
    return {
        "layer": [
            layer("band", {"type": "area", "opacity": 0.13, "clip": True}, {"x": x, **ends, "color": model}),
            layer("band", {"type": "line", "strokeWidth": 1.2, "clip": True}, {"x": x, "y": y, "color": model}),
            layer("usual", {"type": "rule", "strokeDash": [4, 3], "color": GREY}, {"y": y}),
            layer("usual", {"type": "text", "align": "right", "dx": -3, "dy": -6, "x": "width", "color": GREY},
                  {"y": y, "text": {"field": "name"}}),
            layer("point", {"type": "rule", "color": BLUE, "strokeWidth": 2}, {"x": x, **ends}),
            layer("point", {"type": "point", "size": 75, "strokeWidth": 1.6, "stroke": BLUE, "opacity": 1},
                  {"x": x, "y": y, "fill": {"condition": {"test": "datum.located", "value": BLUE}, "value": "white"},
                   "tooltip": hover}, span("range", "low", "high")),
        ],
    }  # fmt: skip


def _points(cells: list[ShapeCell]) -> Iterator[Row]:
    for workload, cell, shape, surface in cells:
        assert shape.best is not None
        low, high = shape.interval or (shape.best, shape.best)
        yield {
            "workload": workload, "family": shape.family, "kind": "point", "T": cell.budget, "best": short(shape.best),
            "low": short(low), "high": short(high), "located": shape.verdict in LOCATED,
            "verdict": verdict_text(str(shape.verdict), shape.parameter), "trials": surface.points,
            "base_lr": None if shape.base_lr is None else short(shape.base_lr),
        }  # fmt: skip


def _bands(guidelines: Guidelines, cells: list[ShapeCell], parameter: str) -> Iterator[Row]:
    models = {(m.family, m.workload, m.optimizer): m for m in guidelines.models if m.quantity == parameter}
    for (workload, family), own in _groups(cells).items():
        first, last = own[0].cell, own[-1].cell
        budgets = np.geomspace(first.budget / 1.3, last.budget * 1.3, BAND_POINTS)
        ends = [end for each in own for end in each.shape.searched or ()]
        for label, of in ((OWN, first.label), (OTHER, None)):
            model = models.get((family, of, first.optimizer))
            if model is not None and model.kind != "none":
                keys = {"workload": workload, "family": family, "kind": "band", "model": label}
                yield from ({**keys, **row} for row in _band(model, budgets, (min(ends), max(ends)) if ends else None))


def _band(model: BudgetModel, budgets: np.ndarray, ends: tuple[float, float] | None) -> Iterator[Row]:
    for budget in budgets:
        band = (*model.interval(float(budget)), float(np.exp(model.predict(float(budget))[0])))
        low, high, best = np.clip(band, *ends) if ends else band
        yield {"T": short(budget), "low": short(low), "high": short(high), "best": short(best)}


def _usual(cells: list[ShapeCell]) -> Iterator[Row]:
    for (workload, family), own in _groups(cells).items():
        shape = own[0].surface.shape
        if shape is not None and shape.usual is not None:
            name, value = shape.usual
            yield {"workload": workload, "family": family, "kind": "usual", "best": value, "name": name}


def _groups(cells: list[ShapeCell]) -> dict[tuple[str, str], list[ShapeCell]]:
    """The cells of each workload and family, by budget."""
    groups: dict[tuple[str, str], list[ShapeCell]] = {}
    for each in cells:
        groups.setdefault((each.workload, each.shape.family), []).append(each)
    return groups
