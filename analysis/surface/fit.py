"""What the trials say of each cell: each family's best configuration, and the best values of shape parameters.

Assumptions: on the fitting scale (`surrogate.scale`) quality is a smooth function of the schedule and the LR, with
Gaussian trial noise; sampling may depend on observed results but on nothing else. The intervals' coverage is tested by
simulation (`benchmarks.validity`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.surface.cell_surface import EDGE, CellSurface
from phitune.analysis.surface.cell_trials import CellTrials
from phitune.analysis.surface.flatness import probability_of_no_effect
from phitune.analysis.surface.group_belief import GroupBelief, subset
from phitune.analysis.surface.posterior_draws import Best, PosteriorDraws
from phitune.analysis.surface.regret import Optimum
from phitune.analysis.surface.shapes import Shape
from phitune.analysis.surrogate.scale import Scale

Array = NDArray[np.float64]

MIN_POINTS = 10
MIN_COMPLETED = 5
# The least range of the schedules' area, in units of its spread; that of 0.5 in log phi.
MIN_SPREAD = 0.25
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class FamilyBest:
    """A family's best configuration in a cell.

    Attributes:
        family: The family's label.
        schedule: As `trainables.schedules.from_dict` reads it.
        base_lr: Base LR.
        base_lr_interval: 90 % interval of the best base LR of that schedule.
        fitted: Draws of the objective on the fitting scale, shape (s,), the same draws for all families.
    """

    family: str
    schedule: dict[str, Any]
    base_lr: float
    base_lr_interval: tuple[float, float]
    fitted: Array


@dataclass(frozen=True)
class CellFit:
    """What the trials say of a cell.

    Attributes:
        bests: Of each family with a completed trial; empty if there is none.
        surfaces: By family and parameter, of each family of which one or two parameters were searched.
        scale: From the objective to the fitting scale.
        noise: Standard deviation between seeds on it.
        groups: Of each family, the one whose surface it lies on: its own, or for cosine UBA's.
        optimum: Draws of the best of all families; None if there is none.
        mixed: See `CellTrials.mixed`.
    """

    bests: dict[str, FamilyBest]
    surfaces: dict[tuple[str, str], CellSurface]
    scale: Scale
    noise: float
    groups: dict[str, str]
    optimum: Optimum | None = None
    mixed: frozenset[str] = frozenset()

    @property
    def uba(self) -> CellSurface:
        """UBA's surface over phi."""
        return self.surfaces.get(("uba", "phi"), CellSurface(None, "thin", 0))

    @property
    def lowest(self) -> float:
        """The best family's expected objective on the fitting scale; NaN without one."""
        return min((float(np.median(best.fitted)) for best in self.bests.values()), default=float("nan"))

    def judged(self, delta: float) -> "CellFit":
        """The fit with verdicts, given what counts as equal."""
        return replace(self, surfaces={key: each.judged(delta) for key, each in self.surfaces.items()})


def fit_cell(cell: pd.DataFrame, ranges: Mapping[str, tuple[float, float]] | None = None, seed: int = 0) -> CellFit:
    """Fit one cell by its own trials; see `fit_cells`."""
    return fit_cells([cell], ranges, seed)[0]


def fit_cells(
    cells: Sequence[pd.DataFrame], ranges: Mapping[str, tuple[float, float]] | None = None, seed: int = 0
) -> list[CellFit]:
    """Fit the cells of one workload and optimizer together.

    Args:
        cells: Of each its rows of the results table (`analysis.results`).
        ranges: The ranges searched, by parameter or by `label.parameter`; by default those of each family's trials.
        seed: Of the posterior draws; the same rows and seed give the same answer.

    Returns:
        What the trials say of each cell. A surface is "thin" when none of the family's trials in the cell completed,
        under ten of the cell say something, under five completed, or their schedules are hardly different.
    """
    trials = [CellTrials.of(cell, ranges) for cell in cells]
    known = [each for each in trials if each.lines]
    if not known:
        return [_nothing(each) for each in trials]
    rng = np.random.default_rng(seed)
    group = GroupBelief(known, rng)
    labels = dict.fromkeys(label for each in known for label in each.shapes if label in each.lines)
    no_effect = {label: _no_effect(group, label, rng) for label in labels}
    fits = iter([_fit(group, index, no_effect, rng) for index in range(len(known))])
    return [next(fits) if each.lines else _nothing(each) for each in trials]


def _nothing(trials: CellTrials) -> CellFit:
    thin = {(s.family, s.parameter): CellSurface(s, "thin", 0) for shapes in trials.shapes.values() for s in shapes}
    return CellFit({}, thin, Scale("linear"), float("nan"), trials.group)


def _no_effect(group: GroupBelief, label: str, rng: np.random.Generator) -> float:
    """The probability that none of a family's parameters has an effect, by the trials of all budgets."""
    own = group.on_surface(label)
    # A few trials of the family show nothing by themselves; other families' are schedules, too.
    data = group.evidence.data.take(own) if len(own) >= MIN_POINTS else group.evidence.data
    return probability_of_no_effect(subset(data, rng), group.evidence.priors)


def _fit(group: GroupBelief, index: int, no_effect: Mapping[str, float], rng: np.random.Generator) -> CellFit:
    belief, trials = PosteriorDraws(group, index, rng), group.cells[index]
    own = belief if len(group.cells) == 1 else PosteriorDraws(group.alone(index, rng), 0, rng)
    surfaces: dict[tuple[str, str], CellSurface] = {}
    bests = dict(belief.bests)
    enough = _enough(trials, group.evidence.rows[group.rows(index)] - group.first(index))
    for family, shapes in trials.shapes.items():
        points = len(group.rows(index, family))
        thin = not enough or family not in bests
        for shape in shapes:
            surfaces[family, shape.parameter] = (
                CellSurface(shape, "thin", points) if thin else _surface(belief, own, shape, points, no_effect[family])
            )
        if not thin:
            others = [f for f, kin in trials.group.items() if kin == family != f and f in bests]
            _mixed(bests, family, others, no_effect[family], rng)
    bests_of = {family: _family_best(family, best, belief.lowest) for family, best in bests.items()}
    # A family that is another one at a value of its parameter is a point of that one.
    distinct = [f for f in bests if trials.group[f] == f or trials.group[f] not in bests]
    optimum = Optimum.of({family: bests[family].lowest + belief.lowest for family in distinct})
    return CellFit(bests_of, surfaces, belief.scale, belief.noise, trials.group, optimum, trials.mixed)


def _enough(trials: CellTrials, rows: NDArray[np.int64]) -> bool:
    area = trials.outcomes.place[rows, 1]
    completed = int((trials.outcomes.status[rows] == "completed").sum())
    return len(rows) >= MIN_POINTS and completed >= MIN_COMPLETED and bool(np.ptp(area) > MIN_SPREAD)


def _mixed(
    bests: dict[str, Best], family: str, others: list[str], probability: float, rng: np.random.Generator
) -> None:
    """Draws in which the parameter matters as often as that is probable.

    Where it does not, the family is at its best at any value, and the families that are this one at some value of the
    parameter (cosine is UBA) differ from it by their LRs alone: their differences keep the spread and lose the middle.
    """
    best = bests[family]
    draws = len(best.excess)
    share = rng.permutation(draws) < round(probability * draws)
    bests[family] = replace(best, lowest=np.where(share, best.tuned, best.lowest))
    for other in others:
        apart = float(np.median(bests[other].excess - bests[family].excess))
        bests[other] = replace(bests[other], excess=bests[other].excess - apart * share)


def _family_best(family: str, best: Best, lowest: float) -> FamilyBest:
    interval = _interval(best.log_lr_draws, best.log_lr)
    return FamilyBest(family, dict(best.schedule), float(np.exp(best.log_lr)), interval, best.excess + lowest)


def _surface(belief: PosteriorDraws, own: PosteriorDraws, shape: Shape, points: int, probability: float) -> CellSurface:
    key = family, name = shape.family, shape.parameter
    profile, best, alone = belief.profiles[key], belief.bests[family], own.bests[family]
    log_value, log_alone = best.log_values[name], np.array([alone.log_values[name]])
    there = shape.beside({other: float(np.exp(log)) for other, log in alone.log_values.items()})
    scale = belief.scale
    grid = profile.log_value
    excess = np.maximum(profile.excess - best.lowest[:, None], 0.0)
    inverse = np.vectorize(scale.inverse, otypes=[np.float64])
    q05, q50, q95 = inverse(belief.lowest + np.quantile(profile.excess, QUANTILES, axis=0))
    value = np.sort(inverse(belief.lowest + np.quantile(best.excess, [0.05, 0.95])))
    return CellSurface(
        shape=shape.beside({other: float(np.exp(log)) for other, log in best.log_values.items()}),
        verdict="unclear",
        no_effect=probability,
        points=points,
        phi=float(np.exp(log_value)),
        phi_interval=_interval(profile.log_values, log_value),
        base_lr=float(np.exp(best.log_lr)),
        base_lr_interval=_interval(best.log_lr_draws, best.log_lr),
        base_lr_at_limit=bool(best.log_lr > belief.trials.log_lr.max() - EDGE),
        base_lr_lowest=bool(best.log_lr < belief.trials.log_lr.min() + EDGE),
        noise=belief.noise,
        expected=scale.inverse(belief.lowest + float(np.median(best.excess))),
        expected_interval=(float(value[0]), float(value[1])),
        grid=np.exp(grid),
        profile=q50,
        profile_band=np.stack([q05, q95]),
        excess=np.median(excess, axis=0),
        excess_band=np.quantile(excess, [0.05, 0.95], axis=0),
        best_base_lr=np.exp(profile.best_log_lr),
        log_phi_draws=own.profiles[key].log_values,
        log_mean_lr_draws=alone.log_lr_draws + float(there.log_mean(log_alone)[0]),
        belief=belief,
    )


def _interval(logs: Array, chosen: float) -> tuple[float, float]:
    """The 90 % interval of draws of a logarithm, with the value that is recommended."""
    low, high = np.quantile(logs, [0.05, 0.95])
    return float(np.exp(min(low, chosen))), float(np.exp(max(high, chosen)))
