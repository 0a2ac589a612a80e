"""Families against cosine, cell by cell."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from phitune.analysis.families.gain import Gain
from phitune.analysis.report.figures.style import (
    FAMILY_COLOURS,
    REFERENCE_LINE,
    Panel,
    budget_name,
    family_colour,
    grid,
    of_one_unit,
    quantity,
)

# A family further behind than this (per cent) is drawn as an arrow at the edge.
MOST_LOSS = 60.0


def families_compared(panels: Sequence[Panel]) -> Figure | None:
    """Gain of each family over cosine with 90 % intervals; a panel a workload and optimizer, a row a budget."""
    compared = [(title, [p for p in each if any("cosine" in f.gains for f in p[0].families)]) for title, each in panels]
    shown = [(title, [c for c, _ in of_one_unit(cells)]) for title, cells in compared if cells]
    if not shown:
        return None
    names = sorted({f.family for _, cells in shown for c in cells for f in c.families if "cosine" in f.gains})
    names.sort(key=lambda n: list(FAMILY_COLOURS).index(n) if n in FAMILY_COLOURS else len(FAMILY_COLOURS))
    tallest = max(len(cells) for _, cells in shown)
    figure, axes = grid(len(shown), height=1.1 + 0.13 * (len(names) + 2.0) * tallest)
    for axis, (title, cells) in zip(axes, shown, strict=True):
        percents: list[float] = []
        for row, cell in enumerate(cells):
            gains = {f.family: f.gains["cosine"] for f in cell.families if "cosine" in f.gains}
            for k, name in enumerate(names):
                if name in gains:
                    _draw(axis, row + 0.72 * ((k + 0.5) / len(names) - 0.5), gains[name], family_colour(name))
                    percents.append(gains[name].percent)
        axis.axvline(0, **REFERENCE_LINE)
        axis.set_yticks(range(len(cells)), [budget_name(c) for c in cells])
        axis.set_ylim(len(cells) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        for row in range(1, len(cells)):
            axis.axhline(row - 0.5, color="#e6e6e6", linewidth=0.7)
        _gain_limits(axis, percents, cells[0].delta_relative)
        axis.set_title(title)
        axis.set_ylabel("budget")
        axis.set_xlabel(f"gain over cosine ({'% of ' if cells[0].delta_relative else ''}{quantity(cells[0])})")
    handles = [Line2D([], [], color=family_colour(n), marker="o", label=n) for n in names]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _draw(axis: Axes, y: float, gain: Gain, colour: str) -> None:
    far = gain.relative and gain.percent < -MOST_LOSS
    if not far:
        axis.plot(gain.interval, [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
    axis.plot(-MOST_LOSS if far else gain.percent, y, "<" if far else "o", ms=5, color=colour)


def _gain_limits(axis: Axes, gains: list[float], relative: bool) -> None:
    """Sets limits that contain every mean; the far ends of wide intervals may be cut."""
    low, high = min([0.0, *gains]), max([0.0, *gains])
    low = max(low, -MOST_LOSS) if relative else low
    margin = max(0.15 * (high - low), 0.5) if relative else 0.15 * (high - low) or 1.0
    axis.set_xlim(low - margin, high + margin)
    axis.xaxis.set_major_locator(MaxNLocator(6))
