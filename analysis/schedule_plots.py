"""The figure of all schedule families, UBA as a fan over φ."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.plots import FAMILY_COLOURS, GREY, STYLE
from trainables.errors import InputError
from trainables.schedules import families, family, schedule

FAN = (0.05, 0.25, 1.0, 2.0, 5.0, 20.0, 50.0)
POINTS = 501
KINDS = (".png", ".svg", ".pdf")


def schedules_figure() -> Figure:
    """Every family without searched parameters on the left, UBA over φ on the right."""
    x = np.linspace(0.0, 1.0, POINTS)
    figure = Figure(figsize=(10.5, 3.6), layout="constrained")
    others, fan = figure.subplots(1, 2, sharey=True)
    for name in families():
        if not family(name).parameters:
            others.plot(100 * x, schedule(name).profile(x), color=FAMILY_COLOURS.get(name, GREY), label=name)
    for phi, shade in zip(FAN, np.linspace(0.0, 0.9, len(FAN)), strict=True):
        name = "φ = 2 (cosine)" if phi == 2 else f"φ = {phi:g}"
        fan.plot(100 * x, schedule("uba", phi=phi).profile(x), color=colormaps["viridis"](shade), label=name)
    others.set_title("families")
    others.set_ylabel("LR ÷ base LR")
    fan.set_title("uba")
    for axis in (others, fan):
        axis.set_xlabel("training progress (% of the budget)")
        axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
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
