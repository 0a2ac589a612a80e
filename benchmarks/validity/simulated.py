"""Coverage of every interval of a cell, and of the verdict that φ does not matter, over simulated cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.validity.surfaces import PHI_RANGE, REPLICATES, Landscape, log_mean, search
from phitune.analysis.surface.cell_surface import RELATIVE_TOLERANCE, CellSurface
from phitune.analysis.surface.fit import fit_surface

# Not flat: over the range of φ, quality varies by this many times what counts as equal.
CLEARLY = 2.0


@dataclass(frozen=True)
class Outcome:
    """One simulated cell.

    Attributes:
        truth: What is known of it.
        surface: What the analysis said.
        covered: By interval (phi, base_lr, expected): whether it held the truth. Empty where there is no number.
        loss: Excess of the recommended (φ, base LR) over the optimum, as a ratio less one.
    """

    truth: Landscape
    surface: CellSurface
    covered: dict[str, bool]
    loss: float

    @property
    def tolerance(self) -> float:
        """What counts as equal there."""
        return max(RELATIVE_TOLERANCE, 2.0 * self.truth.noise / math.sqrt(REPLICATES))

    @property
    def clearly_not_flat(self) -> bool:
        ends = self.truth.profile(np.log(np.array(PHI_RANGE)))
        return bool(ends.max() > CLEARLY * self.tolerance)


def one(seed: int, flat: bool = False) -> Outcome:
    """Simulate a cell and analyse it."""
    rng = np.random.default_rng([seed, int(flat)])
    land = Landscape.random(rng, flat)
    surface = fit_surface(search(land, rng), PHI_RANGE, seed=seed)
    if surface.phi is None or surface.base_lr is None:
        return Outcome(land, surface, {}, math.nan)
    log_phi = math.log(surface.phi)
    loss = math.expm1(land.loss(log_phi, math.log(surface.base_lr) + log_mean(log_phi)))
    known = {
        "phi": (math.exp(land.log_phi), surface.phi_interval),
        "base_lr": (math.exp(land.best_log_lr(log_phi) - log_mean(log_phi)), surface.base_lr_interval),
        "expected": (1.0 + loss, surface.expected_interval),
    }
    covered = {name: pair[0] <= value <= pair[1] for name, (value, pair) in known.items() if pair is not None}
    return Outcome(land, surface, covered, loss)


def summary(outcomes: list[Outcome], flats: list[Outcome]) -> dict[str, float]:
    """Coverage by interval; how often a flat cell is called flat, and one that clearly is not; losses."""
    scored = [o for o in outcomes if o.covered]
    shares = {f"{name} covered": float(np.mean([o.covered[name] for o in scored])) for name in scored[0].covered}
    widths = [math.log(o.surface.phi_interval[1] / o.surface.phi_interval[0]) for o in scored if o.surface.phi_interval]
    shares["median width of log phi"] = float(np.median(widths))
    shares["no number"] = float(np.mean([not o.covered for o in outcomes]))
    steep = [o.surface.verdict == "flat" for o in scored if o.clearly_not_flat]
    shares["not flat called flat"] = float(np.mean(steep)) if steep else math.nan
    shares["flat called flat"] = (
        float(np.mean([o.surface.verdict == "flat" for o in flats if o.covered])) if flats else math.nan
    )
    shares["loss within 2 %"] = float(np.mean([o.loss < 0.02 for o in scored]))
    shares["loss within 5 %"] = float(np.mean([o.loss < 0.05 for o in scored]))
    return shares
