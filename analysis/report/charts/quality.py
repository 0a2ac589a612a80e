"""Loss of quality against a parameter, a curve a budget."""

from collections.abc import Iterator

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import (
    ShapeCell,
    above_best,
    best_name,
    parameter_label,
    quantity,
    shape_cells,
    short,
)
from phitune.analysis.report.charts.chart import TARGET, Chart, Row, Spec, layer, linear_axis, log_axis, shown, span

# In per cent: beyond it nobody wants to go.
MOST_EXCESS = 40.0
# Every other point of the grid.
THIN = 2


def quality_against_parameter(guidelines: Guidelines, parameter: str, relative: bool) -> Chart:
    """Loss of quality against a parameter, the LR at its best for each value.

    Args:
        guidelines: The conclusions.
        parameter: The parameter.
        relative: Whether of the cells whose objective has per cents, or of those where it crosses zero.
    """
    cells = [each for each in shape_cells(guidelines, parameter) if each.cell.delta_relative == relative]
    name = symbol(parameter)
    unit = " (%)" if relative else ""
    return Chart(
        f"quality_against_{parameter}{'' if relative else '-units'}",
        f"What choosing {name} costs",
        f"How much worse the objective gets away from the best {name}, with the LR (and a second parameter, if one was "
        f"searched) at its best for every {name}; a curve a budget. Low and flat: {name} hardly matters. Band: 90 % at "
        "the budget chosen.",
        _spec(parameter, f"{quantity([each.cell for each in cells])} above the best{unit}"),
        [row for each in cells for row in _rows(each)],
        ("workload", "family"),
        pictured=True,
    )


def _spec(parameter: str, label: str) -> Spec:
    x, y = log_axis("x", parameter_label(parameter)), linear_axis("worse", label, zero=True)
    color = {"field": "T", "type": "ordinal", "title": "budget", "scale": {"scheme": "viridis", "reverse": False}}
    chosen = {"condition": {"test": "chosen == 0 || datum.T == chosen", "value": 1}, "value": 0.35}
    hover = shown(T="budget", x=symbol(parameter), worse="above the best", range="90 %", base_lr="its best base LR")
    return {
        "params": [{"name": "chosen", "value": 0}],
        "layer": [
            layer("curve", {"type": "area", "opacity": 0.15},
                  {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color},
                  {"filter": "datum.T == chosen"}),
            layer("curve", {"type": "line"}, {"x": x, "y": y, "color": color, "opacity": chosen}),
            layer("curve", TARGET, {"x": x, "y": y, "tooltip": hover}, span("range", "low", "high")),
            layer("best", {"type": "point", "size": 70, "filled": True},
                  {"x": x, "y": y, "color": color, "opacity": chosen,
                   "tooltip": shown(T="budget", x=best_name(parameter))}),
        ],
    }  # fmt: skip


def _rows(each: ShapeCell) -> Iterator[Row]:
    workload, cell, shape, surface = each
    assert shape.best is not None
    keys = {"workload": workload, "family": shape.family, "T": cell.budget}
    low, high = above_best(cell, surface, surface.excess_band)
    worse = above_best(cell, surface, surface.excess)
    most = MOST_EXCESS if cell.delta_relative else float("inf")
    for i in range(0, len(surface.grid), THIN):
        if worse[i] > most:
            continue
        curve = {
            "worse": short(worse[i]),
            "low": short(low[i]),
            "high": short(min(high[i], most)),
        }
        yield {**keys, "kind": "curve", "x": short(surface.grid[i]), **curve, "base_lr": short(surface.best_base_lr[i])}
    at_best = above_best(cell, surface, surface.excess_at(shape.best))
    yield {**keys, "kind": "best", "x": short(shape.best), "worse": short(min(float(at_best), most))}
