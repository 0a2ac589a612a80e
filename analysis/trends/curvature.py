"""Whether the loss's curvature, measured by diagnostics, predicts phi* of a workload that was left out.

REFERENCES, section 1: for quadratics without noise phi = 2 kappa is the minimax choice, so kappa is a natural guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.answers.budget_model import Quantity
from phitune.analysis.trends.cell_draws import CellDraws, gather
from phitune.analysis.trends.hierarchy import GROUP, Cells, Form, fit

MIN_WORKLOADS = 4
COLUMNS = ("hessian_max", "hessian_min")
PREDICTORS = ("lambda_max", "kappa")


def measured(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Log of lambda_max and of kappa = lambda_max / lambda_min of each workload: medians over the trials measured.

    kappa is there only where lambda_min is, in the median, positive.

    Args:
        table: The results table; without columns `hessian_max` and `hessian_min` the answer is empty.
    """
    if not set(COLUMNS) <= set(table.columns):
        return {}
    found: dict[str, dict[str, float]] = {}
    for label, rows in table.groupby("workload"):
        largest, smallest = (float(rows[c].median()) for c in COLUMNS)
        if largest > 0:
            found[str(label)] = {"lambda_max": float(np.log(largest))}
            if smallest > 0:
                found[str(label)]["kappa"] = float(np.log(largest / smallest))
    return found


def tried(known: Sequence[CellDraws], predictors: Mapping[str, Mapping[str, float]], slope: bool) -> dict[str, Any]:
    """Each predictor's gain in held-out log density of phi*, leaving whole workloads out.

    Args:
        known: What the cells say.
        predictors: From `measured`.
        slope: Whether the trend on budget has a slope.

    Returns:
        By predictor: `workloads`, `gain` (sum over left-out cells, natural log; None if there are under four workloads
        with the predictor) and `helps`, whether the gain is more than its standard error over workloads.
    """
    return {name: _tried(known, predictors, name, slope) for name in PREDICTORS}


def _tried(
    known: Sequence[CellDraws], predictors: Mapping[str, Mapping[str, float]], name: str, slope: bool
) -> dict[str, Any]:
    used = [c for c in known if name in predictors.get(c.workload, {})]
    values = {c.workload: predictors[c.workload][name] for c in used}
    if len(values) < MIN_WORKLOADS or np.ptp(list(values.values())) == 0:
        return {"workloads": len(values), "gain": None, "helps": None}
    quantity: Quantity = "phi"
    plain = gather(used, quantity).cells
    column = np.array([values[c.workload] for c in used])
    column = (column - column.mean()) / column.std()
    with_it = replace(plain, covariates=column[:, None])
    labels = np.array([c.workload for c in used])
    gains = np.array([_left_out(with_it, labels == w, slope) - _left_out(plain, labels == w, slope) for w in values])
    # Cells of one workload are not independent: the error is that of a sum over workloads.
    error = np.sqrt(len(gains)) * gains.std(ddof=1)
    return {"workloads": len(values), "gain": float(gains.sum()), "helps": bool(gains.sum() > error)}


def _left_out(cells: Cells, out: NDArray[np.bool_], slope: bool) -> float:
    """Log density of what the left-out cells say, each by itself, predicted from the others."""
    model = fit(cells.take(~out), Form(slope=slope), draws=1)
    test = cells.take(out)
    grid = test.seen.grid
    total = 0.0
    for i, (t, seen) in enumerate(zip(test.t, test.seen.values, strict=True)):
        levels = {f: known[i] for f, known in test.levels.items() if f not in (GROUP, "architecture")}
        line = model.line(levels, test.covariates[i] if test.covariates.size else None)
        at = np.array([1.0, t])
        variance = float(at @ line.covariance @ at) + line.within**2
        density = np.exp(-0.5 * (grid - at @ line.mean) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
        total += float(np.log((seen * density).sum() * (grid[1] - grid[0])))
    return total
