"""The answer for one workload and budget, read from guidelines.json."""

import math
from collections.abc import Sequence
from pathlib import Path

from phitune.analysis.answers import prediction
from phitune.analysis.answers.cell import Cell
from phitune.analysis.answers.file import GuidelinesFile, find
from phitune.analysis.answers.recommendation import Evidence, Recommendation
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict
from phitune.trainables.suggestion import did_you_mean

# Budgets this many times beyond those searched are refused.
FARTHEST = 10.0

__all__ = ["Evidence", "Recommendation", "recommend"]


def recommend(
    workload: str, budget: int | str, optimizer: str | None = None, guidelines: str | Path | None = None
) -> Recommendation:
    """Which schedule and base LR to use.

    Args:
        workload: A label such as "mlp/digits" or "quadratic(kappa=100)"; the name alone if only one such is known. For
            a workload that was not searched the answer is what several others have in common.
        budget: Iterations, or "25%" of the workload's full budget.
        optimizer: Name of the optimizer; by default the only one that was searched, or sgd.
        guidelines: A guidelines.json; by default the newest runs/*/report/guidelines.json that knows the workload.

    Returns:
        The recommendation. Where it is interpolated, extrapolated or transferred, its `warnings` say so.

    Raises:
        InputError: Unknown optimizer, a workload misspelt or about which nothing can be said, a budget more than ten
            times beyond the evidence, no or a damaged guidelines file.
    """
    file, label = find(workload, guidelines)
    cells = file.of(label) if label is not None else list(file.cells)
    optimizer = _known_optimizer(optimizer, cells, label)
    cells = [c for c in cells if c.optimizer == optimizer]
    steps = _steps(budget, cells, label)
    if label is None:
        _require_near(steps, cells, "the workloads searched", optimizer)
        return prediction.for_new_workload(workload, cells, steps, file)
    exact = next((c for c in cells if c.budget == steps), None)
    if exact is not None:
        return _from_cell(exact, file)
    if cells[0].budget < steps < cells[-1].budget:
        return prediction.between(cells, steps, file)
    _require_near(steps, cells, label, optimizer)
    return prediction.beyond(cells, steps, file)


def _known_optimizer(optimizer: str | None, cells: Sequence[Cell], label: str | None) -> str:
    known = sorted({c.optimizer for c in cells})
    if optimizer is None:
        optimizer = known[0] if len(known) == 1 else "sgd"
    if optimizer not in known:
        hint = did_you_mean(optimizer, known)
        where = f" on {label}" if label is not None else ""
        raise InputError(f"--optimizer: no evidence for {optimizer!r}{where};{hint} there is for: {', '.join(known)}")
    return optimizer


def _require_near(steps: int, cells: Sequence[Cell], subject: str, optimizer: str) -> None:
    budgets = sorted({c.budget for c in cells})
    low, high = budgets[0], budgets[-1]
    if not low / FARTHEST <= steps <= high * FARTHEST:
        raise InputError(
            f"--budget: {steps} iterations lie more than {FARTHEST:g} times outside the evidence for {subject} with "
            f"{optimizer}, which covers {low} to {high} (searched: {', '.join(map(str, budgets))}); search that budget "
            "first"
        )


def _steps(budget: int | str, cells: Sequence[Cell], label: str | None) -> int:
    text = str(budget).strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0) or (not percent and number != int(number)):
        raise InputError(f"--budget: {text!r} is not allowed; give whole iterations (300) or a percentage (25%)")
    if not percent:
        return int(number)
    full = next((c.full_budget for c in cells if c.full_budget is not None), None) if label is not None else None
    if full is None:
        subject = label or "a workload that was not searched"
        raise InputError(f"--budget: {text!r} needs the full budget of {subject}, unknown here; give iterations")
    return max(1, round(number / 100.0 * full))


def _from_cell(cell: Cell, file: GuidelinesFile) -> Recommendation:
    if not cell.schedule or cell.base_lr is None:
        raise InputError(
            f"--budget: no trial of {cell.label} with {cell.optimizer} completed at {cell.budget} iterations; "
            "search it with more trials"
        )
    return Recommendation.of(
        cell.label,
        cell.budget,
        from_dict(cell.schedule),
        cell.base_lr,
        [cell],
        file.source,
        intervals={shape.parameter: shape.interval for shape in cell.all_of(cell.family)},
        base_lr_interval=cell.base_lr_interval,
        expected_metric=cell.expected_metric,
        expected=cell.expected,
        warnings=cell.cautions,
        gains=cell.gains_in_words,
    )
