"""Words for every verdict of the computation."""

from dataclasses import replace
from typing import get_args

import pytest

from phitune.analysis.answers.budget_model import BudgetModel, SlopeVerdict
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.family_choice import FamilyVerdict
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.verdicts import family_reason, slope_reason

LEAD = Gain(3.0, (1.0, 5.0), 0.99)


@pytest.mark.parametrize(
    ("verdict", "lead", "reason"),
    [
        (
            "uba not completed",
            None,
            "{best} is expected to be the best of the families compared; UBA has none completed",
        ),
        ("uba best", None, "UBA is expected to be the best"),
        ("uba beaten", LEAD, "{best} is expected to be the best, ahead of UBA by +3 % [+1, +5]"),
        (
            "uba beaten",
            replace(LEAD, interval=(-1.0, 5.0), probability=0.85),
            "{best} is expected to be the best, ahead of UBA by +3 % [-1, +5], which is likely",
        ),
        (
            "uba beaten",
            replace(LEAD, interval=(-1.0, 5.0), probability=0.7),
            "{best} is expected to be the best, ahead of UBA by +3 % [-1, +5], which is not told from zero",
        ),
        ("uba equal", LEAD, "UBA; {best} is expected to be ahead by +3 % [+1, +5], less than what counts as equal"),
    ],
)
def test_the_reason_for_a_family(
    guidelines: Guidelines, verdict: FamilyVerdict, lead: Gain | None, reason: str
) -> None:
    cell = replace(guidelines.cells[0], family_verdict=verdict, lead_over_uba=lead)
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
