"""The summary table in plain words, a row a cell."""

from phitune.analysis.answers.numbers import budget_share, number, with_interval
from phitune.analysis.answers.recommendation import beside, symbol
from phitune.analysis.answers.shape_guideline import ABSENT, ShapeGuideline
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.families.compare import BASELINES
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.gains import gain_text
from phitune.analysis.report.words.parameters import symbols

# Of a parameter, as `symbol` gives it; φ's best value is φ*.
VERDICTS = {
    "ok": "{} found",
    "flat": "no effect of {} seen",
    "boundary": "{} at the edge",
    "unclear": "{} unclear",
    "thin": "too few trials",
    ABSENT: "no parameter searched",
}


def verdict_text(verdict: str, parameter: str) -> str:
    """A verdict on a parameter in a few words."""
    name = symbol(parameter)
    return VERDICTS[verdict].format("φ*" if name == "φ" and verdict != "flat" else name)


def heads(guidelines: Guidelines) -> tuple[str, ...]:
    """Heads of the summary table; the third is the parameter that all cells speak of."""
    return (
        "budget",
        "family",
        _parameter_head(guidelines),
        "base LR",
        *(f"over {base}" for base in BASELINES),
        f"{reference(guidelines)}'s quality in",
        "verdict",
    )


def reference(guidelines: Guidelines) -> str:
    """The baseline that budget saved is told against: linear, or cosine where that alone is known."""
    recommended = {(c.label, c.optimizer, c.budget, c.family) for c in guidelines.cells}
    known = {
        s.baseline
        for s in guidelines.comparisons.budget_saved
        if s.percent is not None and (s.workload, s.optimizer, s.budget, s.family) in recommended
    }
    return "cosine" if known == {"cosine"} else "linear"


def _parameter_head(guidelines: Guidelines) -> str:
    names = symbols(guidelines.cells)
    return names[0] if len(names) == 1 else "shape"


def units(guidelines: Guidelines) -> str:
    """What gains are measured in."""
    if all(cell.delta_relative for cell in guidelines.cells):
        return "per cent of the objective"
    return "per cent of the objective, or its own units where it crosses zero"


def brackets(guidelines: Guidelines) -> str:
    """How to read the table."""
    baseline = reference(guidelines)
    return (
        f"Brackets hold 90 % intervals. Gains are in {units(guidelines)}, positive is better, each family at its own "
        f"best LR. “{baseline.capitalize()}'s quality in”: the share of the iterations after which the recommended "
        f"family is as good as {baseline} after all of them."
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
    """The answers, a row a cell: `workload`, `optimizer` and the columns of `heads`, all as text."""
    baseline, names = reference(guidelines), heads(guidelines)
    savings = {
        (s.workload, s.optimizer, s.budget, s.family): s
        for s in guidelines.comparisons.budget_saved
        if s.baseline == baseline
    }
    rows = []
    for c in guidelines.cells:
        saved = savings.get((c.label, c.optimizer, c.budget, c.family or ""))
        in_all = "itself" if c.family == baseline else saved_text(saved)
        rows.append(
            {"workload": c.label, "optimizer": c.optimizer} | dict(zip(names, _row(c, names[2], in_all), strict=True))
        )
    return rows


def _row(cell: CellGuideline, parameter_head: str, in_all: str) -> tuple[str, ...]:
    gains = ("itself" if cell.family == base else gain_text(cell.gains.get(base)) for base in BASELINES)
    shape = cell.shape
    return (
        f"{cell.budget}{budget_share(cell.budget, cell.full_budget)}",
        f"{cell.family or '–'}{beside(_shown(cell), cell.schedule)}",
        "–" if shape is None else _best(shape, cell, named=parameter_head != symbol(shape.parameter)),
        with_interval(cell.base_lr, cell.base_lr_interval),
        *gains,
        in_all,
        verdict_text(cell.verdict, shape.parameter if shape is not None else ""),
    )


def _shown(cell: CellGuideline) -> str | None:
    """The recommended family's parameter, which has a column of its own."""
    shape = cell.of(cell.family)
    return shape.parameter if shape is not None else None


def _best(shape: ShapeGuideline, cell: CellGuideline, named: bool) -> str:
    """The best value with its interval; in brackets after its family where another is recommended."""
    best = "no effect seen" if shape.verdict == "flat" else with_interval(shape.best, shape.interval)
    best = f"{symbol(shape.parameter)} {best}" if named and shape.best is not None else best
    return best if cell.family in (shape.family, None) or shape.best is None else f"({shape.family}: {best})"
