"""Recommendations where no cell was searched: between budgets, beyond them, and for a workload never searched."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from phitune.analysis.answers.budget_model import NORMAL_90, BudgetModel
from phitune.analysis.answers.file import Cell, GuidelinesFile
from phitune.analysis.answers.numbers import percent
from phitune.analysis.answers.recommendation import Evidence, Recommendation
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, from_dict

# Where no slope could be fitted, it may be anything like this (standard deviation), and extrapolation says so.
UNKNOWN_SLOPE_SD = 0.5


def between(cells: Sequence[Cell], steps: int, file: GuidelinesFile, cautions: Sequence[list[str]]) -> Recommendation:
    """Interpolated between the nearest usable budgets on either side.

    Args:
        cells: A workload's, one optimizer, by budget.
        steps: The budget asked for, in iterations.
        file: Where they are from.
        cautions: What each cell does not settle.
    """
    usable = [c for c in cells if c.get("base_lr") is not None and c.get("schedule")]
    used = [c for c in usable if c["budget"] < steps][-1:] + [c for c in usable if c["budget"] > steps][:1]
    if not used:
        raise InputError(
            f"--budget: no trial completed at any budget of {cells[0]['label']}; search it with more trials"
        )
    names = " and ".join(str(c["budget"]) for c in used)
    warnings = [f"interpolated between the budgets searched ({names}); {steps} iterations were not searched themselves"]
    if len(used) == 1:
        warnings[0] = f"taken from the budget {names}, the only usable one next to {steps} iterations"
    weight = 0.0
    if len(used) == 2:
        weight = math.log(steps / used[0]["budget"]) / math.log(used[1]["budget"] / used[0]["budget"])
    families = {str(c["family"]) for c in used}
    with_phi = all(c.get("phi") is not None and c.get("uba_base_lr") is not None for c in used)
    if len(families) > 1 and with_phi:
        warnings.append(f"the neighbours disagree on the family ({', '.join(sorted(families))}); UBA is given")
        families = {"uba"}
    if families == {"uba"} and with_phi:
        model = file.model("phi", str(cells[0]["label"]), str(cells[0]["optimizer"]))
        chosen, base_lr = _interpolated_uba(used, weight, steps, model)
        intervals = _hull(c.get("phi_interval") for c in used), _hull(c.get("uba_base_lr_interval") for c in used)
    else:
        nearest = used[round(weight)] if len(used) == 2 else used[0]
        chosen = from_dict(nearest["schedule"])
        same = [c for c in used if c["family"] == nearest["family"]]
        base_lr = float(nearest["base_lr"])
        if len(same) == 2:
            base_lr = math.exp(_mix([math.log(c["base_lr"]) for c in same], weight))
        intervals = None, _hull(c.get("base_lr_interval") for c in same)
    for cell, told in zip(cells, cautions, strict=True):
        warnings += [f"at {cell['budget']} iterations: {text}" for text in told if cell in used]
    metrics = [c.get("expected_metric") for c in used]
    metric = None if None in metrics else _mix([float(m) for m in metrics if m is not None], weight)
    return _answer(str(cells[0]["label"]), used, steps, file, chosen, base_lr, intervals, warnings, metric)


def beyond(cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """Extrapolated along the workload's trends, with the interval that this leaves."""
    label, optimizer = str(cells[0]["label"]), str(cells[0]["optimizer"])
    budgets = [int(c["budget"]) for c in cells]
    nearest = cells[0] if steps < budgets[0] else cells[-1]
    phi, lr = (file.model(quantity, label, optimizer) for quantity in ("phi", "mean_lr"))
    if phi is None or lr is None:
        raise InputError(
            f"--budget: {steps} iterations lie outside the evidence for {label} with {optimizer}, which covers "
            f"{budgets[0]} to {budgets[-1]}, and no trend was found to go beyond it; search that budget first"
        )
    ratio = steps / nearest["budget"]
    far = f"{ratio:.3g} times the largest" if ratio > 1 else f"1/{1 / ratio:.3g} of the smallest"
    warnings = [f"extrapolated: {steps} iterations are {far} budget searched ({nearest['budget']})"]
    warnings += [_trend_caution(model) for model in (phi, lr) if model.kind == "constant"]
    if nearest.get("family") not in (None, "uba"):
        warnings.append(f"{nearest['family']} is recommended at {nearest['budget']} iterations; UBA has the trend")
    return _along(phi, lr, label, cells, nearest, steps, file, warnings)


def for_new_workload(workload: str, cells: Sequence[Cell], steps: int, file: GuidelinesFile) -> Recommendation:
    """What the workloads searched have in common.

    Args:
        workload: Its name.
        cells: All workloads' cells, one optimizer.
        steps: The budget asked for, in iterations.
        file: Where they are from.
    """
    optimizer = str(cells[0]["optimizer"])
    phi, lr = (file.model(quantity, None, optimizer) for quantity in ("phi", "mean_lr"))
    if phi is None or lr is None:
        known = ", ".join(sorted({str(c["label"]) for c in cells}))
        raise InputError(
            f"--workload: no evidence for {workload!r} with {optimizer}, and too little on others ({known}) to say "
            "anything of a new one"
        )
    count = len({c["label"] for c in cells})
    warnings = [
        f"{workload!r} was not searched: this is what {count} other workloads have in common, and the interval is that "
        "of a new one; search it if you can"
    ]
    lost = (file.validation.get("leave_workload_out") or {}).get("regret")
    if lost:
        warnings.append(
            "workloads left out in turn and predicted from the others ended "
            f"{percent(lost['median'])} % worse than their best in the median, {percent(lost['worst'])} % at worst"
        )
    budgets = [int(c["budget"]) for c in cells]
    if not min(budgets) <= steps <= max(budgets):
        warnings.append(f"extrapolated: the budgets searched are {min(budgets)} to {max(budgets)} iterations")
    cells = [c for c in cells if c.get("phi") is not None]
    nearest = min(cells, key=lambda c: abs(math.log(c["budget"] / steps)))
    return _along(phi, lr, workload, cells, nearest, steps, file, warnings)


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
    budgets = [float(c["budget"]) for c in cells]
    distance = math.log(max(steps / max(budgets), min(budgets) / steps, 1.0))
    (log_phi, phi_sd), (log_lr, lr_sd) = (_extended(model, steps, distance) for model in (phi, lr))
    chosen = from_dict({**(nearest.get("uba_schedule") or {"family": "uba"}), "phi": math.exp(log_phi)})
    # The trend is of base LR × mean of the profile alone.
    log_base = log_lr - math.log(chosen.profile_mean)
    intervals = _around(log_phi, phi_sd), _around(log_base, lr_sd)
    return _answer(label, cells, steps, file, chosen, math.exp(log_base), intervals, warnings, None)


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
    what = "phi" if model.quantity == "phi" else "the mean LR"
    return f"no trend of {what} on the budget is known ({model.reason}); it is held constant, with a wider interval"


def _answer(
    label: str,
    used: Sequence[Cell],
    steps: int,
    file: GuidelinesFile,
    chosen: Schedule,
    base_lr: float,
    intervals: tuple[tuple[float, float] | None, tuple[float, float] | None],
    warnings: list[str],
    metric: float | None,
) -> Recommendation:
    return Recommendation(
        workload=label,
        optimizer=str(used[0]["optimizer"]),
        budget=steps,
        family=chosen.family,
        phi=float(chosen.to_dict()["phi"]) if chosen.family == "uba" else None,
        phi_interval=intervals[0],
        base_lr=base_lr,
        base_lr_interval=intervals[1],
        expected_metric=metric,
        evidence=Evidence.of(used, file.source),
        warnings=tuple(warnings),
        schedule=chosen,
    )


def _interpolated_uba(
    used: Sequence[Cell], weight: float, steps: int, model: BudgetModel | None
) -> tuple[Schedule, float]:
    """phi from the trend if it has a slope, else linear in log budget; the *mean* LR is what is interpolated."""
    log_phi = _mix([math.log(c["phi"]) for c in used], weight)
    intervals = _hull(c["phi_interval"] for c in used)
    if model is not None and model.kind == "log-linear":
        log_phi = model.predict(steps)[0]
        if intervals is not None:
            log_phi = min(max(log_phi, math.log(intervals[0])), math.log(intervals[1]))
    shape = used[0].get("uba_schedule") or {"family": "uba"}
    chosen = from_dict({**shape, "phi": math.exp(log_phi)})
    best = [from_dict({**(c.get("uba_schedule") or {"family": "uba"}), "phi": c["phi"]}) for c in used]
    means = [math.log(c["uba_base_lr"] * b.mean(c["budget"])) for c, b in zip(used, best, strict=True)]
    return chosen, math.exp(_mix(means, weight)) / chosen.mean(steps)


def _around(mean: float, sd: float) -> tuple[float, float]:
    return math.exp(mean - NORMAL_90 * sd), math.exp(mean + NORMAL_90 * sd)


def _mix(values: list[float], weight: float) -> float:
    return values[0] if len(values) == 1 else (1.0 - weight) * values[0] + weight * values[1]


def _hull(intervals: Iterable[Any]) -> tuple[float, float] | None:
    """The smallest interval that holds all; None if any is unknown."""
    pairs = list(intervals)
    if not pairs or any(p is None for p in pairs):
        return None
    return float(min(p[0] for p in pairs)), float(max(p[1] for p in pairs))
