"""The cells as charts take them: by workload and optimizer, and by the families and parameters that were searched."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.style import STATUSES
from phitune.analysis.surface.cell_surface import CellSurface

# In the page, over all cells, evenly over the order of each cell's.
MOST_TRIALS = 10_000


class ShapeCell(NamedTuple):
    """A cell, what it says of one family's searched parameter, and the surface behind that."""

    workload: str
    cell: CellGuideline
    shape: ShapeGuideline
    surface: CellSurface


def workload_names(guidelines: Guidelines) -> list[str]:
    """The workload of each cell, with the optimizer if there are several."""
    several = len({c.optimizer for c in guidelines.cells}) > 1
    return [f"{c.label}, {c.optimizer}" if several else c.label for c in guidelines.cells]


def shape_cells(guidelines: Guidelines, parameter: str) -> Iterator[ShapeCell]:
    """What cells say of the families that have this parameter and were searched in it; UBA first; not where thin."""
    for name, cell, surfaces in zip(workload_names(guidelines), guidelines.cells, guidelines.surfaces, strict=True):
        for shape in sorted(cell.shapes, key=lambda each: (each.family != "uba", each.family)):
            surface = surfaces.get((shape.family, shape.parameter))
            if shape.parameter == parameter and shape.best is not None and surface is not None:
                yield ShapeCell(name, cell, shape, surface)


def parameters(guidelines: Guidelines) -> list[str]:
    """The parameters that were searched, the main family's first."""
    main = [guidelines.main[1]] if guidelines.main is not None else []
    return list(dict.fromkeys([*main, *(shape.parameter for c in guidelines.cells for shape in c.shapes)]))


def explore_trials(cells: Sequence[ShapeCell], table: pd.DataFrame) -> tuple[list[pd.DataFrame], int]:
    """Each cell's explore trials of its family that did not fail, and of how many trials one is taken."""
    explore = table[(table["phase"] == "explore") & table["status"].isin(STATUSES)]
    groups = dict(iter(explore.groupby(["workload", "optimizer", "budget", "family"], sort=False)))
    mine = [groups.get((c.label, c.optimizer, c.budget, s.family), explore.iloc[:0]) for _, c, s, _ in cells]
    every = max(1, -(-sum(map(len, mine)) // MOST_TRIALS))
    return [trials.iloc[::every] for trials in mine], every


def best_name(parameter: str) -> str:
    """A parameter's best value: φ*, or such as "best cooldown"."""
    return "φ*" if parameter == "phi" else f"best {symbol(parameter)}"


def parameter_label(parameter: str, best: bool = False) -> str:
    """The axis of a parameter, or of its best value."""
    name = best_name(parameter) if best else symbol(parameter)
    return f"{name} (large: early decay)" if parameter == "phi" else name


def sentence(words: str) -> str:
    """The text as a sentence begins; φ stays small."""
    return words if words.startswith("φ") else words[0].upper() + words[1:]


def quantity(cells: list[CellGuideline]) -> str:
    """Name of what the cells' searches minimised, or of the metric that they maximised."""
    names = {c.objective if c.objective == "val_loss" else c.metric_name or "objective" for c in cells}
    if names == {"val_loss"}:
        return "validation loss"
    if names == {"accuracy"}:
        return "1 − accuracy"
    return names.pop() if len(names) == 1 else "objective"


def above_best(cell: CellGuideline, surface: CellSurface, excess: ArrayLike) -> NDArray[np.float64]:
    """An excess on the fitting scale in per cent of the objective, or in its own units where it crosses zero."""
    excess = np.asarray(excess, dtype=np.float64)
    if cell.delta_relative or surface.belief is None:
        return np.asarray(100.0 * np.expm1(excess))
    return np.asarray(abs(surface.belief.scale.unit) * excess)


def short(value: Any) -> float:
    """A number with four significant digits, to keep the page small."""
    return float(f"{float(value):.4g}")
