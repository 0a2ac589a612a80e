"""phi* against the budget, with the bands of the models."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.figures.style import COLOURS, GREY, REFERENCE_LINE, grid, log_axis, panels
from phitune.analysis.surface.shapes import COSINE_PHI

COLOUR, POPULATION = COLOURS[0], COLOURS[1]
MARKERS = {
    "ok": ("o", COLOUR, "φ* found"),
    "flat": ("o", "white", "no effect of φ seen"),
    "boundary": ("D", COLOUR, "touches the range searched"),
    "unclear": ("X", COLOUR, "unclear: add trials"),
}


def phi_against_budget(guidelines: Guidelines) -> Figure | None:
    """phi* with 90 % intervals and the model's 90 % band; a panel a workload and optimizer."""
    shown = [(title, [c for c, _ in cells if c.phi is not None]) for title, cells in panels(guidelines)]
    shown = [(title, cells) for title, cells in shown if cells]
    if not shown:
        return None
    models = {(m.workload, m.optimizer): m for m in guidelines.models if m.quantity == "phi" and m.kind != "none"}
    drawn = [c for _, cells in shown for c in cells]
    low = min((c.phi_range or c.phi_interval or (1.0, 1.0))[0] for c in drawn)
    high = max((c.phi_range or c.phi_interval or (1.0, 1.0))[1] for c in drawn)
    figure, axes = grid(len(shown))
    population = False
    for axis, (title, cells) in zip(axes, shown, strict=True):
        budgets = np.geomspace(cells[0].budget / 1.3, cells[-1].budget * 1.3, 60)
        general = models.get((None, cells[0].optimizer))
        if general is not None:
            population = True
            _band(axis, general, budgets, POPULATION, 0.10, "--")
        own = models.get((cells[0].label, cells[0].optimizer))
        if own is not None:
            _band(axis, own, budgets, COLOUR, 0.16, "-")
        axis.axhline(COSINE_PHI, **REFERENCE_LINE)
        axis.annotate("cosine", (1.0, COSINE_PHI), (-2, 3), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", fontsize=8, color=GREY)  # fmt: skip
        _points(axis, cells)
        axis.set_title(title)
        axis.set_xlim(budgets[0], budgets[-1])
        log_axis(axis, "x", "budget (iterations)")
        log_axis(axis, "y", "φ* (large: early decay)")
        axis.set_ylim(low / 1.3, high * 1.3)
    handles = _legend({c.verdict for c in drawn}, bool(models), population)
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=2 if len(shown) == 1 else 3)
    return figure


def _points(axis: Axes, cells: list[CellGuideline]) -> None:
    located = [(c.budget, c.phi or COSINE_PHI) for c in cells if c.verdict not in ("unclear", "flat")]
    for (a, left), (b, right) in pairwise(located):
        axis.plot([a, b], [left, right], color=COLOUR, linewidth=1, alpha=0.35)
    for cell in cells:
        phi = cell.phi or COSINE_PHI
        faint = cell.verdict in ("unclear", "flat")
        axis.plot([cell.budget] * 2, cell.phi_interval or (phi, phi), color=COLOUR,
                  linewidth=1.2 if faint else 2.0, alpha=0.45 if faint else 0.9, solid_capstyle="butt")  # fmt: skip
        marker, face, _ = MARKERS.get(cell.verdict, MARKERS["ok"])
        axis.plot(cell.budget, phi, marker, ms=6.5, mec=COLOUR, mfc=face, mew=1.4, zorder=4)


def _band(
    axis: Axes, model: BudgetModel, budgets: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    colour: str, alpha: float, line: str,
) -> None:  # fmt: skip
    ends = np.array([model.interval(float(budget)) for budget in budgets])
    middle = np.exp([model.predict(float(budget))[0] for budget in budgets])
    axis.fill_between(budgets, ends[:, 0], ends[:, 1], color=colour, alpha=alpha, linewidth=0)
    axis.plot(budgets, middle, color=colour, linewidth=1.2, linestyle=line)


def _legend(verdicts: set[str], own: bool, population: bool) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=COLOUR, marker=marker, mfc=face, linestyle="", label=label)
        for verdict, (marker, face, label) in MARKERS.items()
        if verdict in verdicts
    ]
    if own:
        handles.append(Patch(color=COLOUR, alpha=0.3, label="model, this workload"))
    if population:
        handles.append(Patch(color=POPULATION, alpha=0.25, label="model, a new workload"))
    return handles
