"""The conclusions about a shape parameter that one cell's trials support."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.outcomes import Scale
from phitune.analysis.surface.shapes import Shape
from phitune.analysis.surrogate import gaussian_process as gp

Array = NDArray[np.float64]
Verdict = Literal["ok", "flat", "boundary", "unclear", "thin"]

RELATIVE_TOLERANCE = 0.01
# A phi* within this (in log phi) of the end of the searched range counts as touching it; so with base LRs.
EDGE = 0.1


@dataclass(frozen=True)
class Fit:
    """A fitted surface.

    Attributes:
        data, mode: Its data and its most probable hyperparameters.
        scale: From the objective to the fitting scale.
        lowest: The mean surface's lowest value (fit).
        highest_tried: The highest base LR that the trials support at each phi, shape (g,).
    """

    data: gp.Data
    mode: gp.Hyperparameters
    scale: Scale
    lowest: float
    highest_tried: Array


@dataclass(frozen=True)
class CellSurface:
    """The best phi of a cell and quality around it. Values on the fitting scale are marked (fit): 0.01 is one per cent.

    Attributes:
        shape: The family and its parameter (phi); None when the family was not searched.
        verdict: "ok"; "flat" (phi does not matter here: every phi is within `delta` of the best in the median draw and,
            with 90 % probability, within twice that; or `no_effect` is high); "boundary" (phi*'s interval touches an
            end of the searched range: widen it); "unclear" (the interval covers most of the range: more trials are
            needed); "thin" (too few points: nothing below is set).
        points: Number of points used (completed, stopped and diverged).
        delta: What counts as equal (fit): 1 % or, if larger, two standard errors of a finalist's mean over replicates.
        phi: phi*, the median of the draws; None when thin.
        phi_interval: 90 % interval of phi*.
        bootstrap_interval: 90 % interval of phi* by resampling the trials, a second opinion.
        base_lr: The best base LR at `phi`, the median of the draws; None when thin.
        base_lr_interval: Its 90 % interval.
        base_lr_at_limit: Whether `base_lr` is as high as was tried there, so that a higher one may be better still.
        no_effect: Probability that phi has no effect with the LR at its best; see `analysis.surface.flatness`.
        phi_near: Smallest and largest phi whose profile is, in the median draw, within `delta` of the best.
        noise: Standard deviation between seeds (fit); 0 when the workload is deterministic.
        expected: The objective (in its own units) to expect at (`phi`, `base_lr`); None when thin.
        expected_interval: Its 90 % interval.
        grid: phi grid, shape (g,).
        profile: Objective at each phi with LR at its best, median draw, in its own units, shape (g,).
        profile_band: 5 % and 95 % of it, shape (2, g).
        excess: Profile less its lowest point (fit), median draw, shape (g,).
        excess_band: 5 % and 95 % of it, shape (2, g).
        best_base_lr: Median best base LR at each phi, shape (g,).
        cosine_excess: Excess of phi = 2 (fit): (median, 5 %, 95 %); None when thin, outside the range or not UBA's.
        log_phi_draws: Draws of log phi*, shape (s,); those at an end of the grid mean "there or beyond".
        log_mean_lr_draws: Draws of the log mean LR at `phi`, shape (s,).
        fit: The fitted surface; None when thin.
    """

    shape: Shape | None
    verdict: Verdict
    points: int
    delta: float = RELATIVE_TOLERANCE
    phi: float | None = None
    phi_interval: tuple[float, float] | None = None
    bootstrap_interval: tuple[float, float] | None = None
    base_lr: float | None = None
    base_lr_interval: tuple[float, float] | None = None
    base_lr_at_limit: bool = False
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
    cosine_excess: tuple[float, float, float] | None = None
    log_phi_draws: Array = field(default_factory=partial(np.empty, 0))
    log_mean_lr_draws: Array = field(default_factory=partial(np.empty, 0))
    fit: Fit | None = None

    def excess_at(self, phi: float) -> float:
        """What choosing `phi` costs against the best phi (fit), with LR at its best for each; NaN when thin."""
        if not len(self.grid):
            return float("nan")
        return float(np.interp(np.log(phi), np.log(self.grid), self.excess))

    def regret(self, phi: float, base_lr: float) -> float:
        """What (`phi`, `base_lr`) costs against the best of the mean surface (fit).

        NaN when thin, and where the base LR is higher than any that went well there: the surface knows no cliffs.
        """
        if self.fit is None or self.shape is None:
            return float("nan")
        log_phi = np.array([np.clip(np.log(phi), np.log(self.shape.low), np.log(self.shape.high))])
        if np.log(base_lr) > np.interp(log_phi[0], np.log(self.grid), np.log(self.fit.highest_tried)) + EDGE:
            return float("nan")
        at = np.array([[log_phi[0], np.log(base_lr) + self.shape.log_mean(log_phi)[0]]])
        return max(float(gp.predict(self.fit.data, self.fit.mode, at)[0][0]) - self.fit.lowest, 0.0)

    @property
    def second_opinion_differs(self) -> bool:
        """Whether the bootstrap's interval of phi* and the posterior's have nothing in common."""
        if self.phi_interval is None or self.bootstrap_interval is None:
            return False
        (a, b), (c, d) = self.phi_interval, self.bootstrap_interval
        return b < c or d < a
