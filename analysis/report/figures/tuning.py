"""Tuning curves: the best of n trials of a family."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from phitune.analysis.families.tuning_curves import TuningCurve
from phitune.analysis.report.figures.style import (
    FAMILY_LINES,
    GREY,
    Panel,
    budget_name,
    family_colour,
    grid,
    log_axis,
    plain_numbers,
    quantity,
)


def tuning(shown: list[Panel], curves: tuple[TuningCurve, ...]) -> Figure | None:
    """Median best objective of n trials with 90 % bands; a panel a workload at its largest budget."""
    known: dict[tuple[str, str, int], list[TuningCurve]] = {}
    for curve in curves:
        if curve.why_not is None:
            known.setdefault((curve.workload, curve.optimizer, curve.budget), []).append(curve)
    largest = [(title, cells[-1][0]) for title, cells in shown]
    largest = [(title, c) for title, c in largest if (c.label, c.optimizer, c.budget) in known]
    if not largest:
        return None
    figure, axes = grid(len(largest))
    names: dict[str, None] = {}
    guided = False
    for axis, (title, cell) in zip(axes, largest, strict=True):
        drawn = known[cell.label, cell.optimizer, cell.budget]
        _limits(axis, drawn)
        limits = axis.get_ylim()
        for curve in drawn:
            _draw(axis, curve)
        axis.set_ylim(limits)
        names |= dict.fromkeys(c.family for c in drawn)
        guided |= any(c.sampling == "guided" for c in drawn)
        axis.set_title(f"{title}, T = {budget_name(cell)}", fontsize=9.5)
        axis.set_xlabel("trials n of one family")
        axis.set_ylabel(f"best {quantity(cell)} of n (median)")
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(plain_numbers())
    handles = [
        Line2D([], [], color=family_colour(n), linestyle=FAMILY_LINES.get(n, "-"), label=n) for n in sorted(names)
    ]
    if guided:
        handles.append(Line2D([], [], color=GREY, marker=".", linestyle="", label="dot: guided trials, no band"))
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=min(len(handles), 5))
    return figure


def _draw(axis: Axes, curve: TuningCurve) -> None:
    n = np.arange(1, len(curve.best) + 1)
    colour = family_colour(curve.family)
    best = np.array(curve.best, dtype=np.float64)
    if curve.low:
        low, high = (np.array(side, dtype=np.float64) for side in (curve.low, curve.high))
        for end in (low, high):
            axis.plot(n, end, color=colour, linewidth=0.7, alpha=0.6)
        # A band without an end leaves the panel.
        bottom, top = axis.get_ylim()
        low, high = np.where(np.isnan(low), bottom, low), np.where(np.isnan(high), top, high)
        axis.fill_between(n, low, high, where=np.isfinite(best), color=colour, alpha=0.06, linewidth=0)
    axis.plot(n, best, color=colour, linewidth=1.7, linestyle=FAMILY_LINES.get(curve.family, "-"))
    if curve.sampling == "guided":
        axis.plot(n[-1], best[-1], ".", color=colour, ms=9)


def _limits(axis: Axes, drawn: list[TuningCurve]) -> None:
    """Sets limits that contain every median; wide bands are cut."""
    medians = np.array([v for curve in drawn for v in curve.best if v is not None])
    if medians.min() > 0 and medians.max() / medians.min() > 3:
        log_axis(axis, "y", axis.get_ylabel())
        axis.set_ylim(medians.min() / 1.3, medians.max() * 1.3)
        return
    margin = max(0.25 * float(np.ptp(medians)), 1e-3 * abs(float(medians.max())) or 1e-3)
    axis.set_ylim(medians.min() - margin, medians.max() + margin)
    axis.yaxis.set_major_locator(MaxNLocator(5))
