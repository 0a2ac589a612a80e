"""The report's first lines: how far to trust it, then advice."""

from phitune.analysis.answers.numbers import number
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.cells import saved_text
from phitune.analysis.report.words.gains import equal_text, payoff
from phitune.analysis.report.words.trends import LEFT_OUT, warning_lines

REQUIREMENTS = {
    "leave_workload_out": "it takes two workloads with enough trials",
    "leave_largest_budget_out": "it takes two budgets with enough trials",
}


def headlines(guidelines: Guidelines) -> list[str]:
    """Cautions, then the answer in a sentence or two a workload and optimizer."""
    return [*caution_lines(guidelines), *answer_lines(guidelines)]


def caution_lines(guidelines: Guidelines) -> list[str]:
    """How far to trust the answers."""
    return [*warning_lines(guidelines), *evidence_lines(guidelines)]


def evidence_lines(guidelines: Guidelines) -> list[str]:
    """Where the evidence is thin, and which checks could not be made; empty if it is sound."""
    cells = guidelines.cells
    unlocated = sum(c.verdict in ("thin", "unclear") for c in cells)
    single = sum(not c.replicates for c in cells)
    parts = []
    if unlocated:
        parts.append(f"in {unlocated} of {len(cells)} cells φ* is unclear or trials are too few")
    if single:
        parts.append(f"in {single} of {len(cells)} cells nothing was trained again on fresh seeds")
    lines = [f"The evidence is thin: {'; '.join(parts)}."] if parts else []
    for key, name in LEFT_OUT.items():
        if not guidelines.validation.get(key, {}).get("n"):
            lines.append(f"{name}: not checked, {REQUIREMENTS[key]}.")
    return lines


def answer_lines(guidelines: Guidelines) -> list[str]:
    """Advice, a line a workload and optimizer."""
    lines = []
    for label, optimizer in dict.fromkeys((c.label, c.optimizer) for c in guidelines.cells):
        cells = [c for c in guidelines.cells if (c.label, c.optimizer) == (label, optimizer)]
        sentences = [f"{label} with {optimizer}: {_advice(cells)}.", payoff(cells[-1]), _saving(cells, guidelines)]
        sentences.append(f"At {cells[-1].budget} iterations {equal_text(cells[-1])} counts as equal.")
        lines.append(" ".join(filter(None, sentences)))
    return lines


def _advice(cells: list[CellGuideline]) -> str:
    families = [c.family or "" for c in cells]
    winner = max(dict.fromkeys(families), key=families.count)
    if not winner:
        return "no trial completed, so nothing is recommended"
    count = families.count(winner)
    share = "at every budget" if count == len(cells) else f"at {count} of {len(cells)} budgets"
    use = f"use {winner} {share}"
    if all(c.verdict == "absent" for c in cells):
        return f"{use}; UBA was not searched"
    if all(c.phi is None for c in cells):
        return f"{use}; too few trials to say which φ is best"
    if all(c.verdict == "flat" for c in cells):
        return f"{use}; no effect of φ is seen at any of the budgets searched"
    located = [c for c in cells if c.verdict in ("ok", "boundary")]
    parts = [use]
    if located:
        ends = located[:1] + located[1:][-1:]
        parts.append(
            "φ* (90 % interval) " + " and ".join(f"{_phi_phrase(c)} at {c.budget}" for c in ends) + " iterations"
        )
    flat = [str(c.budget) for c in cells if c.verdict == "flat"]
    parts += [f"no effect of φ is seen at {', '.join(flat)}"] if flat else []
    unlocated = [str(c.budget) for c in cells if c.verdict in ("thin", "unclear")]
    parts += [f"φ* is unclear at {', '.join(unlocated)}: add trials"] if unlocated else []
    return "; ".join(parts)


def _saving(cells: list[CellGuideline], guidelines: Guidelines) -> str:
    """Budget saved against linear, at the largest budget where it is more than a bound; empty if there is none."""
    recommended = {(c.label, c.optimizer, c.budget, c.family) for c in cells}
    known = [
        s
        for s in guidelines.comparisons.budget_saved
        if s.baseline == "linear"
        and (s.workload, s.optimizer, s.budget, s.family) in recommended
        and s.percent is not None
        and s.bound is None
    ]
    if not known:
        return ""
    last = max(known, key=lambda s: s.budget)
    return f"At {last.budget} {last.family} reaches linear's quality in {saved_text(last)} of the iterations."


def _phi_phrase(cell: CellGuideline) -> str:
    """The place of phi*: an interval, or a bound if the interval touches an end of the range searched."""
    assert cell.phi_interval is not None and cell.phi_range is not None
    low, high = cell.phi_interval
    if cell.verdict == "boundary":
        upper_end = high / cell.phi_range[1] > cell.phi_range[0] / low
        return f"at least {number(low)}" if upper_end else f"at most {number(high)}"
    return f"{number(low)} to {number(high)}"
