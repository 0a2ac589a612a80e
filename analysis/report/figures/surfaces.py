"""Each cell's trials over phi and base LR, on the fitted surface."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.report.figures.style import COLOURS, Panel, budget_name, grid, log_axis
from phitune.analysis.surface.cell_surface import CellSurface

LEVELS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
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


def surfaces(panel: Panel, table: pd.DataFrame) -> Figure | None:
    """A workload's cells, a panel a budget; None where no cell has enough trials for a surface.

    Args:
        panel: The workload's cells and surfaces.
        table: The results table, from which its trials are taken.
    """
    shown = [(c, s) for c, s in panel[1] if s.belief is not None]
    if not shown:
        return None
    first = shown[0][0]
    mine = table[(table["workload"] == first.label) & (table["optimizer"] == first.optimizer)]
    mine = mine[(mine["phase"] == "explore") & (mine["family"] == "uba")]
    lrs = float(mine["base_lr"].min()), float(mine["base_lr"].max())
    figure, axes = grid(len(shown))
    norm = BoundaryNorm(LEVELS, 256, extend="max")
    for axis, (cell, surface) in zip(axes, shown, strict=True):
        phi, base_lr = np.geomspace(surface.grid[0], surface.grid[-1], SIZE), np.geomspace(*lrs, SIZE)
        excess = surface.mean(*(each.ravel() for each in np.meshgrid(phi, base_lr))).reshape(SIZE, SIZE)
        excess -= excess.min()
        above = 100.0 * (np.expm1(excess) if cell.delta_relative else excess)
        axis.pcolormesh(phi, base_lr, above, norm=norm, cmap=COLOUR_MAP,
                        shading="nearest", rasterized=True)  # fmt: skip
        _trials(axis, mine[mine["budget"] == cell.budget])
        _optimum(axis, cell, surface)
        axis.set_title(f"T = {budget_name(cell)}")
        axis.grid(visible=False)
        log_axis(axis, "x", "φ (large: early decay)")
        log_axis(axis, "y", "base LR")
        axis.set_xlim(phi[0] / 1.08, phi[-1] * 1.08)
        axis.set_ylim(lrs[0] / 1.1, lrs[1] * 1.1)
    bar = figure.colorbar(ScalarMappable(norm, COLOUR_MAP), ax=axes, shrink=0.9, aspect=30, ticks=LEVELS)
    relative = all(cell.delta_relative for cell, _ in shown)
    spread = "" if relative else "; of the spread of the better trials where it crosses zero"
    bar.set_label(f"objective above the best (%{spread})")
    figure.legend(handles=_legend(), fontsize=8, loc="outside lower center", ncols=3)
    return figure


def _trials(axis: Axes, rows: pd.DataFrame) -> None:
    for status, marks in STATUS_MARKS.items():
        some = rows[rows["status"] == status]
        if len(some):
            axis.scatter(some["phi"].to_numpy(), some["base_lr"].to_numpy(), zorder=3, **marks)


def _optimum(axis: Axes, cell: CellGuideline, surface: CellSurface) -> None:
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
    face = "white" if cell.verdict in ("flat", "unclear") else DIVERGED
    axis.plot(surface.phi, surface.base_lr, "*", ms=13, mfc=face, mec=INK, mew=0.8, zorder=5)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", ms=4, label="trial, completed", linestyle=""),
        Line2D([], [], color="#4d4d4d", marker="o", mfc="none", ms=4, label="stopped early", linestyle=""),
        Line2D([], [], color=DIVERGED, marker="x", ms=5, label="diverged", linestyle=""),
        Line2D([], [], color=INK, linewidth=1.1, label="best base LR for each φ"),
        Line2D([], [], color=DIVERGED, marker="*", ms=10, mec=INK, label="φ* with 90 % intervals"),
    ]
