"""What the recommendations cost where they were not fitted: a workload left out, the largest budget left out.

Costs are read off the left-out cell's own fitted surface at the recommended phi and base LR - not at the best LR for
that phi - and given as regret against the cell's oracle: the best that any family reached there. The others get more
help: cosine, linear and REX stand at their own best LR in the very cell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.surface.cell_surface import CellSurface
from phitune.analysis.surface.shapes import COSINE_PHI
from phitune.analysis.trends.cell_draws import Gathered
from phitune.analysis.trends.fit import Trend, fit_trend
from phitune.analysis.trends.hierarchy import Form, Round

RIVALS = ("cosine", "linear", "rex")

# Workload, optimizer, budget.
CellName = tuple[str, str, int]
# Log phi and log mean LR of each cell.
Predicted = dict[CellName, tuple[float, float]]


@dataclass(frozen=True)
class Fold:
    """Cells left out, and what they are predicted from.

    Attributes:
        new: Whether they are predicted as a new workload's cells.
        targets: Their workloads, optimizers and budgets.
        rest: What the other cells say of `QUANTITIES`.
        begun: The first rounds of their trends, as far as they are known.
    """

    new: bool
    targets: tuple[CellName, ...]
    rest: tuple[Gathered, ...]
    begun: tuple[Mapping[Form, Round], ...]


@dataclass(frozen=True)
class LeftOut:
    """One cell, predicted from others. Regrets are per cent of the objective above the cell's oracle; None: unknown.

    Attributes:
        workload: Its label.
        optimizer: Its name.
        budget: In iterations.
        phi: Recommended phi.
        base_lr: Recommended base LR.
        own_phi: The cell's own phi*.
        own_base_lr: The base LR that goes with it.
        regret: Of UBA at the recommended phi and base LR; None where that LR is higher than any that went well there.
        constant_phi: Of phi = 2 at the base LR recommended for it (the same mean LR).
        rivals: Of cosine, linear and REX, each at its own best LR in the cell.
    """

    workload: str
    optimizer: str
    budget: int
    phi: float
    base_lr: float
    own_phi: float
    own_base_lr: float
    regret: float | None
    constant_phi: float | None
    rivals: dict[str, float | None]


def folds(cells: Sequence[CellGuideline], surfaces: Sequence[CellSurface], trends: Sequence[Trend]) -> list[Fold]:
    """Each workload left out; each workload's largest budget left out. None where nothing is left to predict from.

    Args:
        cells: All cells.
        surfaces: Theirs.
        trends: Of `QUANTITIES`, fitted to all cells whose surface says anything; none if there are no such.
    """
    known = [c for c, s in zip(cells, surfaces, strict=True) if s.log_phi_draws.size]
    labels = np.array([c.label for c in known])
    # Cells come by budget, so the largest is what stays.
    largest = {(c.label, c.optimizer): c.budget for c in known}
    last = np.array([largest[c.label, c.optimizer] == c.budget for c in known], dtype=np.bool_)
    found = [_fold(known, trends, labels == label, new=True) for label in sorted(set(labels))]
    found.append(_fold(known, trends, last, new=False))
    return [fold for fold in found if fold.targets]


def _fold(known: Sequence[CellGuideline], trends: Sequence[Trend], out: NDArray[np.bool_], new: bool) -> Fold:
    rest = [c for c, gone in zip(known, out, strict=True) if not gone]
    optimizers, groups = {c.optimizer for c in rest}, {(c.label, c.optimizer) for c in rest}
    targets = [
        (c.label, c.optimizer, c.budget)
        for c, gone in zip(known, out, strict=True)
        if gone and (c.optimizer in optimizers if new else (c.label, c.optimizer) in groups)
    ]
    if not targets:
        return Fold(new, (), (), ())
    # Without the largest budgets it is another study: its trends are fitted from the start.
    begun = tuple(t.begun(~out) if new else {} for t in trends)
    return Fold(new, tuple(targets), tuple(t.gathered.take(~out) for t in trends), begun)


def predicted(fold: Fold) -> Predicted:
    """Each left-out cell's log phi and log mean LR, from the others: as a new workload's, or a known one's."""
    phis, lrs = (
        fit_trend(gathered, draws=1, begun=begun) for gathered, begun in zip(fold.rest, fold.begun, strict=True)
    )
    asked = {cell: (cell[1], None if fold.new else cell[0]) for cell in fold.targets}
    models = {pair: (phis.model(*pair), lrs.model(*pair)) for pair in set(asked.values())}
    return {
        cell: (models[pair][0].predict(cell[2])[0], models[pair][1].predict(cell[2])[0]) for cell, pair in asked.items()
    }


def scored(
    cells: Sequence[CellGuideline], surfaces: Sequence[CellSurface], found: Sequence[tuple[Fold, Predicted]]
) -> dict[str, Any]:
    """What the predictions cost.

    Returns:
        For `leave_workload_out` and `leave_largest_budget_out` a mapping of n, median and worst regrets, the gain over
        phi = 2 with its interval, how many recommended LRs were too high to be scored, and the rows (`LeftOut`).
    """
    of = {(c.label, c.optimizer, c.budget): (c, s) for c, s in zip(cells, surfaces, strict=True)}

    def rows(new: bool) -> list[LeftOut]:
        asked = [item for fold, predictions in found if fold.new == new for item in predictions.items()]
        return [_left_out(*of[cell], *at) for cell, at in asked]

    return {"leave_workload_out": summary(rows(True)), "leave_largest_budget_out": summary(rows(False))}


def summary(rows: Sequence[LeftOut]) -> dict[str, Any]:
    """What the rows say together; regrets in per cent."""
    if not rows:
        return {"n": 0, "note": "not enough cells", "rows": []}
    scored = [r for r in rows if r.regret is not None]
    found: dict[str, Any] = {"n": len(rows), "too_high_lr": len(rows) - len(scored)}
    found["regret"] = _spread([r.regret for r in rows])
    found["constant_phi"] = _spread([r.constant_phi for r in rows])
    found |= {name: _spread([r.rivals.get(name) for r in rows]) for name in RIVALS}
    found["gain_over_constant"] = _gain(scored)
    return found | {"rows": [asdict(r) for r in rows]}


def _left_out(cell: CellGuideline, surface: CellSurface, log_phi: float, log_mean_lr: float) -> LeftOut:
    shape, fit = surface.shape, surface.fit
    assert shape is not None and fit is not None and cell.phi is not None and cell.uba_base_lr is not None
    log_phi = float(np.clip(log_phi, math.log(shape.low), math.log(shape.high)))
    lr, lr_at_2 = (
        math.exp(log_mean_lr - float(shape.log_mean(np.array([at]))[0])) for at in (log_phi, math.log(COSINE_PHI))
    )
    reached = {f.family: float(fit.scale.forward(np.array([f.objective]))[0]) for f in cell.families}
    oracle = min([fit.lowest, *(v for v in reached.values() if math.isfinite(v))])

    def percent(value: float) -> float | None:
        return 100.0 * math.expm1(value - oracle) if math.isfinite(value) else None

    at_2 = surface.regret(COSINE_PHI, lr_at_2) if shape.low <= COSINE_PHI <= shape.high else math.nan
    return LeftOut(
        workload=cell.label,
        optimizer=cell.optimizer,
        budget=cell.budget,
        phi=math.exp(log_phi),
        base_lr=lr,
        own_phi=cell.phi,
        own_base_lr=cell.uba_base_lr,
        regret=percent(fit.lowest + surface.regret(math.exp(log_phi), lr)),
        constant_phi=percent(fit.lowest + at_2),
        rivals={name: percent(reached.get(name, math.nan)) for name in RIVALS},
    )


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if not known.size:
        return None
    return {
        "n": len(known),
        "median": float(np.median(known)),
        "mean": float(known.mean()),
        "worst": float(known.max()),
    }


def _gain(rows: Sequence[LeftOut]) -> dict[str, float] | None:
    """Mean regret of phi = 2 less the guideline's, with a 90 % t interval; every workload has the same weight.

    A workload counts once: its cells are not independent, and a bootstrap over two to five workloads would give
    intervals far too short. None from fewer than two.
    """
    gains: dict[str, list[float]] = {}
    for r in rows:
        if r.constant_phi is not None and r.regret is not None:
            gains.setdefault(r.workload, []).append(r.constant_phi - r.regret)
    means = np.array([np.mean(each) for each in gains.values()])
    if len(means) < 2:
        return None
    mean = float(means.mean())
    half = float(student_t.ppf(0.5 + CONFIDENCE / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    return {"mean": mean, "low": mean - half, "high": mean + half}
