"""What counts as equal: a difference worth a few per cent of the budget, or a small part of the seeds' noise."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phitune.analysis.results.table import CellKey
from phitune.analysis.surface import CellFit

# Of the budget, unless the study says otherwise.
SHARE = 0.03
# Part of the standard deviation between seeds that nobody would notice.
OF_NOISE = 0.1
LEAST = 1e-4
# Where one budget was searched, so that nothing is known of what iterations are worth.
LEAST_ALONE = 2e-3


@dataclass(frozen=True)
class Equal:
    """What counts as equal in a cell.

    Attributes:
        delta: Difference on the fitting scale.
        budget_share: What that is worth, as a share of the budget; None where one budget was searched or quality does
            not improve with it.
    """

    delta: float
    budget_share: float | None


def equal_differences(fits: Mapping[CellKey, CellFit], share: float = SHARE) -> dict[CellKey, Equal]:
    """What counts as equal in each cell.

    The best expected objectives of neighbouring budgets of a workload and optimizer give a local slope in ln T.

    Args:
        fits: What each cell's trials say.
        share: Share of the budget whose worth counts as nothing.
    """
    out = {}
    for key, fit in fits.items():
        budgets = sorted(k[2] for k in fits if k[:2] == key[:2] and fits[k].bests)
        noise = OF_NOISE * fit.noise if math.isfinite(fit.noise) else 0.0
        slope = _slope(key, budgets, fits) if key[2] in budgets else None
        if slope is None:
            out[key] = Equal(max(noise, LEAST_ALONE), None)
            continue
        delta = max(share * slope, noise, LEAST)
        out[key] = Equal(delta, delta / slope if slope > 0 else None)
    return out


def _slope(key: CellKey, budgets: list[int], fits: Mapping[CellKey, CellFit]) -> float | None:
    """Fall of the best expected objective per unit of ln T on the cell's own scale; None with one budget."""
    i = budgets.index(key[2])
    near = budgets[max(i - 1, 0) : i + 2]
    at = [fits[(*key[:2], budget)] for budget in near]
    values = fits[key].scale.forward([each.scale.inverse(each.lowest) for each in at])
    if len(near) < 2 or not np.isfinite(values).all():
        return None
    return abs(float(values[-1] - values[0])) / math.log(near[-1] / near[0])
