"""The figures. They draw what `surface`, `compare` and `guidelines` computed, and compute nothing."""

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from analysis.cell_guideline import CellGuideline
from analysis.cell_surface import CellSurface
from analysis.guidelines import Guidelines
from analysis.shapes import COSINE_PHI

# Okabe and Ito's palette: told apart with every common kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
FAMILY_COLOURS = {
    "uba": "#0072B2",
    "rex": "#D55E00",
    "linear": "#009E73",
    "cosine": "#000000",
    "step": "#CC79A7",
    "constant": "#E69F00",
    "exponential": "#56B4E9",
}
GREY = "#6b6b6b"
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#222222",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "phitune",
}
PANEL = (4.4, 3.3)
MOST_EXCESS = 40.0
# A family further behind than this (per cent) is drawn as an arrow at the edge.
MOST_LOSS = 60.0

Panel = tuple[str, list[tuple[CellGuideline, CellSurface]]]


def figures(guidelines: Guidelines) -> dict[str, Figure]:
    """All figures that the evidence allows, by file name without ending."""
    with matplotlib.rc_context(STYLE):
        made = {
            "quality_against_phi": quality_against_phi(guidelines),
            "phi_against_budget": phi_against_budget(guidelines),
            "families": families_compared(guidelines),
        }
    return {name: figure for name, figure in made.items() if figure is not None}


def render(figure: Figure, kind: str) -> bytes:
    """The figure as "svg" or "png" (200 dpi) bytes."""
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        FigureCanvasAgg(figure)
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(out, format=kind, dpi=200, metadata=metadata)
    return out.getvalue()


def quality_against_phi(guidelines: Guidelines) -> Figure | None:
    """Loss of quality against phi, LR at its best for each phi; a panel a workload and optimizer, a curve a budget."""
    shown = [(title, [p for p in cells if p[0].phi is not None]) for title, cells in _panels(guidelines)]
    shown = [(title, cells) for title, cells in shown if cells]
    if not shown:
        return None
    figure, axes = _grid(len(shown))
    for axis, (title, cells) in zip(axes, shown, strict=True):
        highest = 0.0
        for (cell, surface), colour in zip(cells, _shades(len(cells)), strict=True):
            percent = 100.0 * np.expm1(surface.excess)
            band = 100.0 * np.expm1(surface.excess_band)
            axis.fill_between(surface.grid, band[0], band[1], color=colour, alpha=0.13, linewidth=0)
            axis.plot(surface.grid, percent, color=colour, linewidth=1.8, label=_budget_name(cell))
            phi = cell.phi or COSINE_PHI
            at_best = 100.0 * np.expm1(surface.excess_at(phi))
            flat = cell.verdict == "flat"
            axis.plot(phi, at_best, "o", ms=7, mec=colour, mfc="white" if flat else colour, mew=1.5, zorder=5)
            highest = max(highest, float(percent.max()))
        axis.axvline(COSINE_PHI, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        top = max(min(highest * 1.1, MOST_EXCESS), 2.0)
        axis.set_ylim(-0.04 * top, top)
        axis.annotate(
            "cosine", (COSINE_PHI, top), (3, -2), textcoords="offset points", va="top", fontsize=8, color=GREY
        )
        axis.set_title(title)
        _log_axis(axis, "x", "φ (large: early decay)")
        axis.set_ylabel(f"{_quantity(cells[0][0])} above the best (%)")
        axis.legend(title="budget", fontsize=8, title_fontsize=8, loc="upper right", frameon=True, framealpha=0.85)
    return figure


def phi_against_budget(guidelines: Guidelines) -> Figure | None:
    """phi* against the budget with 90 % intervals, a colour a workload; hollow where phi does not matter."""
    shown = [(title, [c for c, _ in cells if c.phi is not None]) for title, cells in _panels(guidelines)]
    shown = [(title, cells) for title, cells in shown if cells]
    if not shown:
        return None
    relative = all(c.full_budget for _, cells in shown for c in cells)
    figure = Figure(figsize=(6.6, 4.0), layout="constrained")
    axis = figure.add_subplot()
    axis.axhline(COSINE_PHI, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    limits = []
    for i, (_, cells) in enumerate(shown):
        colour = COLOURS[i % len(COLOURS)]
        shift = 1.03 ** (i - (len(shown) - 1) / 2)
        x = [shift * (100.0 * c.budget / c.full_budget if relative and c.full_budget else c.budget) for c in cells]
        limits += x
        for at, cell in zip(x, cells, strict=True):
            phi = cell.phi or COSINE_PHI
            low, high = cell.phi_interval or (phi, phi)
            axis.plot([at, at], [low, high], color=colour, linewidth=1.6, alpha=0.8, solid_capstyle="butt")
            face = "white" if cell.verdict == "flat" else colour
            marker = {"boundary": "D", "unclear": "X"}.get(cell.verdict, "o")
            axis.plot(at, phi, marker, ms=6.5, mec=colour, mfc=face, mew=1.5, zorder=4)
        located = [(at, c.phi or COSINE_PHI) for at, c in zip(x, cells, strict=True) if c.verdict != "unclear"]
        for (a, left), (b, right) in pairwise(located):
            axis.plot([a, b], [left, right], color=colour, linewidth=1, alpha=0.45)
    axis.annotate("cosine (φ = 2)", (0.0, COSINE_PHI), (3, 3), xycoords=("axes fraction", "data"),
                  textcoords="offset points", ha="left", fontsize=8, color=GREY)  # fmt: skip
    axis.set_xlim(min(limits) / 1.25, max(limits) * 1.25)
    _log_axis(
        axis, "x", "budget (% of the full budget)" if relative else "budget (iterations)", "%" if relative else ""
    )
    _log_axis(axis, "y", "φ* with 90 % interval")
    handles = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], marker="o", label=title) for i, (title, _) in enumerate(shown)
    ]
    verdicts = {c.verdict for _, cells in shown for c in cells}
    if "flat" in verdicts:
        handles.append(Line2D([], [], color=GREY, marker="o", mfc="white", linestyle="", label="φ does not matter"))
    if "boundary" in verdicts:
        handles.append(Line2D([], [], color=GREY, marker="D", linestyle="", label="touches the range searched"))
    if "unclear" in verdicts:
        handles.append(Line2D([], [], color=GREY, marker="X", linestyle="", label="unclear: add trials"))
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=3)
    return figure


def families_compared(guidelines: Guidelines) -> Figure | None:
    """Gain of each family over cosine with 90 % intervals; a panel a workload and optimizer, a row a budget."""
    shown = [
        (title, [c for c, _ in cells if any("cosine" in f.gains for f in c.families)])
        for title, cells in _panels(guidelines)
    ]
    shown = [(title, cells) for title, cells in shown if cells]
    if not shown:
        return None
    names = sorted({f.family for _, cells in shown for c in cells for f in c.families if "cosine" in f.gains})
    names.sort(key=lambda n: list(FAMILY_COLOURS).index(n) if n in FAMILY_COLOURS else len(FAMILY_COLOURS))
    tallest = max(len(cells) for _, cells in shown)
    figure, axes = _grid(len(shown), height=1.1 + 0.13 * (len(names) + 2.0) * tallest)
    for axis, (title, cells) in zip(axes, shown, strict=True):
        seen: list[float] = []
        for row, cell in enumerate(cells):
            for k, name in enumerate(names):
                gain = next(
                    (f.gains["cosine"] for f in cell.families if f.family == name and "cosine" in f.gains), None
                )
                if gain is None:
                    continue
                y = row + 0.72 * ((k + 0.5) / len(names) - 0.5)
                colour = FAMILY_COLOURS.get(name, COLOURS[k % len(COLOURS)])
                if gain.interval is not None and gain.percent >= -MOST_LOSS:
                    axis.plot(gain.interval, [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
                face = colour if gain.interval is not None else "white"
                far = gain.percent < -MOST_LOSS
                axis.plot(max(gain.percent, -MOST_LOSS), y, "<" if far else "o", ms=5, color=colour, mfc=face)
                seen.append(gain.percent)
        axis.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axis.set_yticks(range(len(cells)), [_budget_name(c) for c in cells])
        axis.set_ylim(len(cells) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        for row in range(1, len(cells)):
            axis.axhline(row - 0.5, color="#e6e6e6", linewidth=0.7)
        _gain_limits(axis, seen)
        axis.set_title(title)
        axis.set_ylabel("budget")
        axis.set_xlabel(f"gain over cosine (% of {_quantity(cells[0])})")
    handles = [Line2D([], [], color=FAMILY_COLOURS.get(n, GREY), marker="o", label=n) for n in names]
    figure.legend(handles=handles, fontsize=8, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _panels(guidelines: Guidelines) -> list[Panel]:
    """Cells by workload and optimizer, with a title each; the optimizer is named where there are several."""
    pairs = list(zip(guidelines.cells, guidelines.surfaces, strict=True))
    several = len({c.optimizer for c in guidelines.cells}) > 1
    keys = list(dict.fromkeys((c.label, c.optimizer) for c in guidelines.cells))
    return [
        (
            f"{label}, {optimizer}" if several else label,
            [p for p in pairs if (p[0].label, p[0].optimizer) == (label, optimizer)],
        )
        for label, optimizer in keys
    ]


def _grid(panels: int, height: float = PANEL[1]) -> tuple[Figure, list[Axes]]:
    columns = 1 if panels == 1 else 2 if panels in (2, 4) else 3
    rows = -(-panels // columns)
    width = PANEL[0] if columns > 1 else 6.0
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]


def _shades(n: int) -> Sequence[tuple[float, float, float, float]]:
    """Ordered colours for ordered budgets, dark to light, all legible on white."""
    return [tuple(c) for c in matplotlib.colormaps["viridis"](np.linspace(0.0, 0.82, n))]


def _budget_name(cell: CellGuideline) -> str:
    share = f" ({100.0 * cell.budget / cell.full_budget:.3g} %)" if cell.full_budget else ""
    return f"{cell.budget:,}{share}".replace(",", " ")


def _quantity(cell: CellGuideline) -> str:
    if cell.objective == "val_loss":
        return "validation loss"
    return f"1 − {cell.metric_name}" if cell.metric_name == "accuracy" else cell.metric_name or "objective"


def _log_axis(axis: Axes, which: str, label: str, unit: str = "") -> None:
    """A log axis with plain numbers at 1, 2 and 5."""
    ticks = axis.xaxis if which == "x" else axis.yaxis
    axis.set(**{f"{which}scale": "log", f"{which}label": label})
    ticks.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{unit}"))
    ticks.set_minor_formatter(NullFormatter())


def _gain_limits(axis: Axes, gains: list[float]) -> None:
    """Limits that hold every mean; the far ends of wide intervals may be cut."""
    low, high = min([0.0, *gains]), max([0.0, *gains])
    low = max(low, -MOST_LOSS)
    margin = max(0.15 * (high - low), 0.5)
    axis.set_xlim(low - margin, high + margin)
    axis.xaxis.set_major_locator(MaxNLocator(6))
