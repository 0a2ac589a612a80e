"""The answer for one workload and budget, read from guidelines.json. Light: no pandas, MLflow or SciPy."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phitune.analysis.answers import prediction
from phitune.analysis.answers.file import Cell, GuidelinesFile, find
from phitune.analysis.answers.recommendation import Evidence, Recommendation
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict
from phitune.trainables.suggestion import did_you_mean

FEW_REPLICATES = 3
# Budgets this many times beyond those searched are refused.
FARTHEST = 10.0

__all__ = ["Evidence", "Recommendation", "recommend"]


def recommend(
    workload: str, budget: int | str, optimizer: str = "sgd", guidelines: str | Path | None = None
) -> Recommendation:
    """Which schedule, phi and base LR to use.

    Args:
        workload: A label such as "mlp/digits" or "quadratic(kappa=100)"; the name alone if only one such is known. For
            a workload that was not searched the answer is what several others have in common.
        budget: Iterations, or "25%" of the workload's full budget.
        optimizer: Name of the optimizer.
        guidelines: A guidelines.json; by default the newest runs/*/report/guidelines.json that knows the workload.

    Returns:
        The recommendation. Where it is interpolated, extrapolated or transferred, its `warnings` say so.

    Raises:
        InputError: Unknown optimizer, a workload misspelt or about which nothing can be said, a budget more than ten
            times beyond the evidence, no or a damaged guidelines file.
    """
    file, label = find(workload, guidelines)
    cells = file.of(label) if label is not None else list(file.cells)
    _require_optimizer(optimizer, cells, label)
    cells = [c for c in cells if c["optimizer"] == optimizer]
    steps = _steps(budget, cells, label)
    if label is None:
        _require_near(steps, cells, "the workloads searched", optimizer)
        return prediction.for_new_workload(workload, cells, steps, file)
    exact = [c for c in cells if c["budget"] == steps]
    if exact:
        return _from_cell(exact[0], file)
    if int(cells[0]["budget"]) < steps < int(cells[-1]["budget"]):
        return prediction.between(cells, steps, file, [_cautions(c) for c in cells])
    _require_near(steps, cells, label, optimizer)
    return prediction.beyond(cells, steps, file)


def _require_optimizer(optimizer: str, cells: Sequence[Cell], label: str | None) -> None:
    known = sorted({str(c["optimizer"]) for c in cells})
    if optimizer not in known:
        hint = did_you_mean(optimizer, known)
        where = f" on {label}" if label is not None else ""
        raise InputError(f"--optimizer: no evidence for {optimizer!r}{where};{hint} there is for: {', '.join(known)}")


def _require_near(steps: int, cells: Sequence[Cell], who: str, optimizer: str) -> None:
    budgets = sorted({int(c["budget"]) for c in cells})
    low, high = budgets[0], budgets[-1]
    if not low / FARTHEST <= steps <= high * FARTHEST:
        raise InputError(
            f"--budget: {steps} iterations lie more than {FARTHEST:g} times outside the evidence for {who} with "
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
    full = next((c["full_budget"] for c in cells if c.get("full_budget")), None) if label is not None else None
    if full is None:
        who = label or "a workload that was not searched"
        raise InputError(f"--budget: {text!r} needs the full budget of {who}, unknown here; give iterations")
    return max(1, round(number / 100.0 * float(full)))


def _from_cell(cell: Cell, file: GuidelinesFile) -> Recommendation:
    if not cell.get("schedule") or cell.get("base_lr") is None:
        raise InputError(
            f"--budget: no trial of {cell['label']} with {cell['optimizer']} completed at {cell['budget']} iterations; "
            "search it with more trials"
        )
    chosen = from_dict(cell["schedule"])
    is_uba = chosen.family == "uba"
    return Recommendation(
        workload=str(cell["label"]),
        optimizer=str(cell["optimizer"]),
        budget=int(cell["budget"]),
        family=chosen.family,
        phi=float(cell["schedule"]["phi"]) if is_uba else None,
        phi_interval=_pair(cell.get("phi_interval")) if is_uba else None,
        base_lr=float(cell["base_lr"]),
        base_lr_interval=_pair(cell.get("base_lr_interval")),
        expected_metric=cell.get("expected_metric"),
        evidence=Evidence.of([cell], file.source),
        warnings=tuple(_cautions(cell)),
        schedule=chosen,
    )


def _cautions(cell: Cell) -> list[str]:
    """What the evidence of one cell does not settle, in plain words."""
    verdict, warnings = cell.get("verdict"), []
    if verdict == "thin":
        warnings.append(
            f"too few completed trials ({cell.get('completed', 0)}) to fit phi; this is the best configuration seen, "
            "not an estimate of the best there is"
        )
    elif verdict == "flat":
        warnings.append("phi hardly matters here: the whole range searched is within the tolerance of the best")
    elif verdict == "unclear":
        warnings.append(
            "phi's interval covers most of the range searched: these trials do not locate it; the schedule is the best "
            "one that was replicated"
        )
    elif verdict == "boundary":
        warnings.append("phi's interval touches the end of the range searched; widen space.phi or add trials")
    if cell.get("phi_opinions_differ") and cell.get("phi_bootstrap_interval"):
        low, high = cell["phi_bootstrap_interval"]
        warnings.append(f"resampling the trials puts phi elsewhere ({low:.3g} to {high:.3g}): trust its place less")
    if cell.get("base_lr_at_limit") and cell.get("family") == "uba":
        warnings.append("base LR is as high as was tried there; a higher one may be better: widen space.base_lr")
    if cell.get("comparison_evidence") == "explore":
        warnings.append("no replicates: families were compared on single runs, which flatters the ones tried most")
    elif cell.get("comparison_evidence") == "replicates":
        counts = [f.get("replicates", 0) for f in cell.get("families", [])]
        if counts and min(counts) < FEW_REPLICATES:
            warnings.append(f"only {min(counts)} replicate(s) a finalist: differences between families are uncertain")
    if cell.get("family") not in (None, "uba"):
        warnings.append(f"another family than UBA is recommended: {cell.get('family_reason', cell['family'])}")
    return warnings


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))
