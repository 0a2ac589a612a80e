"""Verdicts of the computation in plain words."""

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.answers.numbers import percent
from phitune.analysis.guidelines import CellGuideline
from phitune.analysis.report.words.gains import comparison_basis, no_evidence
from phitune.analysis.trends import MIN_BUDGETS_FOR_SLOPE


def family_reason(cell: CellGuideline) -> str:
    """Why the cell's family is recommended."""
    if cell.family_verdict == "none completed":
        return "no trial completed"
    best, lead, basis = cell.families[0].family, cell.lead_over_uba, comparison_basis(cell)
    match cell.family_verdict:
        case "uba diverged":
            return f"{best} is the best of the families compared; UBA's best trial diverged on a fresh seed"
        case "uba not completed":
            return f"{best} is the best of the families compared; UBA has none completed"
        case "uba best":
            return f"UBA has the best mean ({basis})"
        case "uba unclear":
            return f"{best} has the best mean ({basis}), and UBA's φ is unclear"
        case "single runs":
            return f"{best} has the best single run; too little evidence to tell it from UBA"
    assert lead is not None
    if cell.family_verdict == "uba beaten":
        seeds = "no seed noise" if lead.evidence == "exact" else f"{lead.n} fresh seeds, paired"
        return f"{best} beats UBA by {percent(lead.percent)} % ({seeds})"
    doubt = f" ({no_evidence(lead)})" if lead.interval is None else ", which is within the uncertainty"
    return f"UBA; {best} is ahead by {percent(lead.percent)} %{doubt}"


def slope_reason(model: BudgetModel) -> str:
    """Why a trend is a line or a constant."""
    match model.verdict:
        case "no cell":
            return "no cell gives a φ* that could be fitted"
        case "few budgets":
            return (
                f"a slope needs {MIN_BUDGETS_FOR_SLOPE} budgets of a workload at which φ* is located; "
                f"there are {model.located_budgets}"
            )
        case "separate slopes":
            return "a line for each workload alone predicts left-out cells better than common ones"
        case "no better than constant":
            return "a slope does not predict left-out cells better than a constant"
        case "interval contains zero":
            return "the slope's 90 % interval contains zero"
        case "slope":
            return "a slope predicts left-out cells better than a constant"
    return model.reason
