"""Coverage of every interval of a cell, and of the verdict that φ has no effect, over simulated cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.validity.surfaces import BUDGET, PHI_RANGE, Landscape, log_mean, search
from phitune.analysis.families.compare import compare_cell
from phitune.analysis.guidelines.equal import equal_differences
from phitune.analysis.surface import COSINE_PHI, CellFit, CellSurface, PossibleRegret, fit_cells

BUDGETS = (50, 100, 200, 400)
# Not flat: over the range of φ, quality varies by this much and by this many standard deviations of a seed.
CLEARLY, CLEARLY_NOISES = 0.02, 2.4


@dataclass(frozen=True)
class Outcome:
    """One simulated cell.

    Attributes:
        truth: What is known of it.
        surface: What the analysis said of φ.
        covered: By interval (phi, base_lr, expected, gain): whether it held the truth. Empty where there is no number.
        loss: Excess of the recommended (φ, base LR) over the optimum, as a ratio less one.
        foretold: What more trials are said to bring; None if nothing is recommended.
    """

    truth: Landscape
    surface: CellSurface
    covered: dict[str, bool]
    loss: float
    foretold: PossibleRegret | None = None

    @property
    def clearly_not_flat(self) -> bool:
        ends = self.truth.profile(np.log(np.array(PHI_RANGE)))
        return bool(ends.max() > max(CLEARLY, CLEARLY_NOISES * self.truth.noise))


def one(seed: int, flat: bool = False) -> Outcome:
    """Simulate a cell and analyse it."""
    rng = np.random.default_rng([seed, int(flat)])
    return _outcomes({BUDGET: Landscape.random(rng, flat)}, seed, rng)[0]


def several(seed: int) -> list[Outcome]:
    """Simulate a workload at several budgets and analyse its cells together."""
    rng = np.random.default_rng([seed, 2])
    return _outcomes(Landscape.random(rng).at(rng, BUDGETS), seed, rng)


def _outcomes(lands: Mapping[int, Landscape], seed: int, rng: np.random.Generator) -> list[Outcome]:
    table = search(lands, rng)
    cells = {budget: table[table["budget"] == budget] for budget in lands}
    fits = {
        ("simulated", "sgd", budget): fit
        for budget, fit in zip(lands, fit_cells(list(cells.values()), {"phi": PHI_RANGE}, seed), strict=True)
    }
    equal = equal_differences(fits)
    return [_outcome(lands[key[2]], cells[key[2]], fit.judged(equal[key].delta)) for key, fit in fits.items()]


def _outcome(land: Landscape, rows: pd.DataFrame, fit: CellFit) -> Outcome:
    surface = fit.uba
    if surface.phi is None or surface.base_lr is None:
        return Outcome(land, surface, {}, math.nan)

    def log_loss(phi: float, base_lr: float) -> float:
        return land.loss(math.log(phi), math.log(base_lr) + log_mean(math.log(phi)))

    log_phi, log_ratio = math.log(surface.phi), log_loss(surface.phi, surface.base_lr)
    known = {
        "phi": (math.exp(land.log_phi), surface.phi_interval),
        "base_lr": (math.exp(land.best_log_lr(log_phi) - log_mean(log_phi)), surface.base_lr_interval),
        "expected": (math.exp(log_ratio), surface.expected_interval),
    }
    uba, cosine = (compare_cell(rows, fit).get(family) for family in ("uba", "cosine"))
    if uba is not None and cosine is not None:
        gain = -100.0 * math.expm1(log_ratio - log_loss(COSINE_PHI, cosine.base_lr))
        known["gain over cosine"] = (gain, uba.gains["cosine"].interval)
    covered = {name: pair[0] <= value <= pair[1] for name, (value, pair) in known.items() if pair is not None}
    foretold = PossibleRegret.of(fit.bests["uba"].fitted, fit.optimum, fit.scale, 0.0) if fit.optimum else None
    return Outcome(land, surface, covered, math.expm1(log_ratio), foretold)


def summary(outcomes: list[Outcome], flats: list[Outcome]) -> dict[str, float]:
    """Coverage by interval; how often a flat cell is called flat, and one that clearly is not; losses."""
    scored = [o for o in outcomes if o.covered]
    names = dict.fromkeys(name for o in scored for name in o.covered)
    shares = {
        f"{name} covered": float(np.mean([o.covered[name] for o in scored if name in o.covered])) for name in names
    }
    widths = [math.log(o.surface.phi_interval[1] / o.surface.phi_interval[0]) for o in scored if o.surface.phi_interval]
    shares["median width of log phi"] = float(np.median(widths))
    shares["no number"] = float(np.mean([not o.covered for o in outcomes]))
    steep = [o.surface.verdict == "flat" for o in scored if o.clearly_not_flat]
    shares["not flat called flat"] = float(np.mean(steep)) if steep else math.nan
    shares["flat called flat"] = (
        float(np.mean([o.surface.verdict == "flat" for o in flats if o.covered])) if flats else math.nan
    )
    # A regret is a share of what is recommended, a loss of the lowest.
    regrets = [(o.foretold, -100.0 * math.expm1(-math.log1p(o.loss))) for o in scored if o.foretold]
    shares["regret within its 90 %"] = float(np.mean([true <= told.most for told, true in regrets]))
    shares["loss within 2 %"] = float(np.mean([o.loss < 0.02 for o in scored]))
    shares["loss within 5 %"] = float(np.mean([o.loss < 0.05 for o in scored]))
    return shares
