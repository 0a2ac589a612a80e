"""Shared by all figures: colours, axes, panels, and rendering to files."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from phitune.analysis.answers.numbers import budget_share
from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.surface.cell_surface import CellSurface

Line = Literal["-", "--", "-.", ":"]
Item = TypeVar("Item", bound=tuple[Any, ...])

# Okabe and Ito's palette: distinguishable with every common kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
FAMILY_COLOURS = {
    "uba": "#0072B2",
    "rex": "#D55E00",
    "linear": "#009E73",
    "cosine": "#000000",
    "step": "#CC79A7",
    "constant": "#E69F00",
    "exponential": "#56B4E9",
    # Of Tol's muted palette.
    "wsd": "#882255",
    "rex-phi": "#44AA99",
    "polynomial": "#999933",
}
# For print without colour.
FAMILY_LINES: dict[str, Line] = {"uba": "-", "rex": "--", "linear": "-.", "cosine": ":"}
GREY = "#6b6b6b"
REFERENCE_LINE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (4, 3))}
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

Cells = list[tuple[CellGuideline, Mapping[str, CellSurface]]]
Panel = tuple[str, Cells]


class ShapeCell(NamedTuple):
    """A cell, what it says of one family's searched parameter, and the surface behind that."""

    cell: CellGuideline
    shape: ShapeGuideline
    surface: CellSurface


ShapePanel = tuple[str, list[ShapeCell]]


@dataclass(frozen=True)
class Rendered:
    """A figure as files.

    Attributes:
        files: Content by kind: "svg" and "png" (160 dpi).
        width: In inches.
    """

    files: dict[str, bytes]
    width: float


def render(draw: Callable[[], Figure | None]) -> Rendered | None:
    """Draws a figure and encodes it; None where there is nothing to draw."""
    files = {}
    with matplotlib.rc_context(STYLE):
        figure = draw()
        if figure is None:
            return None
        FigureCanvasAgg(figure)
        # The layout costs as much as the drawing, so it is computed once.
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
        # "none" would leave a placeholder engine, with which every file is drawn twice.
        figure.set_layout_engine(None)
        for kind in ("svg", "png"):
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
            files[kind] = content.getvalue()
    return Rendered(files, float(figure.get_figwidth()))


def panels(guidelines: Guidelines) -> list[Panel]:
    """Cells and surfaces by workload and optimizer, each with a title; it names the optimizer if there are several."""
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


def shape_panels(panels: Sequence[Panel], parameter: str) -> list[ShapePanel]:
    """A panel for each family that has this parameter and was searched in it, in each panel; not where all are thin.

    The title names the family, too, unless that is UBA.
    """
    found: list[ShapePanel] = []
    for title, cells in panels:
        families = dict.fromkeys(s.family for c, _ in cells for s in c.shapes if s.parameter == parameter)
        for family in sorted(families, key=lambda each: (each != "uba", each)):
            shapes = ((c, c.of(family), surfaces.get(family)) for c, surfaces in cells)
            shown = [ShapeCell(c, s, f) for c, s, f in shapes if s is not None and f is not None and s.best is not None]
            if shown:
                found.append((title if family == "uba" else f"{title}, {family}", shown))
    return found


def best_name(parameter: str) -> str:
    """A parameter's best value: φ*, or such as "best cooldown"."""
    return "φ*" if parameter == "phi" else f"best {symbol(parameter)}"


def parameter_label(parameter: str, best: bool = False) -> str:
    """The axis of a parameter, or of its best value."""
    name = best_name(parameter) if best else symbol(parameter)
    return f"{name} (large: early decay)" if parameter == "phi" else name


def grid(panels: int, height: float = PANEL[1]) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels in up to three columns; `height` is a panel's, in inches."""
    columns = 1 if panels == 1 else 2 if panels in (2, 4) else 3
    rows = -(-panels // columns)
    width = PANEL[0] if columns > 1 else 6.0
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(panels)]


def shades(n: int) -> Sequence[tuple[float, float, float, float]]:
    """Ordered colours for ordered budgets, dark to light, all legible on white."""
    return [tuple(c) for c in matplotlib.colormaps["viridis"](np.linspace(0.0, 0.82, n))]


def budget_name(cell: CellGuideline) -> str:
    """A cell's budget with its share of the full one, such as "1 200 (25 %)"."""
    return f"{cell.budget:,}{budget_share(cell.budget, cell.full_budget)}".replace(",", " ")


def quantity(cell: CellGuideline) -> str:
    """Name of what the cell's search minimised, or of the metric that it maximised."""
    if cell.objective == "val_loss":
        return "validation loss"
    return f"1 − {cell.metric_name}" if cell.metric_name == "accuracy" else cell.metric_name or "objective"


def above_best(cell: CellGuideline, surface: CellSurface, excess: ArrayLike) -> NDArray[np.float64]:
    """An excess on the fitting scale in per cent of the objective, or in its own units where it crosses zero."""
    excess = np.asarray(excess, dtype=np.float64)
    if cell.delta_relative or surface.belief is None:
        return np.asarray(100.0 * np.expm1(excess))
    return np.asarray(abs(surface.belief.scale.unit) * excess)


def of_one_unit(cells: list[Item]) -> list[Item]:
    """The cells whose differences have the unit of the largest budget's: per cent, or the objective's own.

    Args:
        cells: Tuples that begin with the cell.
    """
    return [each for each in cells if each[0].delta_relative == cells[-1][0].delta_relative]


def log_axis(axis: Axes, which: Literal["x", "y"], label: str) -> None:
    """Makes an axis logarithmic, with plain numbers at 1, 2 and 5."""
    ticks = axis.xaxis if which == "x" else axis.yaxis
    axis.set(**{f"{which}scale": "log", f"{which}label": label})
    ticks.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    ticks.set_major_formatter(plain_numbers())
    ticks.set_minor_locator(NullLocator())


def plain_numbers() -> FuncFormatter:
    """Tick labels without exponents or trailing zeros."""
    return FuncFormatter(lambda value, _: f"{value:g}")


def family_colour(family: str) -> str:
    """A family's colour; grey for those not in `FAMILY_COLOURS`."""
    return FAMILY_COLOURS.get(family, GREY)
