"""Gains in plain words: one is claimed only where its interval leaves zero out."""

from phitune.analysis.answers.numbers import number, percent
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.cell_guideline import CellGuideline

# Claims about gains, in the order of the sentence.
_BETTER, _OPEN, _WORSE = "gains {}", "stands at {}, not told from zero", "is worse: {}"
_CLAIMS = (_BETTER, _OPEN, _WORSE)


def gain_text(gain: Gain | None) -> str:
    """A gain with its interval, in per cent or in units of the objective."""
    if gain is None:
        return "–"
    if not gain.relative:
        return f"{number(gain.percent)} [{number(gain.interval[0])}, {number(gain.interval[1])}]"
    low, high = (percent(end, plus=True) for end in gain.interval)
    return f"{percent(gain.percent, plus=True)} % [{low}, {high}]"


def payoff(cell: CellGuideline) -> str:
    """Gains of the recommended family as a sentence; empty if there are none."""
    by_claim: dict[str, list[str]] = {claim: [] for claim in _CLAIMS}
    for base, gain in cell.gains.items():
        by_claim[_claim(gain)].append(f"{gain_text(gain)} over {base}")
    parts = [claim.format(" and ".join(gains)) for claim, gains in by_claim.items() if gains]
    return f"At {cell.budget} iterations {cell.family} {'; it '.join(parts)}." if parts else ""


def equal_text(cell: CellGuideline) -> str:
    """What counted as equal, in units of the objective and of the budget."""
    text = (
        f"{percent(100.0 * cell.delta)} % of the loss" if cell.delta_relative else f"{number(cell.delta)} of its spread"
    )
    return text if cell.delta_budget is None else f"{text}, about {percent(100.0 * cell.delta_budget)} % of the budget"


def _claim(gain: Gain) -> str:
    """The claim that a gain allows."""
    if not gain.certain:
        return _OPEN
    return _BETTER if gain.percent > 0 else _WORSE
