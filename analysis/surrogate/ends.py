"""Where stopped trials would have ended, from the values at which they were judged."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Completed trials without which nothing is foretold.
FEWEST = 5
# Priors of the regression: of the slope on the judged value less one, and of those on the coordinates.
SLOPE_SD = 0.5
PLACE_SD = 0.15
BEYOND_SLOPE = 0.5


@dataclass(frozen=True)
class Ends:
    """Predicted final values of m trials.

    Attributes:
        value: Shape (m,); NaN where too few trials completed to learn from.
        spread: Standard deviation of each one's own error, shape (m,).
        shared: Errors in common, as parts in q independent ones of standard deviation 1, shape (m, q): the coefficients
            of a rung's regression are unknown, so what it foretells is wrong for all trials alike.
    """

    value: Array
    spread: Array
    shared: Array


def predicted_ends(place: Array, judged: Array, ends: Array, completed: Mask, running: Mask) -> Ends:
    """Predicted final values of trials, from the last value at which each was judged.

    For each rung, the fall from the judged value there to the final one is regressed over the completed trials that
    passed it, on the judged value and on the schedule's coordinates: a slow decay still has more of its fall to come.
    These trials are the survivors of that rung, so a prediction is an extrapolation: slopes are held near zero by a
    prior (a trial that is worse at a rung is expected to end worse by as much). Beyond the worst survivor, half of a
    trial's distance behind it at the rung is expected to remain, by a slope that is as uncertain.

    Args:
        place: Coordinates of the trials, shape (n, d).
        judged: Values on the fitting scale at each rung, shape (n, r); NaN where a trial did not come so far.
        ends: Final values of the completed trials, shape (n,).
        completed: Which trials to learn from, shape (n,).
        running: Which trials' ends are wanted, shape (n,).

    Returns:
        The ends of the trials wanted, in order.
    """
    wanted = np.flatnonzero(running)
    columns = place.shape[1] + 3
    value, spread = np.full(len(wanted), np.nan), np.full(len(wanted), np.nan)
    shared = np.zeros((len(wanted), judged.shape[1] * columns))
    reached = np.isfinite(judged)
    last = np.where(reached.any(axis=1), judged.shape[1] - 1 - reached[:, ::-1].argmax(axis=1), -1)
    for rung in range(judged.shape[1]):
        targets = last[wanted] == rung
        survivors = completed & reached[:, rung] & np.isfinite(ends)
        if not targets.any() or survivors.sum() < FEWEST:
            continue
        rows = wanted[targets]
        basis = np.column_stack([np.ones(len(place)), judged[:, rung], place])
        basis[:, 1:] -= basis[survivors, 1:].mean(axis=0)
        worst = float(basis[survivors, 1].max())
        beyond = np.maximum(basis[rows, 1] - worst, 0.0)
        at = basis[rows]
        at[:, 1] = np.minimum(at[:, 1], worst)
        coefficients, root, own = _regress(basis[survivors], (ends - judged[:, rung])[survivors])
        value[targets] = judged[rows, rung] - (1.0 - BEYOND_SLOPE) * beyond + at @ coefficients
        spread[targets] = own
        shared[targets, rung * columns : (rung + 1) * columns] = np.column_stack([at @ root, SLOPE_SD * beyond])
    return Ends(value, spread, shared)


def _regress(basis: Array, target: Array) -> tuple[Array, Array, float]:
    """Bayesian least squares (intercept free, slopes near zero): coefficients, root of their covariance, residual."""
    scales = np.concatenate([[10.0, SLOPE_SD], np.full(basis.shape[1] - 2, PLACE_SD)])
    prior = np.diag(1.0 / scales**2)
    variance = max(float(np.var(target)), 1e-6)
    for _ in range(3):
        covariance = np.linalg.inv(basis.T @ basis / variance + prior)
        coefficients = covariance @ basis.T @ target / variance
        residual = target - basis @ coefficients
        variance = max(float(residual @ residual) / max(len(target) - 2, 1), 1e-6)
    return np.asarray(coefficients, dtype=np.float64), np.linalg.cholesky(covariance), variance**0.5
