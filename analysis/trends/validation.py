"""What the recommendations cost where they were not fitted: a workload left out, the largest budget left out.

Costs are read off the left-out cell's fitted surface at the recommended value and base LR - not at the best LR for that
value - as regret against the cell's oracle: the best that any family reached there. The rivals have an advantage:
cosine, linear and REX stand at their best LR in that very cell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from phitune.analysis.answers.budget_model import MEAN_LR
from phitune.analysis.families.compare import Comparison
from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.results.table import CellKey
from phitune.analysis.surface import CellSurface
from phitune.analysis.trends.cell_draws import TrendData
from phitune.analysis.trends.fit import Trend, fit_trend
from phitune.analysis.trends.hierarchy import WarmStart
from phitune.analysis.trends.observations import Form

RIVALS = ("cosine", "linear", "rex")
KINDS = ("leave_workload_out", "leave_largest_budget_out")

# By cell: log of each parameter's value and of the mean LR, by quantity.
Predictions = dict[CellKey, dict[str, float]]


@dataclass(frozen=True)
class Fold:
    """Cells left out, and what they are predicted from.

    Attributes:
        new: Whether they are predicted as cells of a new workload.
        targets: Their keys.
        rest: The other cells' data, one for each quantity.
        warm_starts: For the trends of the other cells; empty where there are none.
    """

    new: bool
    targets: tuple[CellKey, ...]
    rest: tuple[TrendData, ...]
    warm_starts: tuple[Mapping[Form, WarmStart], ...]


@dataclass(frozen=True)
class LeftOut:
    """One cell, predicted from others. Regrets are per cent of the objective above the cell's oracle; None: unknown.

    Where the objective crosses zero it has no per cent of its own; they are of the spread of its better trials
    (`analysis.surrogate.scale.Scale.unit`).

    Attributes:
        workload: Its label.
        optimizer: Its name.
        budget: In iterations.
        family: Label of the family.
        parameter: Its searched parameter, of two the first.
        value: Recommended value of the parameter.
        base_lr: Recommended base LR.
        own_value: The cell's own best value.
        own_base_lr: The base LR that goes with it.
        regret: Of the family at the recommended value and base LR.
        usual: What is chosen without a search (`surface.Shape.usual`): the schedule's name and the value.
        constant: Regret of that value at the base LR recommended for it (the same mean LR).
        rivals: Of cosine, linear and REX, each at its best LR in the cell.
        relative: Whether the objective does not cross zero.
    """

    workload: str
    optimizer: str
    budget: int
    family: str
    parameter: str
    value: float
    base_lr: float
    own_value: float
    own_base_lr: float
    regret: float | None
    usual: tuple[str, float] | None
    constant: float | None
    rivals: dict[str, float | None]
    relative: bool


def folds(keys: Sequence[CellKey], surfaces: Sequence[CellSurface], trends: Sequence[Trend]) -> list[Fold]:
    """Each workload left out, then the largest budget of every workload; folds without targets are omitted.

    Args:
        keys: The cells of one family, the budgets of a workload and optimizer in ascending order.
        surfaces: Their surfaces.
        trends: Of each quantity, fitted to all cells with draws; empty if there are none.
    """
    fitted = [key for key, surface in zip(keys, surfaces, strict=True) if surface.log_phi_draws.size]
    labels = np.array([label for label, _, _ in fitted])
    largest = {(label, optimizer): budget for label, optimizer, budget in fitted}
    last = np.array([largest[key[:2]] == key[2] for key in fitted], dtype=np.bool_)
    by_workload = [_fold(fitted, trends, labels == label, new=True) for label in sorted(set(labels))]
    return [fold for fold in (*by_workload, _fold(fitted, trends, last, new=False)) if fold.targets]


def _fold(keys: Sequence[CellKey], trends: Sequence[Trend], left_out: NDArray[np.bool_], new: bool) -> Fold:
    rest = [key for key, out in zip(keys, left_out, strict=True) if not out]
    optimizers, groups = {optimizer for _, optimizer, _ in rest}, {key[:2] for key in rest}
    targets = tuple(
        key
        for key, out in zip(keys, left_out, strict=True)
        if out and (key[1] in optimizers if new else key[:2] in groups)
    )
    if not targets:
        return Fold(new, (), (), ())
    # Without the largest budgets it is another study: its trends are fitted from the start.
    warm_starts = tuple(t.warm_starts(~left_out) if new else {} for t in trends)
    return Fold(new, targets, tuple(t.data.take(~left_out) for t in trends), warm_starts)


def predict(fold: Fold) -> Predictions:
    """Predictions for a fold's targets from the other cells, as cells of a new workload or of one that is known."""
    trends = [
        fit_trend(data, draws=1, warm_starts=starts) for data, starts in zip(fold.rest, fold.warm_starts, strict=True)
    ]
    lines = {key: (key[1], None if fold.new else key[0]) for key in fold.targets}
    models = {line: [trend.model(*line) for trend in trends] for line in set(lines.values())}
    return {key: {m.quantity: m.predict(key[2])[0] for m in models[line]} for key, line in lines.items()}


def score(
    surfaces: Mapping[CellKey, Sequence[CellSurface]],
    comparisons: Mapping[CellKey, Comparison],
    predictions: Sequence[tuple[Fold, Predictions]],
) -> dict[str, Any]:
    """Regret of the predictions.

    Returns:
        For `leave_workload_out` and `leave_largest_budget_out` a mapping of n, median and worst regrets, the gain over
        the usual value with its interval, and the rows (`LeftOut`); see `summary`.
    """

    def rows(new: bool) -> list[LeftOut]:
        items = [item for fold, predicted in predictions if fold.new == new for item in predicted.items()]
        return [_left_out(key, surfaces[key], comparisons[key], at) for key, at in items]

    return dict(zip(KINDS, (summary(rows(new)) for new in (True, False)), strict=True))


def joined(families: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first family's scores, with those of the others by family as `others`; without any, empty summaries.

    Of a family of which not the same was searched in all cells the first counts, that of most cells.
    """
    by_family = dict(reversed(list(zip(families, scores, strict=True))))
    first, *rest = list(dict.fromkeys(families)) or [""]
    main = by_family.get(first, dict.fromkeys(KINDS, summary(())))
    return {kind: {**main[kind], "others": {f: by_family[f][kind] for f in rest}} for kind in KINDS}


def summary(rows: Sequence[LeftOut]) -> dict[str, Any]:
    """The rows and their summary, in per cent of the objective; where it crosses zero in all cells, of the spread.

    Where it crosses zero in some, their summary stands apart, as `of_spread`: per cents of two things have no median.
    """
    if not rows:
        return {"n": 0, "rows": []}
    parts = [part for part in ([r for r in rows if r.relative], [r for r in rows if not r.relative]) if part]
    values = _figures(parts[0]) | ({"of_spread": _figures(parts[1])} if len(parts) == 2 else {})
    return values | {"rows": [asdict(r) for r in rows]}


def _figures(rows: Sequence[LeftOut]) -> dict[str, Any]:
    """The summary of rows whose per cents are of the same."""
    values: dict[str, Any] = {"n": len(rows), "relative": rows[0].relative}
    values |= {name: getattr(rows[0], name) for name in ("family", "parameter", "usual")}
    values["regret"] = _spread([r.regret for r in rows])
    values["constant"] = _spread([r.constant for r in rows])
    values |= {name: _spread([r.rivals.get(name) for r in rows]) for name in RIVALS}
    values["gain_over_constant"] = _gain(rows)
    return values


def _left_out(
    key: CellKey, surfaces: Sequence[CellSurface], comparison: Comparison, predicted: Mapping[str, float]
) -> LeftOut:
    values = {
        shape.parameter: float(np.clip(math.exp(predicted[shape.parameter]), shape.low, shape.high))
        for each in surfaces
        if (shape := each.shape) is not None
    }
    # The first parameter, the other one where it is predicted.
    surface = surfaces[0].beside(values)
    shape, usual = surface.shape, surface.shape.usual if surface.shape is not None else None
    assert shape is not None and surface.belief is not None and surface.phi is not None and surface.base_lr is not None
    value = values[shape.parameter]
    both = np.array([value, value if usual is None else usual[1]])
    lrs = np.exp(predicted[MEAN_LR] - shape.log_mean(np.log(both)))
    own, at_usual = surface.belief.lowest + surface.mean(both, lrs)
    reached = {family: float(np.median(draws)) for family, draws in comparison.fitted.items()}
    oracle = min(reached.values())

    def percent(value: float) -> float | None:
        if not math.isfinite(value):
            return None
        excess = value - oracle
        return max(100.0 * (math.expm1(excess) if comparison.scale.relative else excess), 0.0)

    return LeftOut(
        *key,
        family=shape.family,
        parameter=shape.parameter,
        value=value,
        base_lr=float(lrs[0]),
        own_value=surface.phi,
        own_base_lr=surface.base_lr,
        regret=percent(float(own)),
        usual=usual if usual is None or len(values) == 1 else (f"{usual[0]}, the rest as predicted", usual[1]),
        constant=percent(float(at_usual)) if usual is not None and shape.low <= usual[1] <= shape.high else None,
        rivals={name: percent(reached.get(name, math.nan)) for name in RIVALS},
        relative=comparison.scale.relative,
    )


def _spread(values: Sequence[float | None]) -> dict[str, float] | None:
    finite = np.array([v for v in values if v is not None], dtype=np.float64)
    if not finite.size:
        return None
    return {
        "n": len(finite),
        "median": float(np.median(finite)),
        "mean": float(finite.mean()),
        "worst": float(finite.max()),
    }


def _gain(rows: Sequence[LeftOut]) -> dict[str, float] | None:
    """Mean regret of the usual value less the guideline's, with a 90 % t interval; every workload has the same weight.

    A workload counts once: its cells are not independent, and a bootstrap over two to five workloads would give
    intervals far too short. None from fewer than two.
    """
    gains: dict[str, list[float]] = {}
    for r in rows:
        if r.constant is not None and r.regret is not None:
            gains.setdefault(r.workload, []).append(r.constant - r.regret)
    means = np.array([np.mean(each) for each in gains.values()])
    if len(means) < 2:
        return None
    mean = float(means.mean())
    half = float(student_t.ppf(0.5 + CONFIDENCE / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))
    return {"mean": mean, "low": mean - half, "high": mean + half}
