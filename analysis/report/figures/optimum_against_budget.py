"""A parameter's best value against the budget, with the bands of the models."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures.style import (
    COLOURS,
    GREY,
    REFERENCE_LINE,
    ShapeCell,
    grid,
    log_axis,
    panels,
    parameter_label,
    shape_panels,
)
from phitune.analysis.report.words.shapes import verdict_text

COLOUR, POPULATION = COLOURS[0], COLOURS[1]
# Of each verdict the marker and its face.
MARKERS = {"ok": ("o", COLOUR), "flat": ("o", "white"), "boundary": ("D", COLOUR), "unclear": ("X", COLOUR)}
FAINT = ("unclear", "flat")


def optimum_against_budget(guidelines: Guidelines, parameter: str) -> Figure | None:
    """Best values with 90 % intervals and the model's 90 % band; a panel a workload, optimizer and family."""
    shown = shape_panels(panels(guidelines), parameter)
    if not shown:
        return None
    models = {
        (m.family, m.workload, m.optimizer): m
        for m in guidelines.models
        if m.quantity == parameter and m.kind != "none"
    }
    drawn = [each for _, cells in shown for each in cells]
    ends = [end for each in drawn for end in each.shape.searched or ()]
    figure, axes = grid(len(shown))
    own_bands = population = False
    for axis, (title, cells) in zip(axes, shown, strict=True):
        first, family = cells[0].cell, cells[0].shape.family
        budgets = np.geomspace(first.budget / 1.3, cells[-1].cell.budget * 1.3, 60)
        general = models.get((family, None, first.optimizer))
        if general is not None:
            population = True
            _band(axis, general, budgets, POPULATION, 0.10, "--")
        own = models.get((family, first.label, first.optimizer))
        if own is not None:
            own_bands = True
            _band(axis, own, budgets, COLOUR, 0.16, "-")
        _usual(axis, cells[0])
        _points(axis, cells)
        axis.set_title(title)
        axis.set_xlim(budgets[0], budgets[-1])
        log_axis(axis, "x", "budget (iterations)")
        log_axis(axis, "y", parameter_label(parameter, best=True))
        axis.set_ylim(min(ends) / 1.3, max(ends) * 1.3)
    handles = _legend(parameter, {str(each.shape.verdict) for each in drawn}, own_bands, population)
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=2 if len(shown) == 1 else 3)
    return figure


def _usual(axis: Axes, cell: ShapeCell) -> None:
    """Marks the value that is chosen without a search."""
    usual = cell.surface.shape.usual if cell.surface.shape is not None else None
    if usual is None:
        return
    name, value = usual
    axis.axhline(value, **REFERENCE_LINE)
    axis.annotate(name, (1.0, value), (-2, 3), xycoords=("axes fraction", "data"),
                  textcoords="offset points", ha="right", fontsize=8, color=GREY)  # fmt: skip


def _points(axis: Axes, cells: Sequence[ShapeCell]) -> None:
    located = [(c.budget, s.best) for c, s, _ in cells if s.verdict not in FAINT and s.best is not None]
    for (a, left), (b, right) in pairwise(located):
        axis.plot([a, b], [left, right], color=COLOUR, linewidth=1, alpha=0.35)
    for cell, shape, _ in cells:
        assert shape.best is not None
        faint = shape.verdict in FAINT
        axis.plot([cell.budget] * 2, shape.interval or (shape.best, shape.best), color=COLOUR,
                  linewidth=1.2 if faint else 2.0, alpha=0.45 if faint else 0.9, solid_capstyle="butt")  # fmt: skip
        marker, face = MARKERS.get(str(shape.verdict), MARKERS["ok"])
        axis.plot(cell.budget, shape.best, marker, ms=6.5, mec=COLOUR, mfc=face, mew=1.4, zorder=4)


def _band(
    axis: Axes, model: BudgetModel, budgets: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    colour: str, alpha: float, line: str,
) -> None:  # fmt: skip
    ends = np.array([model.interval(float(budget)) for budget in budgets])
    middle = np.exp([model.predict(float(budget))[0] for budget in budgets])
    axis.fill_between(budgets, ends[:, 0], ends[:, 1], color=colour, alpha=alpha, linewidth=0)
    axis.plot(budgets, middle, color=colour, linewidth=1.2, linestyle=line)


def _legend(parameter: str, verdicts: set[str], own: bool, population: bool) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLOUR, marker=marker, mfc=face, linestyle="", label=verdict_text(verdict, parameter))
        for verdict, (marker, face) in MARKERS.items()
        if verdict in verdicts
    ]
    if own:
        handles.append(Patch(color=COLOUR, alpha=0.3, label="model, this workload"))
    if population:
        handles.append(Patch(color=POPULATION, alpha=0.25, label="model, a new workload"))
    return handles
