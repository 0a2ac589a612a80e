"""Guidelines in plain words: table rows and sentences for the report and the command line."""

from phitune.analysis.answers.numbers import budget_share, number, with_interval
from phitune.analysis.answers.recommendation import beside_phi
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.gains import gain_text

VERDICTS = {
    "ok": "φ* found",
    "flat": "φ does not matter here",
    "boundary": "φ* at the edge",
    "unclear": "φ* unclear",
    "thin": "too few trials",
    "absent": "UBA not searched",
}
HEADS = ("budget", "family", "φ", "base LR", "over cosine", "over linear", "linear's quality in", "verdict")

BRACKETS = (
    "Brackets hold 90 % intervals. Gains are in per cent of the objective, positive is better; one without an interval "
    "that is marked “no evidence” may be chance alone. “Linear's quality in”: "
    "the share of the iterations after which the recommended family is as good as linear after all of them."
)

METHOD = (
    "Trials are compared only inside a cell: one workload, optimizer and budget. Every budget is its own run, with a "
    "schedule that ends at that budget.",
    "φ* is read off a Gaussian process fitted to the objective (on a log scale) over log φ and log mean LR, from UBA "
    "and cosine trials (cosine is UBA at φ = 2). The LR is put at its best for every φ. Intervals come from functions "
    "drawn from the posterior, over several settings of its hyperparameters.",
    "A trial stopped early enters with its predicted final value and that prediction's uncertainty. A diverged trial "
    "only marks a bad region. Failed trials are left out.",
    "Families are compared by replicates: the family's best trial again with fresh seeds, paired by seed. Where there "
    "are none, single runs are compared, which flatters the families tried most. A single run or one pair of seeds "
    "says nothing of chance: such a difference is shown, marked, and is no evidence.",
    "Budget saved: the baseline's quality at its best LR is a curve over the budgets; a family's quality at T is "
    "looked up on it. It rests on the replicates of both; '?' marks an end beyond the budgets searched.",
    "Gains and budget saved belong to the family's best trial, run again; φ and base LR in the table come from the "
    "fitted surface and may differ from that trial's.",
    "UBA has one parameter more than the others and therefore usually more trials. The replicates take away the luck "
    "of the draw, not the advantage of having searched more.",
    "Model-based sampling and early stopping concentrate trials near the best; far from it the bands are wide.",
    "φ* and the mean LR that goes with it are fitted against the budget by a hierarchical model: an intercept and a "
    "slope a workload, partially pooled. Each cell enters with its whole distribution; an optimum at the end of the "
    "range searched is a bound. A slope is claimed only from four budgets on, and only if it predicts left-out cells "
    "better than a constant.",
    "Validation predicts φ and base LR of cells that were left out and reads their cost off the cell's own surface, "
    "against the best that any family reached there. A handful of workloads says little about the next one.",
)


def saved_text(saved: BudgetSaved | None) -> str:
    """The share of the iterations that reach the baseline's quality, "–" if unknown."""
    if saved is None or saved.percent is None:
        return "–"
    sign = {"less than": "< ", "more than": "> ", None: ""}[saved.bound]
    text = f"{sign}{number(saved.percent)} %"
    if saved.interval is None:
        return text
    low, high = ("?" if end is None else number(end) for end in saved.interval)
    return f"{text} [{low}, {high}]"


def summary_table(guidelines: Guidelines) -> list[dict[str, str]]:
    """The answer, one row a cell: workload, optimizer and the columns of `HEADS`, all as text."""
    saved = {(s.workload, s.optimizer, s.budget, s.family): s for s in guidelines.comparisons.budget_saved
             if s.baseline == "linear"}  # fmt: skip
    return [
        {
            "workload": c.label,
            "optimizer": c.optimizer,
            **_answer(c, saved.get((c.label, c.optimizer, c.budget, c.family or ""))),
        }
        for c in guidelines.cells
    ]


def _answer(cell: CellGuideline, saved: BudgetSaved | None) -> dict[str, str]:
    phi = with_interval(cell.phi, cell.phi_interval)
    own = {
        f"over {base}": "itself" if cell.family == base else gain_text(cell.gains.get(base))
        for base in ("cosine", "linear")
    }
    return {
        "budget": f"{cell.budget}{budget_share(cell.budget, cell.full_budget)}",
        "family": f"{cell.family or '–'}{beside_phi(cell.schedule)}",
        "φ": phi if cell.family in ("uba", None) or cell.phi is None else f"(uba: {phi})",
        "base LR": with_interval(cell.base_lr, cell.base_lr_interval),
        **own,
        "linear's quality in": "itself" if cell.family == "linear" else saved_text(saved),
        "verdict": VERDICTS[cell.verdict],
    }


def family_lines(guidelines: Guidelines) -> list[str]:
    """How the families rank, and on what evidence."""
    lines = []
    ranks = guidelines.comparisons.ranks
    if ranks.ranks:
        ranked = ", ".join(f"{family} {rank:.2f}" for family, rank in ranks.ranks.items())
        biased = "; some of them rest on single runs, which flatters families with most trials"
        lines.append(
            f"Average rank over the {ranks.cells} cells that have all families (1 is best"
            f"{biased if ranks.evidence == 'explore' else ''}): {ranked}."
        )
    if ranks.critical_difference is not None and ranks.p_value is not None:
        lines.append(
            f"Friedman's test of all families being equal: p = {ranks.p_value:.2g}; average ranks that differ by less "
            f"than {ranks.critical_difference:.2f} cannot be told apart. Both take cells to be independent, "
            "which budgets of one workload are not, and are too sure."
        )
    elif ranks.why_not:
        lines.append(f"Whether the ranks differ is not tested: {ranks.why_not}.")
    scores = guidelines.comparisons.scores
    if scores.families:
        told = ", ".join(f"{f.family} {with_interval(f.iqm, f.interval)}" for f in scores.families)
        lines.append(
            f"Interquartile mean of the scores over {scores.cells} cells (1: as good as the best; families that are "
            f"equal all fall a little short of 1): {told}."
        )
    else:
        lines.append(f"No scores and performance profiles: {scores.why_not}.")
    chosen = [c for c in guidelines.cells if c.family not in ("uba", None)]
    lines += [f"{c.label}, {c.optimizer}, {c.budget} iterations: {c.family_reason}." for c in chosen]
    return lines
