"""Points that a surface is fitted to: completed, stopped and diverged trials of a cell on a fitting scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.results.table import rung_columns
from phitune.analysis.surface.shapes import Shape

Array = NDArray[np.float64]

ERROR_FLOOR = 1e-3
MIN_FOR_CENSORING = 6
# Beyond this above the best (on the fitting scale), a trial only says "bad": its value is cut and trusted less.
CLIP = 3.0
# The part of a point's distance from the best that a smooth surface is not expected to follow.
MISFIT = 0.05
MISFIT_SQUARED = 0.05
DIVERGED_SD = 2.0
# Priors of the regression that predicts where stopped trials would have ended, on the fitting scale.
SLOPE_SD = 0.5
PHI_SLOPE_SD = 0.15
BEYOND_SLOPE = 0.5


@dataclass(frozen=True)
class Scale:
    """The scale on which the objective is fitted: lower is better, and 0.01 means one per cent.

    Attributes:
        kind: "log" for a positive quantity to be minimised: log(value). "log_error" for one in [0, 1] to be maximised:
            log(1 - value + 0.001), so that differences are relative changes of the error. "linear" otherwise:
            the value over the best one's magnitude, with its sign turned if it is maximised.
        unit: The magnitude that "linear" divides by, negative if the objective is maximised; 1 otherwise.
    """

    kind: Literal["log", "log_error", "linear"]
    unit: float = 1.0

    @classmethod
    def of(cls, values: Array, mode: str) -> "Scale":
        """The scale for finite values of an objective and its mode ("min" or "max")."""
        if mode == "min" and values.size and values.min() > 0:
            return cls("log")
        if mode == "max" and values.size and values.min() >= 0 and values.max() <= 1:
            return cls("log_error")
        best = float(values.min() if mode == "min" else values.max()) if values.size else 1.0
        spread = float(np.std(values)) if values.size else 1.0
        return cls("linear", (1.0 if mode == "min" else -1.0) * (abs(best) or spread or 1.0))

    def forward(self, values: Array) -> Array:
        """Objective to fitting scale; impossible values (a log of nothing positive) become NaN."""
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.kind == "log":
                return np.where(values > 0, np.log(values), np.nan)
            if self.kind == "log_error":
                return np.log(np.clip(1.0 - values, 0.0, None) + ERROR_FLOOR)
            return values / self.unit

    def inverse(self, fitted: float) -> float:
        """Fitting scale back to the objective."""
        if self.kind == "log":
            return float(np.exp(fitted))
        if self.kind == "log_error":
            return float(1.0 + ERROR_FLOOR - np.exp(fitted))
        return float(fitted * self.unit)


@dataclass(frozen=True)
class Points:
    """The data of a surface, one point for each trial.

    Attributes:
        x: (log of the shape parameter, log mean LR), shape (n, 2).
        y: Objective on the fitting scale, cut at `CLIP` above the best, shape (n,).
        extra: Standard deviation of each point's own uncertainty beyond common trial noise, shape (n,).
        origin: "completed", "stopped" or "diverged" for each point.
        scale: How y came from the objective.
        best: The lowest uncut y of a completed trial; NaN when there is none.
    """

    x: Array
    y: Array
    extra: Array
    origin: tuple[str, ...]
    scale: Scale
    best: float

    def count(self, origin: str) -> int:
        """Number of points of one origin."""
        return self.origin.count(origin)

    def is_from(self, origin: str) -> NDArray[np.bool_]:
        """Mask of the points of one origin, shape (n,)."""
        return np.array([each == origin for each in self.origin], dtype=np.bool_)


def on_surface(cell: pd.DataFrame, shape: Shape) -> dict[str, NDArray[Any]]:
    """Columns of the rows of a cell that lie on the shape's surface, as arrays: cosine is UBA at phi = 2.

    With ``value``, the shape's parameter, and with ``mean_lr``, base LR × mean of the profile, whatever warmup and
    floor the study adds to every schedule.
    """
    # Arrays: pandas takes its time over hundreds of small tables.
    words = {c: cell[c].to_numpy(dtype=object, na_value="") for c in ("family", "schedule", "phase", "status")}
    names = ("base_lr", "objective", *rung_columns(cell.columns))
    rows: dict[str, NDArray[Any]] = words | {c: cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in names}
    rows["deterministic"] = cell["deterministic"].to_numpy(dtype=bool)
    rows["value"] = shape.values(rows)
    keep = (rows["value"] >= shape.low) & (rows["value"] <= shape.high) & (rows["base_lr"] > 0)
    rows = {c: values[keep] for c, values in rows.items()}
    rows["mean_lr"] = rows["base_lr"] * np.exp(shape.log_mean(np.log(rows["value"])))
    return rows


def predicted_ends(rows: Mapping[str, NDArray[Any]], scale: Scale) -> tuple[Array, Array]:
    """Predicted final values of stopped trials, from the value at which they were judged last.

    For each rung, the fall from the judged value there to the final one is regressed over the completed trials that
    passed it, on the judged value and on log phi (slow-decaying schedules catch up later). These trials are the
    survivors of that rung, so a prediction is an extrapolation: both slopes are held near zero by a prior (a trial
    that is worse at a rung is expected to end worse by as much). Beyond the worst survivor, half of a trial's distance
    behind it at the rung is expected to remain, with a standard deviation as large.

    Args:
        rows: From `on_surface`.
        scale: The fitting scale.

    Returns:
        Predicted values and their standard deviations on the fitting scale, in the rows' order; NaN for rows which
        are not stopped and where too few trials (under six) completed to learn from.
    """
    rungs = rung_columns(rows)
    n = len(rows["status"])
    ends, spread = np.full(n, np.nan), np.full(n, np.nan)
    completed, stopped = rows["status"] == "completed", rows["status"] == "stopped"
    if not stopped.any() or not rungs:
        return ends, spread
    judged = scale.forward(np.stack([rows[c] for c in rungs], axis=1))
    final = scale.forward(rows["objective"])
    log_phi = np.log(rows["value"])
    reached = np.isfinite(judged)
    last = np.where(reached.any(axis=1), judged.shape[1] - 1 - reached[:, ::-1].argmax(axis=1), -1)
    for rung in range(len(rungs)):
        targets = stopped & (last == rung)
        survivors = completed & reached[:, rung] & np.isfinite(final)
        if not targets.any() or survivors.sum() < MIN_FOR_CENSORING:
            continue
        basis = np.stack([np.ones(n), judged[:, rung], log_phi], axis=1)
        basis[:, 1:] -= basis[survivors, 1:].mean(axis=0)
        worst = float(basis[survivors, 1].max())
        beyond = np.clip(basis[targets, 1] - worst, 0.0, None)
        at = basis[targets]
        at[:, 1] = np.minimum(at[:, 1], worst)
        fall, fall_sd = _regress(basis[survivors], (final - judged[:, rung])[survivors], at)
        ends[targets] = judged[targets, rung] - beyond + fall + BEYOND_SLOPE * beyond
        spread[targets] = np.hypot(fall_sd, SLOPE_SD * beyond)
    return ends, spread


def _regress(basis: Array, target: Array, at: Array) -> tuple[Array, Array]:
    """Bayesian least squares (intercept free, slopes near zero): predictions at new rows and their sd."""
    prior = np.diag(1.0 / np.array([10.0, SLOPE_SD, PHI_SLOPE_SD]) ** 2)
    variance = max(float(np.var(target)), 1e-6)
    for _ in range(3):
        covariance = np.linalg.inv(basis.T @ basis / variance + prior)
        coefficients = covariance @ basis.T @ target / variance
        residual = target - basis @ coefficients
        variance = max(float(residual @ residual) / max(len(target) - 2, 1), 1e-6)
    spread = np.sqrt(variance + np.einsum("ij,jk,ik->i", at, covariance, at))
    return np.asarray(at @ coefficients, dtype=np.float64), np.asarray(spread, dtype=np.float64)


def points(cell: pd.DataFrame, shape: Shape) -> Points:
    """The points of one cell: measured, predicted (stopped) and infeasible (diverged) ones.

    Diverged trials enter at the cut with a wide noise: they say "bad here" and nothing more. Replicates enter as points
    too; those of a deterministic workload only repeat their finalist and are left out. Failed trials are left out.

    Args:
        cell: Rows of the results table, one cell.
        shape: The family and parameter whose surface it is.

    Returns:
        The points, possibly none.
    """
    rows = on_surface(cell, shape)
    repeated = (rows["phase"] == "replicate") & rows["deterministic"]
    rows = {c: array[~repeated] for c, array in rows.items()}
    values, status = rows["objective"], rows["status"]
    completed = (status == "completed") & np.isfinite(values)
    mode = str(cell["mode"].iloc[0]) if len(cell) else "min"
    scale = Scale.of(values[completed], mode)
    ends, spread = predicted_ends(rows, scale)
    y = np.where(completed, scale.forward(values), ends)
    best = float(np.min(y[completed])) if completed.any() else float("nan")
    cap = best + CLIP
    diverged = status == "diverged"
    y = np.where(diverged, cap, y)
    keep = np.isfinite(y) & (completed | diverged | (status == "stopped"))
    extra = np.where(status == "stopped", np.nan_to_num(spread), 0.0)
    above = np.clip(y - best, 0.0, None)
    misfit = MISFIT * above + MISFIT_SQUARED * above**2
    extra = np.where(diverged, DIVERGED_SD, np.hypot(extra, misfit))
    x = np.log(np.stack([rows["value"], rows["mean_lr"]], axis=1))
    return Points(
        x=x[keep],
        y=np.minimum(y, cap)[keep],
        extra=extra[keep],
        origin=tuple(str(s) for s in status[keep]),
        scale=scale,
        best=best,
    )
