"""Whether the loss's curvature, measured by diagnostics, predicts a parameter's best value in a workload left out.

For quadratics without noise phi = 2 kappa is the minimax choice of UBA (docs/method/schedules.md), so kappa is a
natural candidate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.trends.cell_draws import CellDraws, trend_data
from phitune.analysis.trends.hierarchy import fit
from phitune.analysis.trends.observations import GROUP, Form, Observations

MIN_WORKLOADS = 4
COLUMNS = ("hessian_max", "hessian_min")
PREDICTORS = ("lambda_max", "kappa")


def log_curvatures(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Log of lambda_max and of kappa = lambda_max / lambda_min of each workload: medians over the trials measured.

    kappa is there only where lambda_min is, in the median, positive.

    Args:
        table: The results table; empty result without the columns `hessian_max` and `hessian_min`.
    """
    if not set(COLUMNS) <= set(table.columns):
        return {}
    curvatures: dict[str, dict[str, float]] = {}
    for label, rows in table.groupby("workload"):
        largest, smallest = (float(rows[c].median()) for c in COLUMNS)
        if largest > 0:
            curvatures[str(label)] = {"lambda_max": float(np.log(largest))}
            if smallest > 0:
                curvatures[str(label)]["kappa"] = float(np.log(largest / smallest))
    return curvatures


def held_out_gains(
    cells: Sequence[CellDraws], parameter: str, curvatures: Mapping[str, Mapping[str, float]], slope: bool
) -> dict[str, Any]:
    """Each predictor's gain in held-out log density of the parameter's best value, leaving whole workloads out.

    Args:
        cells: The cells with draws.
        parameter: The parameter's name.
        curvatures: From `log_curvatures`.
        slope: Whether the trend on budget has a slope.

    Returns:
        By predictor: `workloads`, `gain` (sum over left-out cells, natural log; None if there are under four workloads
        with the predictor) and `helps`, whether the gain is more than its standard error over workloads.
    """
    return {name: _gain(cells, parameter, curvatures, name, slope) for name in PREDICTORS}


def _gain(
    cells: Sequence[CellDraws], parameter: str, curvatures: Mapping[str, Mapping[str, float]], name: str, slope: bool
) -> dict[str, Any]:
    measured = [c for c in cells if name in curvatures.get(c.workload, {})]
    values = {c.workload: curvatures[c.workload][name] for c in measured}
    if len(values) < MIN_WORKLOADS or np.ptp(list(values.values())) == 0:
        return {"workloads": len(values), "gain": None, "helps": None}
    without = trend_data(measured, parameter).observations
    column = np.array([values[c.workload] for c in measured])
    column = (column - column.mean()) / column.std()
    with_predictor = replace(without, covariates=column[:, None])
    labels = np.array([c.workload for c in measured])
    gains = np.array(
        [_log_density(with_predictor, labels == w, slope) - _log_density(without, labels == w, slope) for w in values]
    )
    # Cells of one workload are not independent: the error is that of a sum over workloads.
    error = np.sqrt(len(gains)) * gains.std(ddof=1)
    return {"workloads": len(values), "gain": float(gains.sum()), "helps": bool(gains.sum() > error)}


def _log_density(data: Observations, left_out: NDArray[np.bool_], slope: bool) -> float:
    """Log predictive density of the left-out cells' likelihoods, each alone, from the other cells."""
    model = fit(data.take(~left_out), Form(slope=slope), draws=1)
    test = data.take(left_out)
    grid, step = test.likelihoods.grid, test.likelihoods.step
    total = 0.0
    for i, (t, likelihood) in enumerate(zip(test.t, test.likelihoods.values, strict=True)):
        levels = {f: each[i] for f, each in test.levels.items() if f not in (GROUP, "architecture")}
        line = model.line(levels, test.covariates[i] if test.covariates.size else None)
        at = np.array([1.0, t])
        variance = float(at @ line.covariance @ at) + line.within**2
        density = np.exp(-0.5 * (grid - at @ line.mean) ** 2 / variance) / np.sqrt(2.0 * np.pi * variance)
        total += float(np.log((likelihood * density).sum() * step))
    return total
