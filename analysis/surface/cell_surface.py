"""The conclusions about a shape parameter that one cell's trials support."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.posterior_draws import PosteriorDraws
from phitune.analysis.surface.shapes import Shape
from phitune.analysis.surrogate.coordinates import shape_of
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]
Verdict = Literal["ok", "flat", "boundary", "unclear", "thin"]

# A phi* within this (in log phi) of the end of the searched range counts as touching it.
EDGE = 0.1
# More probable than this that phi has no effect: flat.
NO_EFFECT = 0.85
# An interval over more than this share of the searched range (in log phi) does not locate phi*.
UNCLEAR_SHARE = 2 / 3


@dataclass(frozen=True)
class CellSurface:
    """The best value of a family's parameter in a cell and quality around it.

    It is called phi here, whichever parameter it is. Values on the fitting scale are marked (fit).

    Attributes:
        shape: The family and its parameter, the other one, if two were searched, at its best; None when the family was
            not searched.
        verdict: "ok"; "flat" (no effect of phi is seen: every phi is within `delta` of the best in the median draw and,
            with 95 % probability, within twice that; or `no_effect` is high); "boundary" (phi*'s interval touches an
            end of the searched range: widen it); "unclear" (the interval covers most of the range: more trials are
            needed); "thin" (too few points: nothing below is set).
        points: Number of points used (completed, stopped and diverged).
        delta: What counts as equal (fit); see `analysis.guidelines.equal`.
        phi: phi*, where the posterior mean is lowest; None when thin.
        phi_interval: 90 % interval of phi*, if it matters.
        base_lr: The best base LR at `phi`; None when thin.
        base_lr_interval: Its 90 % interval.
        base_lr_at_limit: Whether `base_lr` is as high as was tried, so that a higher one may be better still.
        base_lr_lowest: Whether it is as low as was tried.
        no_effect: Probability that phi, of two parameters that neither, has an effect with the LR at its best; see
            `analysis.surface.flatness`.
        phi_near: Smallest and largest phi whose profile is, in the median draw, within `delta` of the best.
        noise: Standard deviation between seeds (fit); 0 when the workload is deterministic.
        expected: The objective (in its own units) to expect at (`phi`, `base_lr`); None when thin.
        expected_interval: Its 90 % interval.
        grid: phi grid, shape (g,).
        profile: Objective at each phi with LR, and the other parameter, at its best, median draw, in its own units,
            shape (g,).
        profile_band: 5 % and 95 % of it, shape (2, g).
        excess: Profile less the family's lowest point (fit), median draw, shape (g,).
        excess_band: 5 % and 95 % of it, shape (2, g).
        best_base_lr: Best base LR at each phi, shape (g,).
        log_phi_draws: Draws of log phi* by the cell's own trials alone, for trends over cells, shape (s,); those at an
            end of the grid mean "there or beyond".
        log_mean_lr_draws: Draws of the log mean LR at it, as well by the cell's own trials, shape (s,).
        belief: What is believed of the cell; None when thin.
    """

    shape: Shape | None
    verdict: Verdict
    points: int
    delta: float = float("nan")
    phi: float | None = None
    phi_interval: tuple[float, float] | None = None
    base_lr: float | None = None
    base_lr_interval: tuple[float, float] | None = None
    base_lr_at_limit: bool = False
    base_lr_lowest: bool = False
    no_effect: float = float("nan")
    phi_near: tuple[float, float] | None = None
    noise: float = float("nan")
    expected: float | None = None
    expected_interval: tuple[float, float] | None = None
    grid: Array = field(default_factory=partial(np.empty, 0))
    profile: Array = field(default_factory=partial(np.empty, 0))
    profile_band: Array = field(default_factory=partial(np.empty, (2, 0)))
    excess: Array = field(default_factory=partial(np.empty, 0))
    excess_band: Array = field(default_factory=partial(np.empty, (2, 0)))
    best_base_lr: Array = field(default_factory=partial(np.empty, 0))
    log_phi_draws: Array = field(default_factory=partial(np.empty, 0))
    log_mean_lr_draws: Array = field(default_factory=partial(np.empty, 0))
    belief: PosteriorDraws | None = None

    def excess_at(self, phi: float) -> float:
        """What choosing `phi` costs against the best phi (fit), with LR at its best for each; NaN when thin."""
        if not len(self.grid):
            return float("nan")
        return float(np.interp(np.log(phi), np.log(self.grid), self.excess))

    def mean(self, phi: Array, base_lr: Array) -> Array:
        """Posterior mean of the excess over the lowest value seen (fit) at (phi, base LR), both (m,).

        Raises:
            ValueError: The surface is thin.
        """
        if self.belief is None or self.shape is None:
            raise ValueError("a thin surface has no mean")
        budget = int(self.belief.trials.outcomes.budgets[0])
        values, back = np.unique(np.clip(phi, self.shape.low, self.shape.high), return_inverse=True)
        shapes = np.array([shape_of(from_dict(self.shape.schedule(float(v))), budget) for v in values])
        return self.belief.mean(self.shape.family, shapes[back], np.log(base_lr))

    def beside(self, values: Mapping[str, float]) -> "CellSurface":
        """The surface's `mean` with the family's other parameter at its value among these."""
        return self if self.shape is None else replace(self, shape=self.shape.beside(values))

    def judged(self, delta: float) -> "CellSurface":
        """The surface with its verdict, given what counts as equal."""
        if self.phi is None or self.phi_interval is None:
            return replace(self, delta=delta)
        equal = np.flatnonzero(self.excess <= max(delta, float(self.excess.min())))
        near = float(self.grid[equal[0]]), float(self.grid[equal[-1]])
        return replace(self, delta=delta, verdict=self._verdict(delta, self.phi_interval), phi_near=near)

    def _verdict(self, delta: float, interval: tuple[float, float]) -> Verdict:
        # The middle says flat; the upper end, farthest where few trials are, may be off by as much again.
        if self.excess.max() <= delta and self.excess_band[1].max() <= 2.0 * delta:
            return "flat"
        if self.no_effect > NO_EFFECT:
            return "flat"
        low, high = np.log(self.grid[[0, -1]])
        left, right = np.log(interval)
        if right - left > UNCLEAR_SHARE * (high - low):
            return "unclear"
        return "boundary" if left < low + EDGE or right > high - EDGE else "ok"
