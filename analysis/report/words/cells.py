"""The summary table in plain words, a row a cell."""

from phitune.analysis.answers.numbers import budget_share, number, with_interval
from phitune.analysis.answers.recommendation import beside_phi
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.gains import gain_text

VERDICTS = {
    "ok": "φ* found",
    "flat": "no effect of φ seen",
    "boundary": "φ* at the edge",
    "unclear": "φ* unclear",
    "thin": "too few trials",
    "absent": "UBA not searched",
}
HEADS = ("budget", "family", "φ", "base LR", "over cosine", "over linear", "linear's quality in", "verdict")


def units(guidelines: Guidelines) -> str:
    """What gains are measured in."""
    if all(cell.delta_relative for cell in guidelines.cells):
        return "per cent of the objective"
    return "per cent of the objective, or its own units where it crosses zero"


def brackets(guidelines: Guidelines) -> str:
    """How to read the table."""
    return (
        f"Brackets hold 90 % intervals. Gains are in {units(guidelines)}, positive is better, each family at its own "
        "best LR. “Linear's quality in”: the share of the iterations after which the recommended family is as good as "
        "linear after all of them."
    )


def saved_text(saved: BudgetSaved | None) -> str:
    """Share of the iterations in which a family reaches the baseline's quality; "–" if unknown."""
    if saved is None or saved.percent is None:
        return "–"
    sign = {"less than": "< ", "more than": "> ", None: ""}[saved.bound]
    text = f"{sign}{number(saved.percent)} %"
    if saved.interval is None:
        return text
    low, high = ("?" if end is None else number(end) for end in saved.interval)
    return f"{text} [{low}, {high}]"


def summary_table(guidelines: Guidelines) -> list[dict[str, str]]:
    """The answers, a row a cell: `workload`, `optimizer` and the columns of `HEADS`, all as text."""
    savings = {
        (s.workload, s.optimizer, s.budget, s.family): s
        for s in guidelines.comparisons.budget_saved
        if s.baseline == "linear"
    }
    return [
        {
            "workload": c.label,
            "optimizer": c.optimizer,
            **_row(c, savings.get((c.label, c.optimizer, c.budget, c.family or ""))),
        }
        for c in guidelines.cells
    ]


def _row(cell: CellGuideline, saved: BudgetSaved | None) -> dict[str, str]:
    phi = "no effect seen" if cell.verdict == "flat" else with_interval(cell.phi, cell.phi_interval)
    gains = {
        f"over {base}": "itself" if cell.family == base else gain_text(cell.gains.get(base))
        for base in ("cosine", "linear")
    }
    return {
        "budget": f"{cell.budget}{budget_share(cell.budget, cell.full_budget)}",
        "family": f"{cell.family or '–'}{beside_phi(cell.schedule)}",
        "φ": phi if cell.family in ("uba", None) or cell.phi is None else f"(uba: {phi})",
        "base LR": with_interval(cell.base_lr, cell.base_lr_interval),
        **gains,
        "linear's quality in": "itself" if cell.family == "linear" else saved_text(saved),
        "verdict": VERDICTS[cell.verdict],
    }
