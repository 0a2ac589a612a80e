"""Budgeted convergence: the norms of full gradient and weights against progress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from benchmarks.reproduce.jobs import rebuilt

_ROWS = (("gradient", "full gradient norm", "log"), ("weight", "weight norm", "linear"))


def draw(curves: list[dict[str, Any]], path: Path) -> None:
    """A column a schedule, two rows a workload, a colour a budget; the LR, relative to its peak, dotted."""
    workloads = list(dict.fromkeys(curve["workload"] for curve in curves))
    families = list(dict.fromkeys(curve["family"] for curve in curves))
    percents = sorted({curve["percent"] for curve in curves})
    shades = plt.colormaps["viridis_r"]
    colours = {percent: shades(0.15 + 0.75 * i / len(percents)) for i, percent in enumerate(percents)}
    rows = [(workload, *row) for workload in workloads for row in _ROWS]
    figure, grid = plt.subplots(
        len(rows),
        len(families),
        figsize=(2.9 * len(families) + 0.8, 2.1 * len(rows) + 0.9),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for axes, (workload, key, label, scale) in zip(grid, rows, strict=True):
        for ax, family in zip(axes, families, strict=True):
            shown = [c for c in curves if c["workload"] == workload and c["family"] == family]
            for curve in shown:
                steps, norms = zip(*curve[key], strict=True)
                ax.plot([s / curve["horizon"] for s in steps], norms, color=colours[curve["percent"]], lw=1.6)
            ax.set_yscale(scale)
            ax.grid(alpha=0.25)
            same = len({curve["schedule"] for curve in shown}) == 1
            for curve in shown:
                _learning_rate(ax, curve, "0.45" if same else colours[curve["percent"]])
        axes[0].set_ylabel(f"{workload}\n{label}")
    for ax, family in zip(grid[0], families, strict=True):
        ax.set_title("uba, tuned φ" if family == "uba" else family)
    for ax in grid[-1]:
        ax.set_xlabel("progress t / T")
    handles = [Line2D([], [], color=colours[p], lw=1.6, label=f"{p:g} % of the full budget") for p in percents]
    handles.append(Line2D([], [], color="0.45", ls=":", lw=1.4, label="LR ÷ base LR"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _learning_rate(ax: Axes, curve: dict[str, Any], colour: Any) -> None:
    twin = ax.twinx()
    x = np.linspace(0.0, 1.0, 401)
    twin.plot(x, rebuilt(curve["schedule"]).profile(x), color=colour, ls=":", lw=1.4)
    twin.set_ylim(0.0, 1.05)
    twin.set_yticks([])
