"""What a cell says of a searched parameter, in a few words and as a sentence."""

from phitune.analysis.answers.numbers import number
from phitune.analysis.answers.recommendation import symbol
from phitune.analysis.answers.shape_guideline import ABSENT, ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.report.words.parameters import optimum

# Of a parameter, as `symbol` gives it; φ's best value is φ*.
VERDICTS = {
    "ok": "{} found",
    "flat": "no effect of {} seen",
    "boundary": "{} at the edge",
    "unclear": "{} cannot be told",
    "thin": "too few trials",
    ABSENT: "no parameter searched",
}


def verdict_text(verdict: str, parameter: str) -> str:
    """A verdict on a parameter in a few words."""
    name = symbol(parameter)
    return VERDICTS[verdict].format("φ*" if name == "φ" and verdict != "flat" else name)


def cell_verdict(cell: CellGuideline) -> str:
    """The verdicts on the parameters that a cell speaks of in a few words."""
    shapes = cell.all_of(cell.shape.family) if cell.shape is not None else []
    return ", ".join(verdict_text(str(shape.verdict), shape.parameter) for shape in shapes) or VERDICTS[ABSENT]


def place(shape: ShapeGuideline) -> str:
    """Where the best value lies: an interval, or a bound if the interval touches an end of the range searched."""
    if shape.interval is None or shape.searched is None:
        return "–"
    low, high = shape.interval
    if shape.verdict == "boundary":
        upper_end = high / shape.searched[1] > shape.searched[0] / low
        return f"at least {number(low)}" if upper_end else f"at most {number(high)}"
    return f"{number(low)} to {number(high)}"


def place_short(shape: ShapeGuideline) -> str:
    """`place`, or why there is none."""
    reasons = {"flat": "no effect", "unclear": "cannot tell", "thin": "too few trials"}
    return reasons.get(str(shape.verdict)) or place(shape)


def shape_sentence(shape: ShapeGuideline) -> str:
    """What is known of the recommended family's parameter, and whether its choice matters."""
    name, best = symbol(shape.parameter), optimum(shape.family, shape.parameter)
    if shape.best is None:
        return f"Too few trials completed to say which {name} is best."
    use = f"Use {name} = {number(shape.best)}"
    match shape.verdict:
        case "flat":
            return f"{use}: these trials see no effect of {name}, so its choice hardly matters."
        case "unclear":
            return f"{use}, but these trials cannot tell which {name} is best: perhaps {place(shape)} (90 %)."
        case "boundary":
            return f"{best} is {place(shape)} (90 %): the interval reaches the end of the range searched."
    return f"{best} is {place(shape)} (90 %)."
