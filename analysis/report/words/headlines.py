"""The answers in a sentence or two each, then what limits them."""

from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import LOCATED, ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.cells import reference, savings_of
from phitune.analysis.report.words.gains import CANNOT_TELL, equal_text, payoff, saved_text
from phitune.analysis.report.words.parameters import mixed_text, optimum, shapes_told
from phitune.analysis.report.words.shapes import place
from phitune.analysis.report.words.trends import LEFT_OUT, warning_lines

REQUIREMENTS = {
    "leave_workload_out": "it takes two workloads with enough trials",
    "leave_largest_budget_out": "it takes two budgets with enough trials",
}


def headlines(guidelines: Guidelines) -> list[str]:
    """The answer in a sentence or two a workload and optimizer, then what limits it."""
    return [*answer_lines(guidelines), *caution_lines(guidelines)]


def caution_lines(guidelines: Guidelines) -> list[str]:
    """What limits the answers: first those of the cells, then what is said of other budgets and workloads."""
    return [*evidence_lines(guidelines), *warning_lines(guidelines), *unchecked_lines(guidelines)]


def evidence_lines(guidelines: Guidelines) -> list[str]:
    """Where the cells' evidence is thin; empty if it is sound."""
    cells = guidelines.cells
    told = [c.all_of(c.shape.family) for c in cells if c.shape is not None]
    unlocated = [s for own in told if (s := [each for each in own if each.verdict in ("thin", "unclear")])]
    single = sum(not c.replicates for c in cells)
    parts = []
    if unlocated:
        names = dict.fromkeys(optimum(each.family, each.parameter) for own in unlocated for each in own)
        parts.append(f"in {len(unlocated)} of {len(cells)} cells {' or '.join(names)} cannot be told")
    if single:
        parts.append(f"in {single} of {len(cells)} cells nothing was trained again on fresh seeds")
    return [f"The evidence is thin: {'; '.join(parts)}."] if parts else []


def unchecked_lines(guidelines: Guidelines) -> list[str]:
    """Which checks of what is said of other budgets and workloads could not be made."""
    missing = [key for key in LEFT_OUT if not guidelines.validation.get(key, {}).get("n")]
    return [f"{LEFT_OUT[key]}: not checked, {REQUIREMENTS[key]}." for key in missing]


def answer_lines(guidelines: Guidelines) -> list[str]:
    """Advice, a line a workload and optimizer."""
    lines = []
    for label, optimizer in dict.fromkeys((c.label, c.optimizer) for c in guidelines.cells):
        cells = [c for c in guidelines.cells if (c.label, c.optimizer) == (label, optimizer)]
        sentences = [f"{label} with {optimizer}: {_advice(cells)}.", _saving(cells, guidelines), payoff(cells[-1])]
        sentences.append(f"At {cells[-1].budget} iterations {equal_text(cells[-1])}.")
        lines.append(" ".join(filter(None, sentences)))
    return lines


def _advice(cells: list[CellGuideline]) -> str:
    families = [c.family or "" for c in cells]
    winner = max(dict.fromkeys(families), key=families.count)
    if not winner:
        return "no trial completed, so nothing is recommended"
    budgets = {name: ", ".join(str(c.budget) for c in cells if c.family == name) for name in dict.fromkeys(families)}
    shares = [f"{name} at {at}" for name, at in budgets.items() if name]
    use = f"use {winner} at every budget" if len(budgets) == 1 else f"use {', '.join(shares)} iterations"
    known = shapes_told(cells, winner)
    told = [_of_parameter(each, winner) for each in known]
    mixed = list(dict.fromkeys(family for c in cells for family in c.mixed if family == winner or not known))
    if mixed or not told:
        told.append(mixed_text(mixed) if mixed else "it has no parameter that was searched")
    return "; ".join([use, *told])


def _of_parameter(known: list[tuple[CellGuideline, ShapeGuideline]], winner: str) -> str:
    shape = known[0][1]
    name = symbol(shape.parameter) if shape.family in ("uba", winner) else f"{shape.family}'s {symbol(shape.parameter)}"
    best = f"the best {name}" if shape.family == winner != "uba" else optimum(shape.family, shape.parameter)
    if all(each.best is None for _, each in known):
        return f"too few trials to say which {name} is best"
    if all(each.verdict == "flat" for _, each in known):
        return f"no effect of {name} is seen at any of the budgets searched"
    parts = []
    if located := [(c, each) for c, each in known if each.verdict in LOCATED]:
        ends = located[:1] + located[1:][-1:]
        places = " and ".join(f"{place(each)} at {c.budget}" for c, each in ends)
        parts.append(f"{best} (90 % interval) {places} iterations")
    flat = [str(c.budget) for c, each in known if each.verdict == "flat"]
    parts += [f"no effect of {name} is seen at {', '.join(flat)}"] if flat else []
    unlocated = [str(c.budget) for c, each in known if each.verdict in ("thin", "unclear")]
    parts += [f"which {name} is best cannot be told at {', '.join(unlocated)}"] if unlocated else []
    return "; ".join(parts)


def _saving(cells: list[CellGuideline], guidelines: Guidelines) -> str:
    """Budget saved, at the largest budget where the gain can be told and it is more than a bound; else empty."""
    baseline = reference(guidelines)
    savings = savings_of(guidelines)
    sure = [c for c in cells if (gain := c.gains.get(baseline)) is not None and gain.sureness != CANNOT_TELL]
    told = [savings.get((c.label, c.optimizer, c.budget, c.family or "", baseline)) for c in sure]
    known = [s for s in told if s is not None and s.percent is not None and s.bound is None]
    if not known:
        return ""
    last = known[-1]
    return f"At {last.budget} {last.family} reaches {baseline}'s quality in {saved_text(last)} of the iterations."
