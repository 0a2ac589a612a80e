"""What follows from the belief: which configuration to try next, which is best, what one more trial is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate.belief import Points, cautious
from phitune.analysis.surrogate.evidence import Evidence
from phitune.analysis.surrogate.gaussian_process import Hyperparameters
from phitune.analysis.surrogate.guide import Guide, belief_of
from phitune.analysis.surrogate.knowledge_gradient import knowledge_gradient
from phitune.analysis.surrogate.space import Configurations, Space

Array = NDArray[np.float64]

# Fresh points over the whole space, best points of the grid, and points round each of them.
FRESH = 128
BEST = 12
AROUND = 8
WIDTH = (0.07, 0.2)
# Points among which the best is thought to be.
KEPT = 120
LIKELY = 40
# One more trial is not worth it below this share of what no one would notice: a tenth of the seeds' spread, and at
# least `_UNNOTICED`.
WORTH = 0.05
_UNNOTICED = 2e-3


@dataclass(frozen=True)
class Proposal:
    """A configuration to try.

    Attributes:
        at: The configuration, the only one.
        value: Expected fall of the least posterior mean by a trial of it, over the fall below which a trial is not
            worth it; None for one that is not valued.
        fall: That fall itself, on the fitting scale; 0 for one that is not valued.
        best: The configuration with the least posterior mean of those looked at; None for one that is not valued.
    """

    at: Configurations
    value: float | None
    fall: float = 0.0
    best: Configurations | None = None


class CellPolicy:
    """One cell's proposals and choice, under the belief of its workload and optimizer.

    Args:
        space: The cell's configurations.
        cell: Its index among the evidence's cells.
        evidence: The points.
        h: The hyperparameters.
        guide: What other workloads say; None where nothing is asked of them.
    """

    def __init__(
        self, space: Space, cell: int, evidence: Evidence, h: Hyperparameters, guide: Guide | None = None
    ) -> None:
        self.space, self.cell, self.evidence, self.guide = space, cell, evidence, guide
        self.belief = belief_of(evidence, h, guide)
        self._on_grid = self.belief.mean(self.points(space.grid))

    @property
    def least(self) -> float:
        """The least posterior mean on the space's grid."""
        return float(self._on_grid.min())

    def best_on_grid(self, family: int) -> Configurations:
        """The configuration of a family with the least posterior mean on the space's grid."""
        rows = np.flatnonzero(self.space.grid.family == family)
        return self.space.grid.take(rows[[self._on_grid[rows].argmin()]])

    def points(self, at: Configurations) -> Points:
        """Configurations as points of the model."""
        return self.evidence.points(np.full(len(at), self.cell), at.family, self.space.places(at))

    def propose(self, running: Points | None, rng: np.random.Generator) -> Proposal:
        """The configuration whose trial is worth most.

        Args:
            running: Points of the trials in flight, whose outcomes are taken as expected.
            rng: Source of randomness.
        """
        at, mean, covariance = self._candidates(running, rng)
        value = knowledge_gradient(mean, covariance, covariance.diagonal() + self.belief.h.variance)
        most, best = value.argmax(), mean.argmin()
        fall = float(value[most])
        worth_it = WORTH * max(0.1 * self.belief.h.variance**0.5, _UNNOTICED)
        return Proposal(at.take(np.array([most])), fall / worth_it, fall, at.take(np.array([best])))

    def values_at_rung(
        self, place: Points, spread: float, running: Points | None, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Expected falls of the least posterior mean by training a judged trial to its end, and by the best new trial.

        Args:
            place: The trial's point; its predicted end is among the data.
            spread: Standard deviation of the predicted end beyond a trial's noise.
            running: Points of the other trials in flight.
            rng: Source of randomness.
        """
        at, mean, covariance = self._candidates(running, rng)
        points = self.points(at)
        noise = self.belief.h.variance
        new = knowledge_gradient(mean, covariance, covariance.diagonal() + noise)
        # Seeing the end is one more observation, as precise as what is not known of it yet.
        more = noise * (noise + spread**2) / max(spread**2, 1e-12)
        end = knowledge_gradient(mean, self.belief.covariance(points, place), self.belief.variance(place) + more)
        return float(end[0]), float(new.max())

    def choice(
        self,
        rng: np.random.Generator,
        among: NDArray[np.int64] | None = None,
        settings: Sequence[Hyperparameters] = (),
    ) -> Configurations:
        """The best configuration, as `surrogate.belief.cautious` judges.

        Args:
            rng: Source of randomness.
            among: Indices of the families to choose from; all by default.
            settings: Draws of the hyperparameters; by default the policy's own alone.
        """
        beliefs = [belief_of(self.evidence, h, self.guide) for h in settings] or [self.belief]

        def lowest(at: Configurations, count: int) -> Configurations:
            return at.take(np.argsort(cautious(self.belief, beliefs, self.points(at)), kind="stable")[:count])

        grid = self.space.grid
        best = lowest(grid if among is None else grid.take(np.flatnonzero(np.isin(grid.family, among))), BEST)
        for width in ((0.03, 0.1), (0.01, 0.03)):
            best = lowest(Configurations.join(best, self.space.near(best, 32, width, rng)), 4)
        return best.take(np.array([0]))

    def _candidates(self, running: Points | None, rng: np.random.Generator) -> tuple[Configurations, Array, Array]:
        """Configurations that may be best or worth trying, their posterior means (m,) and covariance (m, m)."""
        best = self.space.grid.take(np.argsort(self._on_grid, kind="stable")[:BEST])
        fresh = self.space.quasi_random(FRESH, int(rng.integers(2**31)))
        at = Configurations.join(fresh, self.space.near(best, AROUND, WIDTH, rng), best)
        points = self.points(at)
        half = self.belief.half(points)
        mean = self.belief.mean(points)
        low = mean - 1.5 * np.sqrt(self.belief.variance(points, half))
        kept = np.union1d(np.argsort(low)[:KEPT], np.argsort(mean)[:LIKELY])
        at, points, mean, half = at.take(kept), points.take(kept), mean[kept], half[:, kept]
        covariance = self.belief.covariance(points, points, half, half)
        if running is not None and len(running):
            theirs = self.belief.half(running)
            inner = self.belief.covariance(running, running, theirs, theirs)
            inner.flat[:: len(running) + 1] += self.belief.h.variance
            cross = self.belief.covariance(points, running, half, theirs)
            covariance -= cross @ np.linalg.solve(inner, cross.T)
        return at, mean, covariance
