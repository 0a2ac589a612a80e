"""Guidelines in plain words: table rows and sentences for the report and the command line."""

from analysis.cell_guideline import CellGuideline
from analysis.compare import Gain
from analysis.guidelines import Guidelines
from analysis.recommendation import beside_phi
from analysis.trend_wording import warning_lines

VERDICTS = {
    "ok": "φ* found",
    "flat": "φ does not matter here",
    "boundary": "φ* at the edge",
    "unclear": "φ* unclear",
    "thin": "too few trials",
    "absent": "UBA not searched",
}
HEADS = ("budget", "family", "φ", "base LR", "over cosine", "over linear", "verdict")

METHOD = (
    "Trials are compared only inside a cell: one workload, optimizer and budget. Every budget is its own run, with a "
    "schedule that ends at that budget.",
    "φ* is read off a Gaussian process fitted to the objective (on a log scale) over log φ and log mean LR, from UBA "
    "and cosine trials (cosine is UBA at φ = 2). The LR is put at its best for every φ. Intervals come from functions "
    "drawn from the posterior, over several settings of its hyperparameters.",
    "A trial stopped early enters with its predicted final value and that prediction's uncertainty. A diverged trial "
    "only marks a bad region. Failed trials are left out.",
    "Families are compared by replicates: the family's best trial again with fresh seeds, paired by seed. Where there "
    "are none, single runs are compared, which flatters the families tried most.",
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


def number(value: float) -> str:
    """Three significant digits without exponent where it can be avoided."""
    return f"{value:.3g}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.2e}"


def with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """A value and its interval, "–" if there is none."""
    if value is None:
        return "–"
    return number(value) if interval is None else f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def _percent(value: float) -> str:
    return f"{value:+.0f}" if abs(value) >= 100 else f"{value:+.2g}"


def gain_text(gain: Gain | None) -> str:
    """A gain in per cent with its interval, or the reason why it has none."""
    if gain is None:
        return "–"
    text = f"{_percent(gain.percent)} %"
    if gain.evidence == "exact":
        return text
    return (
        f"{text} (single runs)"
        if gain.interval is None
        else f"{text} [{_percent(gain.interval[0])}, {_percent(gain.interval[1])}]"
    )


def summary_table(guidelines: Guidelines) -> list[dict[str, str]]:
    """The answer, one row a cell: workload, optimizer and the columns of `HEADS`, all as text."""
    return [{"workload": c.label, "optimizer": c.optimizer, **_answer(c)} for c in guidelines.cells]


def _answer(cell: CellGuideline) -> dict[str, str]:
    share = f" ({100.0 * cell.budget / cell.full_budget:.3g} %)" if cell.full_budget else ""
    phi = with_interval(cell.phi, cell.phi_interval)
    own = {
        f"over {base}": "itself" if cell.family == base else gain_text(cell.gains.get(base))
        for base in ("cosine", "linear")
    }
    return {
        "budget": f"{cell.budget}{share}",
        "family": f"{cell.family or '–'}{beside_phi(cell.schedule)}",
        "φ": phi if cell.family in ("uba", None) or cell.phi is None else f"(uba: {phi})",
        "base LR": with_interval(cell.base_lr, cell.base_lr_interval),
        **own,
        "verdict": VERDICTS[cell.verdict],
    }


def headlines(guidelines: Guidelines) -> list[str]:
    """Whether the guideline is to be trusted elsewhere; the answer in a sentence or two a workload and optimizer."""
    lines = warning_lines(guidelines)
    for label, optimizer in dict.fromkeys((c.label, c.optimizer) for c in guidelines.cells):
        cells = [c for c in guidelines.cells if (c.label, c.optimizer) == (label, optimizer)]
        lines.append(f"{label} with {optimizer}: {_headline(cells)}")
    return lines


def _headline(cells: list[CellGuideline]) -> str:
    families = [c.family or "" for c in cells]
    winner = max(dict.fromkeys(families), key=families.count)
    count = families.count(winner)
    share = "at every budget" if count == len(cells) else f"at {count} of {len(cells)} budgets"
    if all(c.verdict == "absent" for c in cells):
        return f"{winner} is recommended {share}; UBA was not searched."
    if all(c.phi is None for c in cells):
        return "too few trials to say which φ is best; the table shows the best configuration seen."
    if all(c.verdict == "flat" for c in cells):
        return f"{winner} is recommended {share}; φ does not matter at any of the budgets searched."
    located = [f"{_phi_phrase(c)} at {c.budget}" for c in cells if c.verdict not in ("thin", "unclear")]
    lost = [str(c.budget) for c in cells if c.verdict in ("thin", "unclear")]
    parts = ["φ* (90 % interval) " + ", ".join(located)] if located else []
    parts += [f"unclear at {', '.join(lost)} iterations: more trials are needed"] if lost else []
    return f"{winner} is recommended {share}; {'; '.join(parts)}."


def _phi_phrase(cell: CellGuideline) -> str:
    """Where phi* is: an interval, or a bound if the interval touches the end of the searched range."""
    if cell.phi_interval is None or cell.phi_range is None or cell.verdict == "flat":
        return "does not matter"
    low, high = cell.phi_interval
    if cell.verdict == "boundary":
        upper_end = high / cell.phi_range[1] > cell.phi_range[0] / low
        return f"at least {number(low)}" if upper_end else f"at most {number(high)}"
    return f"{number(low)} to {number(high)}"


def family_lines(guidelines: Guidelines) -> list[str]:
    """How the families rank, and on what evidence."""
    lines = []
    ranks = guidelines.comparisons.ranks
    if ranks.ranks:
        ranked = ", ".join(f"{family} {rank:.2f}" for family, rank in ranks.ranks.items())
        lines.append(f"Average rank over the {ranks.cells} cells that have all families (1 is best): {ranked}.")
    biased = sum(c.comparison_evidence == "explore" for c in guidelines.cells)
    if biased:
        lines.append(
            f"In {biased} of {len(guidelines.cells)} cells families are compared on single explore runs, for want of "
            "replicates; that is biased towards the families with more trials."
        )
    chosen = [c for c in guidelines.cells if c.family not in ("uba", None)]
    lines += [f"{c.label}, {c.optimizer}, {c.budget} iterations: {c.family_reason}." for c in chosen]
    return lines or ["UBA is recommended in every cell."]
