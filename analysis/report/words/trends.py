"""Trends, curvature and validation in plain words."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from phitune.analysis.answers.budget_model import MEAN_LR, BudgetModel
from phitune.analysis.answers.configuration import hull
from phitune.analysis.answers.numbers import number, percent
from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.parameters import optimum, usual_text
from phitune.analysis.report.words.verdicts import slope_reason

PREDICTORS = {"lambda_max": "the largest Hessian eigenvalue λ_max", "kappa": "the condition number κ of the Hessian"}
LEFT_OUT = {"leave_workload_out": "Workload left out", "leave_largest_budget_out": "Largest budget left out"}
# Per cent: an interval that is wider says nothing, whatever its figures.
TOO_WIDE = 100.0


def model_lines(guidelines: Guidelines) -> list[str]:
    """A line for each model against the budget, and for each curvature tried as predictor."""
    lines, main = [_model_line(model, guidelines.cells) for model in guidelines.models], guidelines.main
    return lines if main is None else lines + _curvature_lines(guidelines.curvature, optimum(*main))


def validation_lines(guidelines: Guidelines) -> list[str]:
    """The cost of recommendations for cells that were left out; a line for each kind, family and unit."""
    lines = []
    for key, name in LEFT_OUT.items():
        scores = _scores(guidelines, key)
        lines += [_validation_line(_subject(name, each, scores), each) for each in scores]
    return lines


def warning_lines(guidelines: Guidelines) -> list[str]:
    """Warnings that a guideline was not shown to beat the value chosen without a search; empty where it was."""
    lines = []
    for key, name in LEFT_OUT.items():
        scores = _scores(guidelines, key)
        for score in scores:
            gain, subject = score.get("gain_over_constant"), _subject(name, score, scores)
            usual = score.get("usual")
            if usual is None:
                continue
            rival = usual_text(score["parameter"], usual)
            if gain is None or (score["relative"] and gain["high"] - gain["low"] > TOO_WIDE):
                few = "under two" if gain is None else len({row["workload"] for row in score["rows"]})
                lines.append(f"{subject}: whether the guideline beats {rival} cannot be told from {few} workloads.")
            elif gain["low"] <= 0:
                verdict = "does worse than" if gain["high"] < 0 else "is not shown to beat"
                lines.append(
                    f"{subject}: the guideline {verdict} {rival} with the same mean LR: "
                    f"{percent(gain['mean'], plus=True)} % [{percent(gain['low'], plus=True)}, "
                    f"{percent(gain['high'], plus=True)}] of {_whole(score)}."
                )
    return lines


def _scores(guidelines: Guidelines, kind: str) -> list[dict[str, Any]]:
    """The validation of each family, the main one's first; twice where the objective crosses zero in some cells."""
    first = guidelines.validation.get(kind, {"n": 0})
    families = [first, *(each for each in first.get("others", {}).values() if each["n"])]
    return [part for each in families for part in (each, each.get("of_spread")) if part is not None]


def _subject(name: str, score: dict[str, Any], scores: list[dict[str, Any]]) -> str:
    """The kind of validation, with the family where there are several."""
    several = len({each.get("family") for each in scores}) > 1
    return f"{name}, {score['family']}" if several and score["n"] else name


def _model_line(model: BudgetModel, cells: Sequence[CellGuideline]) -> str:
    subject = f"{model.workload} with {model.optimizer}" if model.workload else f"A new workload with {model.optimizer}"
    best = optimum(model.family, model.parameter)
    quantity = f"the mean LR that goes with {best}" if model.quantity == MEAN_LR else best
    if model.kind == "none" or model.intercept is None:
        return f"{subject}: no trend of {quantity} ({slope_reason(model)})."
    values = np.array([math.exp(model.intercept), *model.interval(model.reference_budget)])
    of = [shape.searched for c in cells for shape in c.all_of(model.family) if shape.parameter == model.quantity]
    if model.kind == "constant" and (searched := hull(of)):
        # What is held constant does not leave what was searched.
        values = np.clip(values, *searched)
    middle = "{} [{}, {}]".format(*map(number, values)) + f" at {model.reference_budget:.0f} iterations"
    if model.kind == "constant":
        return f"{subject}: {quantity} is {middle}, whatever the budget; {slope_reason(model)}."
    slope = f"{model.slope:.2f}"
    if model.slope_interval:
        slope += f" [{model.slope_interval[0]:.2f}, {model.slope_interval[1]:.2f}]"
    return f"{subject}: {quantity} goes like T to the power {slope}, {middle}; {slope_reason(model)}."


def _curvature_lines(curvature: dict[str, Any], best: str) -> list[str]:
    lines = []
    for name, check in curvature.items():
        if check["gain"] is None:
            reason = f"measured in {check['workloads']} workload(s), too few to try it"
            lines.append(f"Whether {PREDICTORS[name]} predicts {best} of a new workload is unknown: {reason}.")
            continue
        verdict = "helps to predict" if check["helps"] else "is not shown to help to predict"
        lines.append(
            f"{PREDICTORS[name]} {verdict} {best} of a workload left out "
            f"(held-out log density {check['gain']:+.2g}, {check['workloads']} workloads)."
        )
    return lines


def _validation_line(name: str, score: dict[str, Any]) -> str:
    if not score["n"]:
        return f"{name}: not enough cells to check."
    rivals = [
        f"{label} {percent(score[key]['median'])} %"
        for key, label in (("cosine", "cosine at its own best LR"), ("linear", "linear"), ("rex", "REX"))
        if score.get(key)
    ]
    if score["constant"]:
        usual = f"{usual_text(score['parameter'], score['usual'])} with the same mean LR"
        rivals.insert(0, f"{usual} {percent(score['constant']['median'])} %")
    return (
        f"{name} ({score['regret']['n']} cells): the recommended {symbol(score['parameter'])} and base LR are, in the "
        f"median, {percent(score['regret']['median'])} % (worst {percent(score['regret']['worst'])} %) worse than "
        f"the best known there; "
        f"{', '.join(rivals)}."
        f"{'' if score.get('relative', True) else f' Per cent of {_whole(score)}.'}"
    )


def _whole(score: dict[str, Any]) -> str:
    """What the per cents of a validation are of."""
    if score.get("relative", True):
        return "the objective"
    return "the spread of its better trials, as it crosses zero"
