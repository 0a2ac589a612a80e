"""Loss of quality against a parameter, a curve a budget."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phitune.analysis.report.figures.style import (
    GREY,
    REFERENCE_LINE,
    Panel,
    ShapeCell,
    above_best,
    budget_name,
    grid,
    log_axis,
    of_one_unit,
    parameter_label,
    quantity,
    shades,
    shape_panels,
)

MOST_EXCESS = 40.0
# The least height of the axis, in what counts as equal: less is noise.
LEAST_EQUALS = 4.0


def quality_against_parameter(panels: Sequence[Panel], parameter: str) -> Figure | None:
    """Loss of quality against a parameter, LR at its best for each value.

    A panel a workload, optimizer and family, a curve a budget.
    """
    shown = [(title, of_one_unit(cells)) for title, cells in shape_panels(panels, parameter)]
    if not shown:
        return None
    figure, axes = grid(len(shown))
    for axis, (title, cells) in zip(axes, shown, strict=True):
        highest = least = 0.0
        for (cell, shape, surface), colour in zip(cells, shades(len(cells)), strict=True):
            worse = above_best(cell, surface, surface.excess)
            band = above_best(cell, surface, surface.excess_band)
            axis.fill_between(surface.grid, band[0], band[1], color=colour, alpha=0.13, linewidth=0)
            axis.plot(surface.grid, worse, color=colour, linewidth=1.8, label=budget_name(cell))
            best = shape.best or surface.grid[0]
            at_best = above_best(cell, surface, surface.excess_at(best))
            flat = shape.verdict == "flat"
            axis.plot(best, at_best, "o", ms=7, mec=colour, mfc="white" if flat else colour, mew=1.5, zorder=5)
            highest = max(highest, float(worse.max()))
            least = max(least, float(above_best(cell, surface, LEAST_EQUALS * cell.delta)))
        relative = cells[0].cell.delta_relative
        top = max(min(highest * 1.1, MOST_EXCESS), least) if relative else 1.1 * highest or 1.0
        axis.set_ylim(-0.04 * top, top)
        _usual(axis, cells[0], top)
        axis.set_title(title)
        log_axis(axis, "x", parameter_label(parameter))
        axis.set_ylabel(f"{quantity(cells[0].cell)} above the best{' (%)' if relative else ''}")
        axis.legend(title="budget", fontsize=8, title_fontsize=8, loc="upper right", frameon=True, framealpha=0.85)
    return figure


def _usual(axis: Axes, cell: ShapeCell, top: float) -> None:
    """Marks the value that is chosen without a search."""
    usual = cell.surface.shape.usual if cell.surface.shape is not None else None
    if usual is None:
        return
    name, value = usual
    axis.axvline(value, **REFERENCE_LINE)
    axis.annotate(name, (value, top), (3, -2), textcoords="offset points", va="top", fontsize=8, color=GREY)
