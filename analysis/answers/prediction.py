"""Recommendations where no cell was searched: between budgets, beyond them, and for a workload never searched."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from phitune.analysis.answers.budget_model import MEAN_LR, BudgetModel
from phitune.analysis.answers.cell import Cell
from phitune.analysis.answers.configuration import (
    Configuration,
    along,
    followed,
    hull,
    interpolated,
    kept,
    mix,
    nearest_family,
)
from phitune.analysis.answers.file import GuidelinesFile, Trend
from phitune.analysis.answers.numbers import percent
from phitune.analysis.answers.recommendation import Recommendation
from phitune.trainables.errors import InputError

# The best LR of a new workload may be this many times higher or lower than that of others (benchmarks/NOTES.md).
UNKNOWN_LR = 20.0


def between(cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """Interpolated between the nearest usable budgets on either side.

    Args:
        cells: All cells of one workload and optimizer, by budget.
        steps: The budget to answer for, in iterations.
        file: The file that the cells are from.

    Raises:
        InputError: No trial completed at any budget.
    """
    label, optimizer = cells[0].label, cells[0].optimizer
    usable = [c for c in cells if c.base_lr is not None and c.schedule]
    used = [c for c in usable if c.budget < steps][-1:] + [c for c in usable if c.budget > steps][:1]
    if not used:
        raise InputError(f"--budget: no trial completed at any budget of {label}; search it with more trials")
    names = " and ".join(str(c.budget) for c in used)
    warnings = [f"interpolated between the budgets searched ({names}); {steps} iterations were not searched themselves"]
    if len(used) == 1:
        warnings[0] = f"taken from the budget {names}, the only usable one next to {steps} iterations"
    weight = 0.0
    if len(used) == 2:
        weight = math.log(steps / used[0].budget) / math.log(used[1].budget / used[0].budget)
    nearest = used[round(weight)] if len(used) == 2 else used[0]
    families = {str(c.family) for c in used}
    # Where the neighbours disagree on the family, one whose best value both have located can be interpolated.
    agreed = len(families) == 1
    candidates = [str(nearest.family)] if agreed else [str(nearest.family), *sorted(families), "uba"]
    family = next((each for each in candidates if _comparable(used, each, located=not agreed)), None)
    if not agreed:
        given = _name(family or str(nearest.family))
        warnings.append(f"the neighbours disagree on the family ({', '.join(sorted(families))}); {given} is given")
    if family is not None:
        shapes = [shape for c in used if (shape := c.of(family)) is not None]
        # A line through what was located nowhere says nothing here either.
        trend = file.trend(family, label, optimizer, nearest.budget) if _located_in(used, family) else None
        answer = interpolated(used, shapes, weight, steps, trend)
    else:
        answer = nearest_family(used, nearest, weight)
    metrics = [c.expected_metric for c in used if c.expected_metric is not None]
    metric = mix(metrics, weight) if len(metrics) == len(used) else None
    return _recommendation(
        answer,
        label,
        steps,
        used,
        file,
        [*warnings, *(f"at {c.budget} iterations: {caution}" for c in used for caution in c.cautions)],
        metric,
        nearest.metric_in_words(metric),
    )


def beyond(cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """Extrapolated along the trend of the family recommended at the nearest budget, with the interval that it leaves.

    Where no budget has located that family's best value, its schedule is kept, and only the mean LR follows a trend.

    Args:
        cells: All cells of one workload and optimizer, by budget.
        steps: The budget to answer for, in iterations.
        file: The file that the cells are from.

    Raises:
        InputError: No trend was found.
    """
    label, optimizer = cells[0].label, cells[0].optimizer
    smallest, largest = cells[0].budget, cells[-1].budget
    nearest = cells[0] if steps < smallest else cells[-1]
    found = _trend([nearest.family, *_by_count(cells)], file, label, optimizer, nearest.budget)
    if found is None or nearest.schedule is None or nearest.base_lr is None:
        raise InputError(
            f"--budget: {steps} iterations lie outside the evidence for {label} with {optimizer}, which covers "
            f"{smallest} to {largest}, and no trend was found to go beyond it; search that budget first"
        )
    family, trend = found
    ratio = steps / nearest.budget
    far = f"{ratio:.4g} times the largest" if ratio > 1 else f"1/{1 / ratio:.4g} of the smallest"
    warnings = [f"extrapolated: {steps} iterations are {far} budget searched ({nearest.budget})"]
    if family == nearest.family and _located_in(cells, family):
        answer, models = along(trend, family, cells, nearest, steps), [trend.mean_lr, *followed(trend, family, cells)]
    else:
        warnings.append(f"no trend of the schedule is known, so that of {nearest.budget} iterations is kept")
        answer, models = kept(nearest, steps, trend.mean_lr), [trend.mean_lr]
    warnings += [_trend_caution(model) for model in models if model.kind == "constant"]
    return _recommendation(answer, label, steps, cells, file, warnings)


def for_new_workload(workload: str, cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """The answer for a workload that was never searched: what the workloads searched have in common.

    Args:
        workload: Its name.
        cells: All workloads' cells, one optimizer.
        steps: The budget to answer for, in iterations.
        file: The file that the cells are from.

    Raises:
        InputError: Too few workloads were searched to say anything of a new one.
    """
    optimizer, labels = cells[0].optimizer, sorted({c.label for c in cells})
    families = [family for family in _by_count(cells) if _located_in(cells, family)]
    found = _trend(families, file, None, optimizer)
    if found is None:
        raise InputError(
            f"--workload: no evidence for {workload!r} with {optimizer}, and too little on others "
            f"({', '.join(labels)}) to say anything of a new one"
        )
    family, trend = found
    warnings = [
        f"{workload!r} was not searched: this is what {len(labels)} other workloads have in common, and the interval "
        "is that of a new one; search it if you can"
    ]
    if (regret := file.transfer_regrets.get(family)) is not None:
        warnings.append(
            "workloads left out in turn and predicted from the others ended "
            f"{percent(regret.median)} % worse than their best in the median, {percent(regret.worst)} % at worst"
        )
    budgets = [c.budget for c in cells]
    if not min(budgets) <= steps <= max(budgets):
        warnings.append(f"extrapolated: the budgets searched are {min(budgets)} to {max(budgets)} iterations")
    fitted = [c for c in cells if (shape := c.of(family)) is not None and shape.fitted]
    nearest = min(fitted, key=lambda c: abs(math.log(c.budget / steps)))
    warnings.append(
        "base LRs do not carry over between workloads: take the schedule's shape from here, and search the LR"
    )
    answer = along(trend, family, fitted, nearest, steps)
    searched = hull(shape.searched for c in fitted if (shape := c.of(family)) is not None)
    parameter = trend.value.quantity
    if searched is not None and answer.intervals.get(parameter) == searched:
        warnings.insert(
            0,
            f"these workloads do not tell which {parameter} a new one needs: its interval is all that was searched",
        )
    advice = _recommendation(answer, workload, steps, fitted, file, warnings)
    return replace(advice, study=_study(workload, optimizer, steps, answer.base_lr, file.source))


def _study(workload: str, optimizer: str, steps: int, base_lr: float, source: str) -> str:
    """The study file that searches a workload's LR, guided by the studies of others."""
    # Functions make their optimizer, and say nothing of their budget and LRs.
    function = ":" in workload
    low, high = (float(f"{base_lr * factor:.2g}") for factor in (1.0 / UNKNOWN_LR, UNKNOWN_LR))
    own = {"name": workload, "full_budget": steps, "base_lr": [low, high]}
    values = {
        "name": "new",
        "workloads": [own if function else workload],
        **({} if function else {"optimizers": [optimizer]}),
        "budgets": [steps],
        "trials": 12,
        "warm_start": [source],
    }
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def _recommendation(
    answer: Configuration,
    label: str,
    steps: int,
    cells: Sequence[Cell],
    file: GuidelinesFile,
    warnings: Sequence[str],
    expected_metric: float | None = None,
    expected: str = "",
) -> Recommendation:
    return Recommendation.of(
        label,
        steps,
        answer.schedule,
        answer.base_lr,
        cells,
        file.source,
        intervals=answer.intervals,
        base_lr_interval=answer.base_lr_interval,
        expected_metric=expected_metric,
        expected=expected,
        warnings=warnings,
    )


def _by_count(cells: Sequence[Cell]) -> list[str]:
    """Families by the number of cells that recommend them, then UBA, then all others with a searched parameter."""
    recommended = [family for family, _ in Counter(c.family for c in cells if c.family is not None).most_common()]
    return list(dict.fromkeys([*recommended, "uba", *(shape.family for c in cells for shape in c.shapes)]))


def _trend(
    families: Iterable[str | None], file: GuidelinesFile, workload: str | None, optimizer: str, near: int | None = None
) -> tuple[str, Trend] | None:
    """The first of some families that has a trend, and that; None if none has."""
    for family in families:
        trend = file.trend(family, workload, optimizer, near)
        if family is not None and trend is not None:
            return family, trend
    return None


def _trend_caution(model: BudgetModel) -> str:
    quantity = "the mean LR" if model.quantity == MEAN_LR else model.quantity
    held = "it is held constant, and its interval allows for a trend"
    return f"no trend of {quantity} on the budget is known ({model.reason}); {held}"


def _comparable(cells: Sequence[Cell], family: str, located: bool) -> bool:
    """Whether the same parameters of a family were searched in all cells, and the first one's best value is known."""
    parameters = {tuple(shape.parameter for shape in c.all_of(family)) for c in cells}
    first = [c.of(family) for c in cells]
    return len(parameters) == 1 and all(s is not None and (s.located if located else s.fitted) for s in first)


def _located_in(cells: Sequence[Cell], family: str) -> bool:
    """Whether a parameter of a family was located in any cell."""
    return any(shape.located for c in cells for shape in c.all_of(family))


def _name(family: str) -> str:
    return "UBA" if family == "uba" else family
