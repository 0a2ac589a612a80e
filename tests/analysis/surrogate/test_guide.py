"""The guide of other workloads: its mixture against sums over its components, and what it does to a belief."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from phitune.analysis.surrogate.belief import Belief, Points
from phitune.analysis.surrogate.evidence import Evidence, Outcomes
from phitune.analysis.surrogate.gaussian_process import Hyperparameters, covariance
from phitune.analysis.surrogate.guide import AXES, Guide, average, belief_of, table
from phitune.analysis.surrogate.scale import FAR

Array = NDArray[np.float64]

H = Hyperparameters(np.array([1.2, 5.0, 5.0]), 0.4, 0.05)
RANGE = (1e-3, 1.0)


def evidence_of(place: Array, loss: Array) -> Evidence:
    n = len(place)
    status = np.where(np.isfinite(loss), "completed", "diverged")
    nothing = np.full((n, 0), np.nan)
    ones = np.zeros(n, dtype=np.int64)
    return Evidence.of(Outcomes([100], ones, place, ones, np.arange(n), status, loss, nothing), 1)


def places(n: int, seed: int = 0) -> Array:
    """At random: log mean LRs of the range's, and shapes."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-3.4, 0.0, n), rng.uniform(-2.0, 2.0, n), rng.uniform(-1.0, 2.0, n)])


def loss(place: Array, lr: float, area: float) -> Array:
    return np.exp(0.5 * (place[:, 0] - lr) ** 2 + 0.15 * (place[:, 1] - area) ** 2)


def points(evidence: Evidence, place: Array) -> Points:
    zeros = np.zeros(len(place), dtype=np.int64)
    return evidence.points(zeros, zeros, place)


@pytest.fixture(scope="module")
def guide() -> Guide:
    """Of a workload whose best log mean LR is -3 and whose best area is 1."""
    place = places(60)
    place[:, 0] -= 1.3
    evidence = evidence_of(place, loss(place, -3.0, 1.0))
    return Guide.of(table(evidence, 0, H)[None], RANGE)


def test_a_table_has_its_least_at_the_best_lr_and_shape(guide: Guide) -> None:
    made = guide.tables[0]
    assert made.min() >= 0.0 and made.max() <= FAR
    beside = AXES[0][made[:, :, 5].min(axis=1).argmin()]
    best = AXES[1][made[32].min(axis=1).argmin()]
    assert abs(beside) <= 0.5 and abs(best - 1.0) <= 1.0


def test_the_mixture_is_the_sum_over_its_components(guide: Guide) -> None:
    place = places(7, 1)
    evidence = evidence_of(place, loss(place, -1.0, 1.0))
    at, other = points(evidence, places(5, 2)), points(evidence, places(3, 3))
    data = evidence.data
    here, there, beyond = (guide.means(evidence, each) for each in (Points(data.x, data.levels), at, other))
    density = multivariate_normal(np.zeros(len(place)), covariance(data, H))
    logs = guide.log_weights + [density.logpdf(data.y - each) for each in here.T]
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    parts = [Belief(replace(data, y=data.y - each), H) for each in here.T]
    means = np.column_stack([part.mean(at) + each for part, each in zip(parts, there.T, strict=True)])
    others = np.column_stack([part.mean(other) + each for part, each in zip(parts, beyond.T, strict=True)])
    mean = means @ weights
    cross = ((means - mean[:, None]) * weights) @ (others - (others @ weights)[:, None]).T
    belief = belief_of(evidence, H, guide)
    assert belief.mean(at) == pytest.approx(mean, abs=0.01)
    assert belief.covariance(at, other) == pytest.approx(parts[0].covariance(at, other) + cross, abs=0.01)
    assert belief.variance(at) == pytest.approx(belief.covariance(at, at).diagonal(), abs=1e-9)


def test_before_any_trial_it_says_which_shape_and_no_more_than_the_middle_of_the_lrs(guide: Guide) -> None:
    belief = belief_of(evidence_of(places(0), np.empty(0)), H, guide)
    evidence = evidence_of(places(0), np.empty(0))
    lrs = np.linspace(-3.4, 0.0, 35)
    along = belief.mean(points(evidence, np.column_stack([lrs, np.ones(35), np.zeros(35)])))
    assert lrs[along.argmin()] == pytest.approx(-1.73, abs=0.4)
    worse = belief.mean(points(evidence, np.array([[-1.7, -2.0, 0.0], [-1.7, 1.0, 0.0]])))
    assert worse[0] > worse[1] + 0.02


def test_the_best_lr_is_learnt_and_the_shape_is_carried_over(guide: Guide) -> None:
    """Trials of one shape, its LR far from the middle; the guide says that another shape is better at that LR."""
    lrs = np.linspace(-2.4, 0.0, 6)
    place = np.column_stack([lrs, np.full(6, -1.0), np.zeros(6)])
    evidence = evidence_of(place, loss(place, -0.5, 1.0))
    asked = points(evidence, np.array([[-0.5, 1.0, 0.0], [-0.5, -1.0, 0.0]]))
    guided, alone = (belief_of(evidence, H, each).mean(asked) for each in (guide, None))
    assert guided[0] - guided[1] < alone[0] - alone[1] - 0.05


def test_a_guide_that_trials_contradict_says_nothing(guide: Guide) -> None:
    place = places(40, 4)
    evidence = evidence_of(place, loss(place, -1.5, -2.0))
    asked = points(evidence, places(20, 5))
    guided, alone = (belief_of(evidence, H, each).mean(asked) for each in (guide, None))
    assert np.abs(guided - alone).max() < 0.02


def test_variants_of_a_workload_count_as_one() -> None:
    ones = np.ones((2, 2))
    assert average([("quadratic", 0 * ones), ("quadratic", 2 * ones), ("mlp", 5 * ones)]) == pytest.approx(3 * ones)
