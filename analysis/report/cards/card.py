"""What a card says: for a workload and optimizer, the answer at each budget, each claim with what limits it."""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from phitune.analysis.answers.numbers import budget_share, number, percent
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.cards.code import snippets
from phitune.analysis.report.cards.drawing import drawing
from phitune.analysis.report.charts.cells import quantity, sentence, workload_names
from phitune.analysis.report.words.cells import Savings, savings_of, schedule_text
from phitune.analysis.report.words.gains import CANNOT_TELL, equal_text, more_trials_sentence, saved_short
from phitune.analysis.report.words.parameters import mixed_text
from phitune.analysis.report.words.shapes import shape_sentence
from phitune.trainables.schedules import from_dict


@dataclass(frozen=True)
class Claim:
    """What the recommended schedule gains over a baseline at the baseline's own best LR.

    Attributes:
        baseline: Its name.
        loss: Of the objective, such as "5.7 % lower [5.5, 5.9]".
        iterations: How many fewer give the same quality; empty where it is not known.
        sureness: "clear", "likely" or "cannot tell".
    """

    baseline: str
    loss: str
    iterations: str
    sureness: str


@dataclass(frozen=True)
class Answer:
    """The answer for one cell, in words.

    Attributes:
        budget: In iterations.
        label: The budget with its share of the full one.
        use: The schedule; empty if no trial completed.
        drawing: It as SVG.
        base_lr, base_lr_range: Base LR and its 90 % interval, the latter empty if unknown.
        lr_caveat: What limits the base LR; empty if nothing does.
        quantity: Name of the objective.
        claims: Gains over the baselines.
        gain_caveat: What limits them.
        shape: What is known of the searched parameters; empty if none was searched or another family is recommended.
        expect: The objective, and the metric, to expect.
        more_trials: By how much more trials could still improve on it; empty if unknown.
        code: By library.
    """

    budget: int
    label: str
    use: str
    drawing: str
    base_lr: str
    base_lr_range: str
    lr_caveat: str
    quantity: str
    claims: tuple[Claim, ...]
    gain_caveat: str
    shape: str
    expect: str
    more_trials: str
    code: dict[str, str]


@dataclass(frozen=True)
class Card:
    """The answers for one workload and optimizer, by budget; `name` is what the charts call the workload."""

    name: str
    workload: str
    optimizer: str
    answers: tuple[Answer, ...]


def cards(guidelines: Guidelines) -> list[Card]:
    """A card for each workload and optimizer, in the cells' order."""
    savings = savings_of(guidelines)
    groups = groupby(zip(workload_names(guidelines), guidelines.cells, strict=True), itemgetter(0))
    by_name = {name: [cell for _, cell in pairs] for name, pairs in groups}
    return [
        Card(name, cells[0].label, cells[0].optimizer, tuple(_answer(cell, savings) for cell in cells))
        for name, cells in by_name.items()
    ]


def _answer(cell: CellGuideline, savings: Savings) -> Answer:
    label = f"{cell.budget}{budget_share(cell.budget, cell.full_budget)}"
    if cell.schedule is None or cell.base_lr is None:
        return Answer(cell.budget, label, "", "", "", "", "", "", (), "", "", "", "", {})
    schedule, shapes = from_dict(cell.schedule), cell.all_of(cell.family)
    ends = cell.base_lr_interval
    claims = tuple(
        _claim(cell, base, gain, savings.get((cell.label, cell.optimizer, cell.budget, str(cell.family), base)))
        for base, gain in cell.gains.items()
    )
    return Answer(
        budget=cell.budget,
        label=label,
        use=schedule_text(cell),
        drawing=drawing(schedule, cell.budget),
        base_lr=number(cell.base_lr),
        base_lr_range=f"{number(ends[0])} to {number(ends[1])}" if ends else "",
        lr_caveat=(
            "As high as was tried: a higher one may be better."
            if any(s.base_lr_at_limit for s in shapes)
            else "As low as was tried: a lower one may be better."
            if any(s.base_lr_lowest for s in shapes)
            else ""
        ),
        quantity=quantity([cell]),
        claims=claims,
        gain_caveat=_gain_caveat(cell),
        shape=f"{sentence(mixed_text([str(cell.family)]))}."
        if cell.family in cell.mixed
        else " ".join(shape_sentence(shape) for shape in shapes),
        expect=_expect(cell),
        more_trials=more_trials_sentence(cell),
        code=snippets(cell.schedule, cell.optimizer, cell.base_lr, cell.budget),
    )


def _claim(cell: CellGuideline, base: str, gain: Gain, saved: BudgetSaved | None) -> Claim:
    words = ("lower", "higher") if cell.objective == "val_loss" else ("better", "worse")
    text, unit = (percent, " %") if gain.relative else (number, "")
    if gain.sureness == CANNOT_TELL:
        span = " to ".join(f"{text(abs(end))}{unit} {words[end < 0]}" for end in gain.interval)
        return Claim(base, span, "", gain.sureness)
    ends = sorted((1 if gain.percent > 0 else -1) * end for end in gain.interval)
    loss = f"{text(abs(gain.percent))}{unit} {words[gain.percent < 0]} [{text(ends[0])}, {text(ends[1])}]"
    return Claim(base, loss, saved_short(saved, gain), gain.sureness)


def _gain_caveat(cell: CellGuideline) -> str:
    """What a gain is worth, and whether fresh seeds stand behind it."""
    seeds = "" if cell.replicates else " No run on a fresh seed stands behind these gains."
    open_ = [base for base, gain in cell.gains.items() if gain.sureness == CANNOT_TELL]
    choice = f" These trials cannot tell {cell.family} from {' and '.join(open_)}: either will do." if open_ else ""
    if cell.family_verdict == "uba equal":
        choice += " Among equals UBA is given."
    return f"{sentence(equal_text(cell))}.{choice}{seeds}" if cell.gains else ""


def _expect(cell: CellGuideline) -> str:
    if cell.expected_objective is None:
        return ""
    ends = cell.expected_interval
    text = f"{quantity([cell])} {number(cell.expected_objective)}"
    text += f" [{number(ends[0])}, {number(ends[1])}]" if ends else ""
    known = cell.expected_metric is not None and "loss" not in (cell.metric_name or "loss")
    return f"{text}, {cell.metric_name} {cell.expected_metric:.3g}" if known else text
