"""Recommendations where no cell was searched: between budgets, beyond them, and for a workload never searched."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from phitune.analysis.answers.budget_model import NORMAL_90, BudgetModel
from phitune.analysis.answers.cell import Cell, Interval
from phitune.analysis.answers.file import GuidelinesFile
from phitune.analysis.answers.numbers import percent
from phitune.analysis.answers.recommendation import Recommendation
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, from_dict

# Where no slope could be fitted, it may be anything like this (standard deviation), and extrapolation says so.
UNKNOWN_SLOPE_SD = 0.5
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
    families = {str(c.family) for c in used}
    with_phi = all(c.phi is not None and c.uba_base_lr is not None for c in used)
    if len(families) > 1 and with_phi:
        warnings.append(f"the neighbours disagree on the family ({', '.join(sorted(families))}); UBA is given")
        families = {"uba"}
    phi_interval = None
    if families == {"uba"} and with_phi:
        schedule, base_lr = _interpolated_uba(used, weight, steps, file.model("phi", label, optimizer))
        phi_interval = _hull(c.phi_interval for c in used)
        lr_interval = _hull(c.uba_base_lr_interval for c in used)
    else:
        schedule, base_lr, lr_interval = _nearest_family(used, weight)
    metrics = [c.expected_metric for c in used if c.expected_metric is not None]
    return Recommendation.of(
        label,
        steps,
        schedule,
        base_lr,
        used,
        file.source,
        phi_interval=phi_interval,
        base_lr_interval=lr_interval,
        expected_metric=_mix(metrics, weight) if len(metrics) == len(used) else None,
        warnings=[*warnings, *(f"at {c.budget} iterations: {caution}" for c in used for caution in c.cautions)],
    )


def beyond(cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """Extrapolated along the workload's trends, with the interval that they leave.

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
    phi, lr = (file.model(quantity, label, optimizer) for quantity in ("phi", "mean_lr"))
    if phi is None or lr is None:
        raise InputError(
            f"--budget: {steps} iterations lie outside the evidence for {label} with {optimizer}, which covers "
            f"{smallest} to {largest}, and no trend was found to go beyond it; search that budget first"
        )
    ratio = steps / nearest.budget
    far = f"{ratio:.3g} times the largest" if ratio > 1 else f"1/{1 / ratio:.3g} of the smallest"
    warnings = [f"extrapolated: {steps} iterations are {far} budget searched ({nearest.budget})"]
    warnings += [_trend_caution(model) for model in (phi, lr) if model.kind == "constant"]
    if nearest.family not in (None, "uba"):
        warnings.append(f"{nearest.family} is recommended at {nearest.budget} iterations; UBA has the trend")
    return _along(phi, lr, label, cells, nearest, steps, file, warnings)


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
    phi, lr = (file.model(quantity, None, optimizer) for quantity in ("phi", "mean_lr"))
    if phi is None or lr is None:
        raise InputError(
            f"--workload: no evidence for {workload!r} with {optimizer}, and too little on others "
            f"({', '.join(labels)}) to say anything of a new one"
        )
    warnings = [
        f"{workload!r} was not searched: this is what {len(labels)} other workloads have in common, and the interval "
        "is that of a new one; search it if you can"
    ]
    if (regret := file.transfer_regret) is not None:
        warnings.append(
            "workloads left out in turn and predicted from the others ended "
            f"{percent(regret.median)} % worse than their best in the median, {percent(regret.worst)} % at worst"
        )
    budgets = [c.budget for c in cells]
    if not min(budgets) <= steps <= max(budgets):
        warnings.append(f"extrapolated: the budgets searched are {min(budgets)} to {max(budgets)} iterations")
    fitted = [c for c in cells if c.phi is not None]
    nearest = min(fitted, key=lambda c: abs(math.log(c.budget / steps)))
    warnings.append(
        "base LRs do not carry over between workloads: take the schedule's shape from here, and search the LR"
    )
    answer = _along(phi, lr, workload, fitted, nearest, steps, file, warnings)
    return replace(answer, study=_study(workload, optimizer, steps, answer.base_lr, file.source))


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


def _along(
    phi: BudgetModel,
    lr: BudgetModel,
    label: str,
    cells: Sequence[Cell],
    nearest: Cell,
    steps: int,
    file: GuidelinesFile,
    warnings: list[str],
) -> Recommendation:
    """UBA at the trends' phi and mean LR; warmup and floor are those of the nearest cell."""
    budgets = [c.budget for c in cells]
    distance = math.log(max(steps / max(budgets), min(budgets) / steps, 1.0))
    (log_phi, phi_sd), (log_lr, lr_sd) = (_extended(model, steps, distance) for model in (phi, lr))
    schedule = _uba(nearest, math.exp(log_phi))
    # The trend is of base LR × mean of the profile alone.
    log_base = log_lr - math.log(schedule.profile_mean)
    return Recommendation.of(
        label,
        steps,
        schedule,
        math.exp(log_base),
        cells,
        file.source,
        phi_interval=_around(log_phi, phi_sd),
        base_lr_interval=_around(log_base, lr_sd),
        warnings=warnings,
    )


def _extended(model: BudgetModel, steps: int, distance: float) -> tuple[float, float]:
    """Log quantity and its standard deviation; a constant is not taken to hold for ever beyond the budgets searched."""
    mean, sd = model.predict(steps)
    if model.kind == "constant":
        slope_sd = UNKNOWN_SLOPE_SD
        if model.slope_interval is not None:
            slope_sd = max(abs(end) for end in model.slope_interval) / NORMAL_90
        sd = math.hypot(sd, slope_sd * distance)
    return mean, sd


def _trend_caution(model: BudgetModel) -> str:
    quantity = "phi" if model.quantity == "phi" else "the mean LR"
    return f"no trend of {quantity} on the budget is known ({model.reason}); it is held constant, with a wider interval"


def _interpolated_uba(
    used: Sequence[Cell], weight: float, steps: int, model: BudgetModel | None
) -> tuple[Schedule, float]:
    """phi from the trend if it has a slope, else linear in log budget; the *mean* LR is what is interpolated."""
    fits = [(c, c.phi, c.uba_base_lr) for c in used if c.phi is not None and c.uba_base_lr is not None]
    log_phi = _mix([math.log(phi) for _, phi, _ in fits], weight)
    interval = _hull(c.phi_interval for c in used)
    if model is not None and model.kind == "log-linear":
        log_phi = model.predict(steps)[0]
        if interval is not None:
            log_phi = min(max(log_phi, math.log(interval[0])), math.log(interval[1]))
    schedule = _uba(used[0], math.exp(log_phi))
    log_means = [math.log(base_lr * _uba(c, phi).mean(c.budget)) for c, phi, base_lr in fits]
    return schedule, math.exp(_mix(log_means, weight)) / schedule.mean(steps)


def _nearest_family(used: Sequence[Cell], weight: float) -> tuple[Schedule, float, Interval | None]:
    """The nearer cell's schedule; base LR and its interval are interpolated where both cells have that family."""
    nearest = used[round(weight)] if len(used) == 2 else used[0]
    same = [c for c in used if c.family == nearest.family]
    assert nearest.schedule is not None and nearest.base_lr is not None
    base_lr = nearest.base_lr
    if len(same) == 2:
        base_lr = math.exp(_mix([math.log(c.base_lr) for c in same if c.base_lr is not None], weight))
    return from_dict(nearest.schedule), base_lr, _hull(c.base_lr_interval for c in same)


def _uba(cell: Cell, phi: float) -> Schedule:
    """UBA with the cell's warmup, floor and sampling."""
    return from_dict({**(cell.uba_schedule or {"family": "uba"}), "phi": phi})


def _around(mean: float, sd: float) -> Interval:
    return math.exp(mean - NORMAL_90 * sd), math.exp(mean + NORMAL_90 * sd)


def _mix(values: list[float], weight: float) -> float:
    return values[0] if len(values) == 1 else (1.0 - weight) * values[0] + weight * values[1]


def _hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """The smallest interval that holds all; None if any is unknown."""
    ends = list(intervals)
    known = [interval for interval in ends if interval is not None]
    if not known or len(known) < len(ends):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
