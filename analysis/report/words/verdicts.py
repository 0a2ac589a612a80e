"""Verdicts of the computation in plain words."""

from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.guidelines import CellGuideline
from phitune.analysis.report.words.gains import gain_text
from phitune.analysis.trends import MIN_BUDGETS_FOR_SLOPE


def family_reason(cell: CellGuideline) -> str:
    """Why the cell's family is recommended."""
    if cell.family_verdict == "none completed":
        return "no trial completed"
    best, lead = cell.families[0].family, cell.lead_over_uba
    match cell.family_verdict:
        case "uba not completed":
            uba = "; UBA has none completed" if cell.of("uba") is not None else ""
            return f"{best} is expected to be the best of the families compared{uba}"
        case "uba best":
            return "UBA is expected to be the best"
        case "uba equal":
            return f"UBA; {best} is expected to be ahead by {gain_text(lead)}, less than what counts as equal"
    sure = lead.sureness if lead is not None else "cannot tell"
    doubt = {"clear": "", "likely": ", which is likely", "cannot tell": ", which is not told from zero"}[sure]
    return f"{best} is expected to be the best, ahead of UBA by {gain_text(lead)}{doubt}"


def slope_reason(model: BudgetModel) -> str:
    """Why a trend is a line or a constant."""
    of_phi = (model.family, model.parameter) == ("uba", "phi")
    article, best = ("", "φ*") if of_phi else ("the ", "best value")
    match model.verdict:
        case "no cell":
            return f"no cell gives a {best} that could be fitted"
        case "few budgets":
            return (
                f"a slope needs {MIN_BUDGETS_FOR_SLOPE} budgets of a workload at which {article}{best} is located; "
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
