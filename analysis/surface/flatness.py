"""How probable it is that the shape parameter has no effect once the LR is at its best.

A surface on which phi matters fits any cell at least as well as one on which it does not; the evidence (the probability
of the points under each model, hyperparameters integrated out) says whether it needs to. Without an effect, quality is
a function of one number: log mean LR less a drift times log phi, as the best LR may still move with phi.
"""

import numpy as np

from phitune.analysis.surface.outcomes import Points
from phitune.analysis.surface.profiles import lr_trend
from phitune.analysis.surrogate import gaussian_process as gp

# The best mean LR moves about twofold over the range of phi (docs/method/search.md): 0.1 is that over e^7.
DRIFTS = np.linspace(-0.1, 0.3, 33)


def probability_of_no_effect(trials: Points, with_effect: gp.Settings, deterministic: bool) -> float:
    """Posterior probability of the model without an effect, even odds beforehand.

    Args:
        trials: The cell's points.
        with_effect: The fit of the surface on which the parameter matters.
        deterministic: Whether trials have no seed noise.
    """
    priors = gp.Priors(lengths=gp.Priors().lengths[1:], noise=None if deterministic else gp.Priors().noise)
    centre, _ = priors.centre_and_spread()
    rng = np.random.default_rng(0)
    by_drift = [_without(trials, float(drift)) for drift in DRIFTS]
    middle = gp.settings(by_drift[len(DRIFTS) // 2], priors, rng, draws=0, start=centre)
    heights = np.array([gp.log_marginal(data, priors, middle.theta) for data in by_drift])
    best = gp.settings(by_drift[heights.argmax()], priors, rng, draws=0, start=middle.theta)
    # The drift is integrated with the other hyperparameters held at their best, these with the drift at its best.
    heights = np.array([gp.log_marginal(data, priors, best.theta) for data in by_drift])
    without = best.log_evidence + float(np.log(np.mean(np.exp(heights - heights.max()))))
    return float(1.0 / (1.0 + np.exp(np.clip(with_effect.log_evidence - without, -700.0, 700.0))))


def _without(trials: Points, drift: float) -> gp.Data:
    """The points as a function of log mean LR less the drift alone."""
    x = (trials.x[:, 1] - drift * trials.x[:, 0])[:, None]
    return gp.Data(x, trials.y, trials.extra, x.min(axis=0), x.max(axis=0) + 1e-6, np.array([lr_trend(trials)]))
