"""Health of a search: how trials ended, and whether rungs predicted the end."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from phitune.analysis.report.figures.style import COLOURS, REFERENCE_LINE, Panel, budget_name, grid
from phitune.analysis.report.search_quality import SearchQuality

# Of different lightness, for print without colour.
STATUS_COLOURS = {"completed": "#0072B2", "stopped": "#9ecae1", "diverged": "#D55E00", "failed": "#000000"}
# Of the rungs, in order.
MARKERS = "osD^v"


def trials_ended(shown: list[Panel], quality: tuple[SearchQuality, ...]) -> Figure:
    """Share of each cell's explore trials by how they ended; a panel a workload, a bar a budget."""
    cells = {(q.workload, q.optimizer, q.budget): q for q in quality if q.family is None}
    tallest = max(len(pairs) for _, pairs in shown)
    figure, axes = grid(len(shown), height=0.95 + 0.24 * tallest)
    for axis, (title, pairs) in zip(axes, shown, strict=True):
        for row, (cell, _) in enumerate(pairs):
            trials, left = cells.get((cell.label, cell.optimizer, cell.budget)), 0.0
            for status, count in trials.ended.items() if trials else ():
                share = count / max(trials.trials, 1) if trials else 0.0
                axis.barh(row, share, left=left, color=STATUS_COLOURS[status], height=0.72)
                left += share
        axis.set_yticks(range(len(pairs)), [budget_name(c) for c, _ in pairs])
        axis.set_ylim(len(pairs) - 0.5, -0.5)
        axis.set_xlim(0, 1)
        axis.xaxis.set_major_formatter(PercentFormatter(1.0))
        axis.grid(visible=False, axis="y")
        axis.set_title(title)
        axis.set_ylabel("budget")
        axis.set_xlabel("share of explore trials")
    handles = [Patch(color=colour, label=status) for status, colour in STATUS_COLOURS.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=4)
    return figure


def rung_correlations(shown: list[Panel], quality: tuple[SearchQuality, ...]) -> Figure | None:
    """Rank correlation of each rung with the end; a row a workload, a dot a budget and rung."""
    cells = [q for q in quality if q.family is None and any(r is not None for r in q.rungs)]
    if not cells:
        return None
    rows = {(pairs[0][0].label, pairs[0][0].optimizer): i for i, (_, pairs) in enumerate(shown)}
    rungs = max(len(q.rungs) for q in cells)
    figure = Figure(figsize=(6.0, 1.3 + 0.42 * len(rows)), layout="constrained")
    axis = figure.add_subplot()
    for q in cells:
        for k, value in enumerate(q.rungs):
            if value is not None:
                y = rows[q.workload, q.optimizer] + 0.5 * ((k + 0.5) / rungs - 0.5)
                colour, marker = _marks(k)
                axis.plot(value, y, marker, ms=5.5, color=colour, alpha=0.75, mec="none")
    axis.axvline(0.0, **REFERENCE_LINE)
    axis.set_yticks(range(len(rows)), [title for title, _ in shown])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(min(-0.1, *(r for q in cells for r in q.rungs if r is not None)) - 0.05, 1.05)
    axis.set_xlabel("rank correlation with the end (Spearman)")
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=f"rung {k + 1}")
        for k, (colour, marker) in enumerate(map(_marks, range(rungs)))
    ]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=min(rungs, 5))
    return figure


def _marks(rung: int) -> tuple[str, str]:
    """Colour and marker of a rung."""
    return COLOURS[rung % len(COLOURS)], MARKERS[rung % len(MARKERS)]
