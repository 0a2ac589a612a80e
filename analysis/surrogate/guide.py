"""What other workloads say of a new one: which shapes are good, and how quality falls off beside the best LR.

Their best LRs are not carried over (benchmarks/NOTES.md): where the best one lies is integrated over, and so is whether
they say anything at all. Given those two, the belief is the usual one about the prior mean that the others give, so
that the whole is a mixture whose weights follow from the trials.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from phitune.analysis.surrogate import posterior
from phitune.analysis.surrogate.belief import MOST, Belief, Points
from phitune.analysis.surrogate.evidence import Evidence
from phitune.analysis.surrogate.gaussian_process import Data, Hyperparameters
from phitune.analysis.surrogate.scale import FAR, stretched

Array = NDArray[np.float64]

# Nodes of a table, in units of the coordinates: log mean LR beside the best one, area, tail.
AXES = (np.linspace(-4.0, 4.0, 65), np.linspace(-3.5, 4.0, 16), np.linspace(-1.5, 6.0, 16))
# Between the places that the best log mean LR may have, and the share of the LR's range that is its prior's spread.
STEP = 0.125
SPREAD = 0.2
# Prior probability that other workloads say nothing; components with a weight below `_LEAST` of the largest are left.
NOTHING = 0.7
_LEAST = 1e-3


def table(evidence: Evidence, cell: int, h: Hyperparameters) -> Array:
    """How much worse than its best a cell is believed to be, squeezed, at `AXES`: shape (65, 16, 16).

    Args:
        evidence: The trials of its workload and optimizer.
        cell: Its index.
        h: The hyperparameters.
    """
    belief = Belief(evidence.data, h)

    def mean(lrs: Array) -> Array:
        place = np.stack(np.meshgrid(lrs, *AXES[1:], indexing="ij"), axis=-1).reshape(-1, 3)
        family = np.zeros(len(place), dtype=np.int64)
        at = evidence.points(np.full(len(place), cell), family, place)
        at.levels[:, len(evidence.log_budgets) :] = 0.0
        return belief.mean(at).reshape(len(lrs), len(AXES[1]), len(AXES[2]))

    seen = evidence.data.x[:, 0]
    lrs = np.linspace(seen.min(), seen.max(), len(AXES[0]))
    over_range = mean(lrs)
    best = lrs[np.unravel_index(over_range.argmin(), over_range.shape)[0]]
    return np.asarray(np.clip(mean(best + AXES[0]) - over_range.min(), 0.0, FAR), dtype=np.float64)


@dataclass(frozen=True)
class Guide:
    """A prior of the cells of a new workload.

    Attributes:
        tables: Of each cell, as of `table`; shape (c, 65, 16, 16).
        lrs: Where the best log mean LR may lie, as a coordinate, shape (k,).
        log_weights: Log prior weights of "nothing is known", then of each of `lrs`, shape (1 + k,).
    """

    tables: Array
    lrs: Array
    log_weights: Array
    _recent: list[tuple[Evidence, Points, Array]] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(cls, tables: Array, base_lr: tuple[float, float]) -> Guide:
        """The prior for a range of base LRs, in whose middle the best mean LR is expected."""
        low, high = np.log(base_lr) / 2.0
        sd = SPREAD * (high - low)
        lrs = 0.5 * (low + high) + np.arange(-3.0 * sd, 3.0 * sd, STEP)
        weights = np.exp(-0.5 * ((lrs - 0.5 * (low + high)) / sd) ** 2)
        whole = np.concatenate([[NOTHING], (1.0 - NOTHING) * weights / weights.sum()])
        return cls(tables, lrs, np.log(whole))

    def means(self, evidence: Evidence, at: Points) -> Array:
        """Prior mean at points for each component, shape (m, 1 + k).

        Values count from the best completed trial of a cell, so what the table says of that trial is taken off.
        Those asked for last are kept: several beliefs ask for the same ones.
        """
        for known, points, means in self._recent:
            if known is evidence and points is at:
                return means
        cell = at.levels[:, : len(self.tables)].argmax(axis=1)
        excess = stretched(self._squeezed(cell, at.x[:, :3]))
        cells = np.flatnonzero(np.isfinite(evidence.best))
        reference = np.zeros((len(self.tables), len(self.lrs)))
        reference[cells] = stretched(self._squeezed(cells, evidence.best_place[cells]))
        means = evidence.value(excess - reference[cell])
        means = np.column_stack([np.zeros(len(means)), means])
        self._recent[:] = [*self._recent[-2:], (evidence, at, means)]
        return means

    def _squeezed(self, cell: NDArray[np.int64], place: Array) -> Array:
        """The tables' values at places (m, 3) for each of `lrs`, shape (m, k)."""
        values = np.empty((len(place), len(self.lrs)))
        offsets = [axis[0] for axis in AXES]
        steps = [axis[1] - axis[0] for axis in AXES]
        for number in np.unique(cell):
            rows = np.flatnonzero(cell == number)
            beside = place[rows, :1] - self.lrs
            shape = [np.repeat(place[rows, i : i + 1], len(self.lrs), axis=1) for i in (1, 2)]
            at = [(each - low) / step for each, low, step in zip([beside, *shape], offsets, steps, strict=True)]
            values[rows] = map_coordinates(self.tables[number], np.stack(at), order=1, mode="nearest")
        return values


class GuidedBelief(Belief):
    """The belief under a guide: a mixture over where the best LR lies, and whether the guide says anything.

    Args:
        evidence: The points, at most `MOST`.
        h: The hyperparameters, in common.
        guide: The guide.
    """

    def __init__(self, evidence: Evidence, h: Hyperparameters, guide: Guide) -> None:
        super().__init__(evidence.data, h)
        self._evidence, self._guide = evidence, guide
        data = evidence.data
        beside = data.y[:, None] - guide.means(evidence, Points(data.x, data.levels))
        half = posterior.half_solve(self._lower, beside)
        log_weights = guide.log_weights - 0.5 * np.square(half).sum(axis=0)
        self._kept = np.flatnonzero(log_weights >= log_weights.max() + np.log(_LEAST))
        weights = np.exp(log_weights[self._kept] - log_weights.max())
        self._mixture = weights / weights.sum()
        self._each = posterior.half_solve(self._lower, half[:, self._kept], transposed=True)
        likeliest = beside[:, int(log_weights.argmax())]
        self.residual = Data(data.x, data.levels, likeliest, data.extra, data.seed)
        self._recent: list[tuple[Points, Array]] = []

    def mean(self, at: Points) -> Array:
        return np.asarray(self._components(at) @ self._mixture, dtype=np.float64)

    def variance(self, at: Points, half: Array | None = None) -> Array:
        between = np.square(self._beside(at)) @ self._mixture
        return np.asarray(super().variance(at, half) + between, dtype=np.float64)

    def covariance(self, a: Points, b: Points, half_a: Array | None = None, half_b: Array | None = None) -> Array:
        between = (self._beside(a) * self._mixture) @ self._beside(b).T
        return np.asarray(super().covariance(a, b, half_a, half_b) + between, dtype=np.float64)

    def _components(self, at: Points) -> Array:
        """Posterior mean of each component at points, shape (m, kept); kept for the points asked for last."""
        for points, means in self._recent:
            if points is at:
                return means
        means = self._prior(at, self._places) @ self._each + self._guide.means(self._evidence, at)[:, self._kept]
        self._recent = [*self._recent[-2:], (at, means)]
        return means

    def _beside(self, at: Points) -> Array:
        each = self._components(at)
        return np.asarray(each - (each @ self._mixture)[:, None], dtype=np.float64)


def belief_of(evidence: Evidence, h: Hyperparameters, guide: Guide | None = None) -> Belief:
    """The belief under a guide; many trials need none."""
    if guide is None or len(evidence.data.y) > MOST:
        return Belief(evidence.data, h)
    return GuidedBelief(evidence, h, guide)


def residual(evidence: Evidence, h: Hyperparameters, guide: Guide | None) -> Data:
    """The points beside the likeliest prior mean, for fitting the hyperparameters."""
    belief = belief_of(evidence, h, guide)
    return belief.residual if isinstance(belief, GuidedBelief) else evidence.data


def average(tables: Iterable[tuple[str, Array]]) -> Array:
    """The mean of tables, by the names of their workloads: variants of one workload count as one."""
    by_name: dict[str, list[Array]] = {}
    for name, each in tables:
        by_name.setdefault(name, []).append(each)
    return np.asarray(np.mean([np.mean(each, axis=0) for each in by_name.values()], axis=0), dtype=np.float64)
