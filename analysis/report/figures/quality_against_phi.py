"""Loss of quality against phi, a curve a budget."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from phitune.analysis.report.figures.style import (
    GREY,
    REFERENCE_LINE,
    Panel,
    above_best,
    budget_name,
    grid,
    log_axis,
    of_one_unit,
    quantity,
    shades,
)
from phitune.analysis.surface.shapes import COSINE_PHI

MOST_EXCESS = 40.0


def quality_against_phi(panels: Sequence[Panel]) -> Figure | None:
    """Loss of quality against phi, LR at its best for each phi; a panel a workload and optimizer, a curve a budget."""
    shown = [(title, [p for p in cells if p[0].phi is not None]) for title, cells in panels]
    shown = [(title, of_one_unit(cells)) for title, cells in shown if cells]
    if not shown:
        return None
    figure, axes = grid(len(shown))
    for axis, (title, cells) in zip(axes, shown, strict=True):
        highest = 0.0
        for (cell, surface), colour in zip(cells, shades(len(cells)), strict=True):
            worse = above_best(cell, surface, surface.excess)
            band = above_best(cell, surface, surface.excess_band)
            axis.fill_between(surface.grid, band[0], band[1], color=colour, alpha=0.13, linewidth=0)
            axis.plot(surface.grid, worse, color=colour, linewidth=1.8, label=budget_name(cell))
            phi = cell.phi or COSINE_PHI
            at_best = above_best(cell, surface, surface.excess_at(phi))
            flat = cell.verdict == "flat"
            axis.plot(phi, at_best, "o", ms=7, mec=colour, mfc="white" if flat else colour, mew=1.5, zorder=5)
            highest = max(highest, float(worse.max()))
        axis.axvline(COSINE_PHI, **REFERENCE_LINE)
        relative = cells[0][0].delta_relative
        top = max(min(highest * 1.1, MOST_EXCESS), 2.0) if relative else 1.1 * highest or 1.0
        axis.set_ylim(-0.04 * top, top)
        axis.annotate(
            "cosine", (COSINE_PHI, top), (3, -2), textcoords="offset points", va="top", fontsize=8, color=GREY
        )
        axis.set_title(title)
        log_axis(axis, "x", "φ (large: early decay)")
        axis.set_ylabel(f"{quantity(cells[0][0])} above the best{' (%)' if relative else ''}")
        axis.legend(title="budget", fontsize=8, title_fontsize=8, loc="upper right", frameon=True, framealpha=0.85)
    return figure
