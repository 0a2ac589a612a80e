"""Costs of families over the budget, and the optimal schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Colour and line of each family that is drawn; two with a floor are dashed.
_LINES = {
    "linear": ("0.55", "-"),
    "cosine": ("0.25", "-"),
    "wsd": ("#e69f00", "-"),
    "polynomial": ("#cc79a7", "-"),
    "rex-phi": ("#009e73", "-"),
    "uba": ("#0072b2", "-"),
    "linear, floor": ("0.55", "--"),
    "rex-phi, floor": ("#009e73", "--"),
    "uba, floor": ("#0072b2", "--"),
    "spline": ("#d55e00", "-"),
    "spline, floor": ("#d55e00", "--"),
}
_COLUMNS = 4
_LEAST = 0.01


def draw(cells: Sequence[Mapping[str, Any]], path: Path) -> None:
    """For each workload two panels: costs against the budget, and below it the optimum's LR against progress."""
    workloads = list(dict.fromkeys(cell["workload"] for cell in cells))
    blocks = -(-len(workloads) // _COLUMNS)
    figure = Figure(figsize=(13.0, 5.4 * blocks + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 * blocks, _COLUMNS, squeeze=False)
    for number, label in enumerate(workloads):
        mine = sorted((cell for cell in cells if cell["workload"] == label), key=lambda cell: int(cell["budget"]))
        row, column = 2 * (number // _COLUMNS), number % _COLUMNS
        _costs(panels[row, column], mine)
        _optima(panels[row + 1, column], mine)
        panels[row, column].set_title(label.replace("(", "\n(").replace(",dim=400", ""), fontsize=9)
    for row in range(0, 2 * blocks, 2):
        panels[row, 0].set_ylabel("cost over the optimum (%)")
        panels[row + 1, 0].set_ylabel("optimal LR ÷ its peak")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=6, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def _costs(axis: Axes, cells: Sequence[Mapping[str, Any]]) -> None:
    budgets = [cell["budget"] for cell in cells]
    for name, (colour, line) in _LINES.items():
        costs = [max(cell["families"][name]["cost"], _LEAST) for cell in cells]
        axis.plot(budgets, costs, line, color=colour, marker=".", lw=1.4, label=name)
    axis.set(xscale="log", yscale="log", ylim=(_LEAST, 200.0), xlabel="budget T", xticks=budgets)
    axis.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axis.minorticks_off()
    axis.grid(alpha=0.25)


def _optima(axis: Axes, cells: Sequence[Mapping[str, Any]]) -> None:
    for shade, cell in zip(np.linspace(0.85, 0.1, len(cells)), cells, strict=True):
        lrs = np.array(cell["lrs"])
        x = np.linspace(0.0, 1.0, len(lrs))
        axis.plot(x, lrs / lrs.max(), color=colormaps["viridis"](shade), lw=1.4, label=f"T = {cell['budget']}")
    axis.set(ylim=(0.0, 1.05), xlabel="progress")
    axis.legend(fontsize=7, frameon=False)
    axis.grid(alpha=0.25)
