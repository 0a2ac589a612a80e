"""How far the recorded truth can be trusted: surfaces through one half of the runs against those through the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Curves, Setting
from benchmarks.quality.smooth import Places, Smooth, places

# Places at which the halves are compared, a family without φ and a side of a family's plane.
_GRID = 61
_SPLITS = 4


@dataclass(frozen=True)
class Disagreement:
    """Of two halves of the runs, as shares of the loss.

    Attributes:
        choice: Expected loss of the place that is best by one half, above the least there is by the other half.
        surface: Root mean square of the difference of the surfaces near the optimum, their mean difference taken out:
            regret does not depend on the level. Near: within 10 % of the best, or 2 % for a range of 1.1 times the
            best.
    """

    choice: float
    surface: float

    def within(self, goal: float) -> bool:
        """Whether both are at most so much."""
        return max(self.choice, self.surface) <= goal

    def __str__(self) -> str:
        return f"halves of them differ by {self.choice:.2%} in the loss of the optimum, {self.surface:.2%} near it"


def expected(setting: Setting, curves: Curves, point: int = -1) -> Smooth:
    """The surface of final losses of raw weights, [m, 1]."""
    at = places(setting.cell(), curves.family, curves.phi, curves.base_lr)
    return Smooth(at, curves.log_loss()[:, point, :1], setting.scale)


def disagreement(setting: Setting, curves: Curves) -> Disagreement:
    """Of halves with half of the configurations each; root mean squares over a few splits."""
    family = np.unique(curves.family, return_inverse=True)[1]
    keys = np.column_stack([curves.base_lr, np.nan_to_num(curves.phi), family])
    configuration = np.unique(keys, axis=0, return_inverse=True)[1]
    grid = _grid(setting)
    choices, surfaces = [], []
    for split in range(_SPLITS):
        side = (np.random.default_rng(split).permutation(configuration.max() + 1) % 2)[configuration]
        one, other = (expected(setting, curves.part(side == i))(grid)[:, 0] for i in range(2))
        choices += [above[below.argmin()] - above.min() for above, below in ((one, other), (other, one))]
        mean = (one + other) / 2
        near = mean <= mean.min() + 0.1 * setting.scale
        surfaces.append((one - other)[near].std())
    choice, surface = (float(np.sqrt(np.mean(np.square(each)))) for each in (choices, surfaces))
    return Disagreement(math.expm1(choice), math.expm1(surface))


def _grid(setting: Setting) -> Places:
    """All families over their ranges."""
    cell = setting.cell()
    labels: list[str] = []
    phis: list[float] = []
    lrs: list[float] = []
    for space in cell.families:
        base_lr = np.geomspace(*cell.base_lr, _GRID)
        phi = space.searched.get("phi")
        values = np.array([math.nan]) if phi is None else np.geomspace(phi.low, phi.high, _GRID)
        labels += [space.label] * (len(values) * _GRID)
        phis += np.repeat(values, _GRID).tolist()
        lrs += np.tile(base_lr, len(values)).tolist()
    return places(cell, labels, np.array(phis), np.array(lrs))
