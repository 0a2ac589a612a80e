"""Trends, curvature and validation in plain words."""

import math
from typing import Any

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.answers.numbers import number, percent
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.verdicts import slope_reason

QUANTITIES = {"phi": "φ*", "mean_lr": "the mean LR that goes with φ*"}
PREDICTORS = {"lambda_max": "the largest Hessian eigenvalue λ_max", "kappa": "the condition number κ of the Hessian"}
LEFT_OUT = {"leave_workload_out": "Workload left out", "leave_largest_budget_out": "Largest budget left out"}


def model_lines(guidelines: Guidelines) -> list[str]:
    """A line for each model of φ* and of the mean LR against the budget, and for each curvature tried as predictor."""
    return [_model_line(model) for model in guidelines.models] + _curvature_lines(guidelines.curvature)


def validation_lines(guidelines: Guidelines) -> list[str]:
    """The cost of recommendations for cells that were left out; a line for each kind and unit."""
    return [_validation_line(name, score) for name, score in _scores(guidelines)]


def warning_lines(guidelines: Guidelines) -> list[str]:
    """Warnings that the guideline was not shown to beat φ = 2; empty where it was."""
    lines = []
    for name, score in _scores(guidelines):
        gain = score.get("gain_over_constant")
        if score["n"] and gain is None:
            lines.append(f"{name}: whether the guideline beats φ = 2 (cosine) cannot be told from under two workloads.")
        if gain is None or gain["low"] > 0:
            continue
        verdict = "does worse than" if gain["high"] < 0 else "is not shown to beat"
        lines.append(
            f"{name}: the guideline {verdict} φ = 2 (cosine) with the same mean LR: "
            f"{percent(gain['mean'], plus=True)} % [{percent(gain['low'], plus=True)}, "
            f"{percent(gain['high'], plus=True)}] of {_whole(score)}."
        )
    return lines


def _scores(guidelines: Guidelines) -> list[tuple[str, dict[str, Any]]]:
    """Each kind of validation by name; twice where the objective crosses zero in some of its cells."""
    scores = [(name, guidelines.validation.get(key, {"n": 0})) for key, name in LEFT_OUT.items()]
    return [(name, part) for name, score in scores for part in (score, score.get("of_spread")) if part is not None]


def _model_line(model: BudgetModel) -> str:
    subject = f"{model.workload} with {model.optimizer}" if model.workload else f"A new workload with {model.optimizer}"
    quantity = QUANTITIES[model.quantity]
    if model.kind == "none" or model.intercept is None:
        return f"{subject}: no trend of {quantity} ({slope_reason(model)})."
    low, high = (number(v) for v in model.interval(model.reference_budget))
    middle = f"{number(math.exp(model.intercept))} [{low}, {high}] at {model.reference_budget:.0f} iterations"
    if model.kind == "constant":
        return f"{subject}: {quantity} is {middle}, whatever the budget; {slope_reason(model)}."
    slope = f"{model.slope:.2f}"
    if model.slope_interval:
        slope += f" [{model.slope_interval[0]:.2f}, {model.slope_interval[1]:.2f}]"
    return f"{subject}: {quantity} goes like T to the power {slope}, {middle}; {slope_reason(model)}."


def _curvature_lines(curvature: dict[str, Any]) -> list[str]:
    lines = []
    for name, check in curvature.items():
        if check["gain"] is None:
            reason = f"measured in {check['workloads']} workload(s), too few to try it"
            lines.append(f"Whether {PREDICTORS[name]} predicts φ* of a new workload is unknown: {reason}.")
            continue
        verdict = "helps to predict" if check["helps"] else "is not shown to help to predict"
        lines.append(
            f"{PREDICTORS[name]} {verdict} φ* of a workload left out "
            f"(held-out log density {check['gain']:+.2g}, {check['workloads']} workloads)."
        )
    return lines


def _validation_line(name: str, score: dict[str, Any]) -> str:
    if not score["n"]:
        return f"{name}: not enough cells to check."
    rivals = [
        f"{label} {percent(score[key]['median'])} %"
        for key, label in (
            ("constant_phi", "φ = 2 with the same mean LR"),
            ("cosine", "cosine at its own best LR"),
            ("linear", "linear"),
            ("rex", "REX"),
        )
        if score.get(key)
    ]
    return (
        f"{name} ({score['regret']['n']} cells): the recommended φ and base LR are, in the median, "
        f"{percent(score['regret']['median'])} % (worst {percent(score['regret']['worst'])} %) worse than "
        f"the best known there; "
        f"{', '.join(rivals)}."
        f"{'' if score.get('relative', True) else f' Per cent of {_whole(score)}.'}"
    )


def _whole(score: dict[str, Any]) -> str:
    """What the per cents of a validation are of."""
    if score.get("relative", True):
        return "the objective"
    return "the spread of its better trials, as it crosses zero"
