"""Each cell's trials over a parameter and base LR, on the fitted surface."""

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.report.figures.style import (
    COLOURS,
    ShapeCell,
    ShapePanel,
    best_name,
    budget_name,
    grid,
    log_axis,
    parameter_label,
)
from phitune.analysis.surface.cell_surface import CellSurface

LEVELS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# With fewer levels than these in use, all are a tenth.
FEWEST_LEVELS, FINER = 4, 0.1
# Dark is good; the palest is for all that is worse than the highest level.
COLOUR_MAP = ListedColormap(colormaps["YlGnBu_r"](np.linspace(0.12, 1.0, 256)))
# Points along each axis.
SIZE = 72
INK, DIVERGED = "#1c1c1c", COLOURS[1]
STATUS_MARKS: dict[str, dict[str, Any]] = {
    "stopped": {"marker": "o", "s": 10, "facecolors": "none", "edgecolors": "#4d4d4d", "linewidths": 0.7},
    "completed": {"marker": "o", "s": 15, "facecolors": INK, "edgecolors": "white", "linewidths": 0.5},
    "diverged": {"marker": "x", "s": 16, "c": DIVERGED, "linewidths": 1.1},
}


def surfaces(panel: ShapePanel, table: pd.DataFrame) -> Figure:
    """A workload's cells for one family, a panel a budget.

    Args:
        panel: The cells with what they say of the family's parameter.
        table: The results table, from which its trials are taken.
    """
    shown = panel[1]
    first, family, parameter = shown[0].cell, shown[0].shape.family, shown[0].shape.parameter
    mine = table[(table["workload"] == first.label) & (table["optimizer"] == first.optimizer)]
    mine = mine[(mine["phase"] == "explore") & (mine["family"] == family)]
    mine = mine.assign(value=[float(json.loads(text)[parameter]) for text in mine["schedule"]])
    lrs = float(mine["base_lr"].min()), float(mine["base_lr"].max())
    figure, axes = grid(len(shown))
    percents = [_excess(each, lrs) for each in shown]
    levels = _levels(max(float(each.max()) for _, _, each in percents))
    norm = BoundaryNorm(levels, 256, extend="max")
    for axis, (cell, shape, surface), (value, base_lr, above) in zip(axes, shown, percents, strict=True):
        axis.pcolormesh(value, base_lr, above, norm=norm, cmap=COLOUR_MAP,
                        shading="nearest", rasterized=True)  # fmt: skip
        _trials(axis, mine[mine["budget"] == cell.budget])
        _optimum(axis, shape, surface)
        axis.set_title(f"T = {budget_name(cell)}")
        axis.grid(visible=False)
        log_axis(axis, "x", parameter_label(parameter))
        log_axis(axis, "y", "base LR")
        axis.set_xlim(value[0] / 1.08, value[-1] * 1.08)
        axis.set_ylim(lrs[0] / 1.1, lrs[1] * 1.1)
    bar = figure.colorbar(ScalarMappable(norm, COLOUR_MAP), ax=axes, shrink=0.9, aspect=30, ticks=levels)
    relative = all(each.cell.delta_relative for each in shown)
    spread = "" if relative else "; of the spread of the better trials where it crosses zero"
    bar.set_label(f"objective above the best (%{spread})")
    figure.legend(handles=_legend(parameter), fontsize=8, loc="outside lower center", ncols=3)
    return figure


def _excess(
    each: ShapeCell, lrs: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Values of the parameter, base LRs, and per cents above the lowest point at all pairs of them."""
    cell, _, surface = each
    value, base_lr = np.geomspace(surface.grid[0], surface.grid[-1], SIZE), np.geomspace(*lrs, SIZE)
    excess = surface.mean(*(at.ravel() for at in np.meshgrid(value, base_lr))).reshape(SIZE, SIZE)
    excess -= excess.min()
    return value, base_lr, 100.0 * (np.expm1(excess) if cell.delta_relative else excess)


def _levels(highest: float) -> tuple[float, ...]:
    """Steps of the colour: finer where all of the surface lies within a few per cent."""
    return LEVELS if highest > LEVELS[FEWEST_LEVELS] else tuple(level * FINER for level in LEVELS)


def _trials(axis: Axes, rows: pd.DataFrame) -> None:
    for status, marks in STATUS_MARKS.items():
        some = rows[rows["status"] == status]
        if len(some):
            axis.scatter(some["value"].to_numpy(), some["base_lr"].to_numpy(), zorder=3, **marks)


def _optimum(axis: Axes, shape: ShapeGuideline, surface: CellSurface) -> None:
    axis.plot(surface.grid, surface.best_base_lr, color="white", linewidth=2.6, zorder=2)
    axis.plot(surface.grid, surface.best_base_lr, color=INK, linewidth=1.1, zorder=2)
    if surface.phi is None or surface.base_lr is None:
        return
    wide, high = surface.phi_interval, surface.base_lr_interval
    for colour, width in (("white", 3.6), (DIVERGED, 1.8)):
        if wide is not None:
            axis.plot(wide, [surface.base_lr] * 2, color=colour, linewidth=width, zorder=4)
        if high is not None:
            axis.plot([surface.phi] * 2, high, color=colour, linewidth=width, zorder=4)
    face = "white" if shape.verdict in ("flat", "unclear") else DIVERGED
    axis.plot(surface.phi, surface.base_lr, "*", ms=13, mfc=face, mec=INK, mew=0.8, zorder=5)


def _legend(parameter: str) -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", ms=4, label="trial, completed", linestyle=""),
        Line2D([], [], color="#4d4d4d", marker="o", mfc="none", ms=4, label="stopped early", linestyle=""),
        Line2D([], [], color=DIVERGED, marker="x", ms=5, label="diverged", linestyle=""),
        Line2D([], [], color=INK, linewidth=1.1, label=f"best base LR for each {symbol(parameter)}"),
        Line2D(
            [],
            [],
            color=DIVERGED,
            marker="*",
            ms=10,
            mec=INK,
            label=f"{best_name(parameter)} with 90 % intervals",
        ),
    ]
