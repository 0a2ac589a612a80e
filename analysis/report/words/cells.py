"""The summary table in plain words, a row a cell: one short line each, whole in a terminal of 100 columns."""

from phitune.analysis.answers.numbers import budget_share, number, with_interval
from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import LOCATED
from phitune.analysis.answers.sureness import LIKELY
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.families.compare import BASELINES
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.gains import gain_short, saved_short
from phitune.analysis.report.words.parameters import symbols
from phitune.analysis.report.words.shapes import place_short
from phitune.trainables.schedules import from_dict

Savings = dict[tuple[str, str, int, str, str], BudgetSaved]


def heads(guidelines: Guidelines) -> tuple[str, ...]:
    """Heads of the summary table; the third is the parameter that all cells speak of."""
    gains = (f"over {base}" for base in BASELINES)
    return ("budget", "use", _parameter_head(guidelines), "base LR", *gains, "iterations")


def reference(guidelines: Guidelines) -> str:
    """The baseline that budget saved is told against: linear, or cosine where that alone is known."""
    recommended = {(c.label, c.optimizer, c.budget, c.family) for c in guidelines.cells}
    known = {
        s.baseline
        for s in guidelines.comparisons.budget_saved
        if s.percent is not None and (s.workload, s.optimizer, s.budget, s.family) in recommended
    }
    return "cosine" if known == {"cosine"} else "linear"


def savings_of(guidelines: Guidelines) -> Savings:
    """Budget saved by workload, optimizer, budget, family and baseline."""
    return {(s.workload, s.optimizer, s.budget, s.family, s.baseline): s for s in guidelines.comparisons.budget_saved}


def _parameter_head(guidelines: Guidelines) -> str:
    names = symbols(guidelines.cells)
    return f"best {names[0]}" if len(names) == 1 else "best shape"


def units(guidelines: Guidelines) -> str:
    """What gains are measured in."""
    if all(cell.delta_relative for cell in guidelines.cells):
        return "per cent of the objective"
    return "per cent of the objective, or its own units where it crosses zero"


def legend(guidelines: Guidelines) -> str:
    """How to read the table."""
    return (
        f"Gains: {units(guidelines)}, + is better, each family at its own best LR. Clear: the 90 % interval leaves "
        f"zero out; likely: the sign has a probability of {LIKELY} or more; else these trials cannot tell. Iterations: "
        f"how many fewer give {reference(guidelines)}'s quality. Brackets: 90 %."
    )


def summary_table(guidelines: Guidelines) -> list[dict[str, str]]:
    """The answers, a row a cell: `workload`, `optimizer` and the columns of `heads`, all as text."""
    baseline, names, savings = reference(guidelines), heads(guidelines), savings_of(guidelines)
    rows = []
    for c in guidelines.cells:
        saved = saved_short(
            savings.get((c.label, c.optimizer, c.budget, c.family or "", baseline)), c.gains.get(baseline)
        )
        row = _row(c, names[2], saved)
        rows.append({"workload": c.label, "optimizer": c.optimizer} | dict(zip(names, row, strict=True)))
    return rows


def schedule_text(cell: CellGuideline) -> str:
    """The recommended schedule: family and parameters, such as "uba φ=1.39"; "–" if nothing completed."""
    if cell.family is None or cell.schedule is None:
        return cell.family or "–"
    values = from_dict(cell.schedule).described()
    values |= {s.parameter: number(s.best) for s in cell.all_of(cell.family) if s.best is not None}
    return f"{cell.family} {', '.join(f'{symbol(key)}={value}' for key, value in values.items())}".strip()


def _row(cell: CellGuideline, parameter_head: str, saved: str) -> tuple[str, ...]:
    gains = ("itself" if cell.family == base else gain_short(cell.gains.get(base)) for base in BASELINES)
    return (
        f"{cell.budget}{budget_share(cell.budget, cell.full_budget)}",
        schedule_text(cell),
        _best(cell, parameter_head),
        _base_lr(cell),
        *gains,
        saved,
    )


def _base_lr(cell: CellGuideline) -> str:
    if cell.base_lr is None or cell.base_lr_interval is None:
        return with_interval(cell.base_lr, None)
    low, high = (f"{end:.2g}" for end in cell.base_lr_interval)
    if not float(low) <= cell.base_lr <= float(high):
        # Two digits are not enough to hold what lies between.
        return with_interval(cell.base_lr, cell.base_lr_interval)
    return f"{number(cell.base_lr)} [{low}, {high}]"


def _best(cell: CellGuideline, parameter_head: str) -> str:
    """Where the best value lies, if it can be told; after its family where another is recommended."""
    shape = cell.shape
    if shape is None:
        return "–"
    name, text = symbol(shape.parameter), place_short(shape)
    if shape.verdict not in LOCATED:
        return text
    text = text if parameter_head.endswith(name) else f"{name} {text}"
    return text if cell.family in (shape.family, None) else f"{shape.family}: {text}"
