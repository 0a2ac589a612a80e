"""All schedule families: fans over φ, shapes, warmup, floor and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, refine, schedule

# Okabe and Ito's palette: distinguishable with every common kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b6b6b",
    "axes.labelcolor": "#222222",
    "xtick.color": "#6b6b6b",
    "ytick.color": "#6b6b6b",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "phitune",
}
FAN = (0.05, 0.25, 1.0, 2.0, 5.0, 20.0, 50.0)
STEPS = 1000
KINDS = (".png", ".svg", ".pdf")

# A loss that stalls twice, and gradient norms that fall, then rise: invented examples, not data.
STALLING = (
    1.0, 0.8, 0.68, 0.6, 0.56, 0.54, 0.54, 0.54, 0.54, 0.4,
    0.36, 0.34, 0.33, 0.33, 0.33, 0.33, 0.3, 0.3, 0.3, 0.3,
)  # fmt: skip
NORMS = 1.0 + 2.0 * np.exp(-np.linspace(0.0, 20.0, STEPS)) + 0.6 * np.linspace(0.0, 1.0, STEPS) ** 2

Curve = tuple[str, Schedule]


def schedules_figure() -> Figure:
    """Every family at least once, LR ÷ base LR against progress, in nine panels."""
    figure = Figure(figsize=(10.5, 9.6), layout="constrained")
    panels = figure.subplots(3, 3, sharex=True, sharey=True).ravel()
    _fan(panels[0], "uba", "cosine")
    _fan(panels[1], "rex-phi", "linear")
    for axis, (title, curves) in zip(panels[2:], _panels().items(), strict=True):
        _draw(axis, title, curves, COLOURS)
    _stalls(panels[6])
    for axis in panels[::3]:
        axis.set_ylabel("LR ÷ base LR")
    return figure


def save_schedules(path: Path) -> None:
    """Draws `schedules_figure` to a file.

    Raises:
        InputError: The ending is not .png, .svg or .pdf, or the file cannot be written.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"--plot: {str(path)!r} is not allowed; the file must end in {', '.join(KINDS)}")
    with matplotlib.rc_context(STYLE):
        figure = schedules_figure()
        FigureCanvasAgg(figure)
        try:
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise InputError(f"--plot: {str(path)!r} cannot be written ({error.strerror})") from error


def _panels() -> dict[str, list[Curve]]:
    """Titles and curves of all panels but the fans."""
    return {
        "decays": [
            *_named("linear", "cosine", "rex", "exponential", "inverse-sqrt", "constant"),
            ("polynomial, power 3", schedule("polynomial", power=3.0)),
        ],
        "steps": _named("step", "multistep"),
        "hold, then decay": [
            *_named("wsd", "delayed-linear"),
            ("wsd, shape sqrt", schedule("wsd", shape="sqrt")),
            ("spline", schedule("spline", time1=0.7, lr1=0.95, time2=0.4, lr2=0.2)),
        ],
        "cycles": [
            *_named("onecycle", "sgdr"),
            ("onecycle, peak 0.3, cosine, to 0", schedule("onecycle", peak=0.3, final=0.0, anneal="cosine")),
        ],
        "from a run (examples)": [
            ("plateau, factor 0.3, stalls marked", schedule("plateau", factor=0.3)),
            ("refined", refine(NORMS, "sgd")),
        ],
        "with warmup and floor": [
            ("linear, warmup 0.1", schedule("linear", warmup=0.1)),
            ("cosine, floor 0.1", schedule("cosine", floor=0.1)),
            ("wsd, both", schedule("wsd", warmup=0.1, floor=0.1)),
        ],
        "with sampling": [
            ("rex", schedule("rex")),
            ("rex, sampling 0.1", schedule("rex", sampling=0.1)),
            ("rex, sampling [0.25, 0.5, 0.75]", schedule("rex", sampling=(0.25, 0.5, 0.75))),
        ],
    }


def _named(*names: str) -> list[Curve]:
    return [(name, schedule(name)) for name in names]


def _fan(axis: Axes, name: str, at_two: str) -> None:
    curves = [(f"φ = {phi:g}" + (f" ({at_two})" if phi == 2 else ""), schedule(name, phi=phi)) for phi in FAN]
    shades = [colormaps["viridis"](shade) for shade in np.linspace(0.0, 0.9, len(FAN))]
    _draw(axis, f"{name} over φ", curves, shades)


def _draw(axis: Axes, title: str, curves: Sequence[Curve], colours: Sequence[object]) -> None:
    steps = np.arange(STEPS)
    for (label, curve), colour in zip(curves, colours, strict=False):
        observed = STALLING if len(curve.check_steps(STEPS)) else ()
        axis.plot(100 * steps / STEPS, curve.u(steps, STEPS, observed), color=colour, label=label)
    axis.set_title(title)
    axis.set_xlabel("progress (% of the budget)", fontsize=8)
    axis.tick_params(labelbottom=True)
    columns = 1 if max(len(label) for label, _ in curves) > 20 else 2
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, handlelength=1.5)


def _stalls(axis: Axes) -> None:
    """Marks the steps at which ``plateau`` cuts the LR on the example loss."""
    u = schedule("plateau", factor=0.3).u(np.arange(STEPS), STEPS, STALLING)
    for step in np.flatnonzero(np.diff(u)) + 1:
        axis.plot(100 * step / STEPS, u[step - 1], "v", color=COLOURS[0], markersize=5)
