"""Words for every verdict of the computation."""

from dataclasses import replace
from typing import get_args

import pytest

from phitune.analysis.answers.budget_model import BudgetModel, SlopeVerdict
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.family_choice import FamilyVerdict
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.verdicts import family_reason, slope_reason

LEAD = Gain(3.0, (1.0, 5.0), 3, 0.99, "replicates")


@pytest.mark.parametrize(
    ("verdict", "lead", "reason"),
    [
        (
            "uba diverged",
            None,
            "{best} is the best of the families compared; UBA's best trial diverged on a fresh seed",
        ),
        ("uba not completed", None, "{best} is the best of the families compared; UBA has none completed"),
        ("uba best", None, "UBA has the best mean (2 fresh seeds)"),
        ("uba unclear", None, "{best} has the best mean (2 fresh seeds), and UBA's φ is unclear"),
        ("uba beaten", LEAD, "{best} beats UBA by 3 % (3 fresh seeds, paired)"),
        ("uba beaten", replace(LEAD, evidence="exact"), "{best} beats UBA by 3 % (no seed noise)"),
        ("single runs", LEAD, "{best} has the best single run; too little evidence to tell it from UBA"),
        ("within uncertainty", LEAD, "UBA; {best} is ahead by 3 %, which is within the uncertainty"),
        (
            "within uncertainty",
            replace(LEAD, interval=None, evidence="explore"),
            "UBA; {best} is ahead by 3 % (single runs, no evidence)",
        ),
    ],
)
def test_the_reason_for_a_family(
    guidelines: Guidelines, verdict: FamilyVerdict, lead: Gain | None, reason: str
) -> None:
    cell = next(c for c in guidelines.cells if c.comparison_evidence == "replicates")
    cell = replace(cell, family_verdict=verdict, lead_over_uba=lead)
    assert family_reason(cell) == reason.format(best=cell.families[0].family)


def test_the_reason_for_a_slope_names_the_verdict() -> None:
    models = [
        BudgetModel("phi", "w", "sgd", "constant", pooled=True, verdict=verdict, located_budgets=3)
        for verdict in get_args(SlopeVerdict)
    ]
    reasons = [slope_reason(model) for model in models]
    assert len(set(reasons)) == len(reasons)
    assert "a slope needs 4 budgets of a workload at which φ* is located; there are 3" in reasons
    assert slope_reason(BudgetModel("phi", "w", "sgd", "constant", pooled=True, reason="as written")) == "as written"
