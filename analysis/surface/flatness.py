"""How probable it is that a shape parameter has no effect once the LR is at its best.

A surface on which it matters fits any cell at least as well as one on which it does not; the evidence (the probability
of the points under each model, hyperparameters integrated out) says whether it needs to. Without an effect, quality
at a budget is a function of one number: log mean LR less a drift with the schedule's shape, as the best LR may still
move with it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate import gaussian_process as gp
from phitune.analysis.surrogate import posterior, scale

Array = NDArray[np.float64]

# Prior standard deviation of the drifts along area and tail, in units of the coordinates' spreads: the best mean LR
# moves about twofold over the range of phi (docs/method/search.md).
DRIFT_SD = 0.1
# Median and spread of the lengthscales of the shape, if it matters: over the range of phi, not beyond.
LENGTH = (2.2, 0.7)
# The part of a point's distance from the best that neither model is expected to follow, and the distance beyond which
# it only says "bad": cliffs lie at a base LR, whatever the mean LR is.
MISFIT = 0.05
FAR = 0.9 * scale.FAR
STEP = 1e-3


def probability_of_no_effect(data: gp.Data, priors: gp.Priors) -> float:
    """Posterior probability of the model without an effect, even odds beforehand.

    Args:
        data: The points of the parameter's family, of one budget or several.
        priors: Of the model on which the parameter matters.
    """
    distance = data.y - data.y.min()
    data = replace(data, extra=data.extra + (MISFIT * distance) ** 2 + (distance > FAR))
    # Of the LR and, where there are several, of the budget.
    budget = None if priors.budget is None else 1
    small = replace(priors, lengths=(priors.lengths[0], *priors.lengths[3:]), budget=budget)

    def without(theta: Array) -> tuple[gp.Data, Array]:
        lr = data.x[:, :1] - data.x[:, 1:3] @ theta[-2:, None]
        return replace(data, x=np.concatenate([lr, data.x[:, 3:]], axis=1)), theta[:-2]

    def value(theta: Array) -> float:
        points, h = without(theta)
        return gp.log_marginal(points, small, h)

    def slope(theta: Array) -> tuple[float, Array]:
        points, h = without(theta)
        height, gradient = gp.log_marginal_slope(points, small, h)
        moves = STEP * np.eye(len(theta))[-2:]
        drifts = [(value(theta + move) - value(theta - move)) / (2.0 * STEP) for move in moves]
        return height, np.concatenate([gradient, drifts])

    centre, spread = small.centre_and_spread()
    target = posterior.with_prior(
        posterior.Density(value, slope), np.append(centre, [0.0, 0.0]), np.append(spread, [DRIFT_SD, DRIFT_SD])
    )
    starts = [np.append(centre, [drift, 0.0]) for drift in (-DRIFT_SD, DRIFT_SD)]
    alone = posterior.mode(target, starts, float(spread.max())).log_evidence
    with_effect = replace(priors, lengths=(priors.lengths[0], LENGTH, LENGTH, *priors.lengths[3:]))
    full = gp.settings(data, with_effect, np.random.default_rng(0), draws=0).log_evidence
    return float(1.0 / (1.0 + np.exp(np.clip(full - alone, -700.0, 700.0))))
