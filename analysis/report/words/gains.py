"""Gains in plain words: a measured one has an interval; one from single runs or one pair is no evidence."""

from phitune.analysis.answers.numbers import percent
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.cell_guideline import CellGuideline

# Claims about gains, in the order of the sentence.
_BETTER, _OPEN, _UNMEASURED, _WORSE = "gains {}", "stands at {}, not told from zero", "stands at {}", "is worse: {}"
_CLAIMS = (_BETTER, _OPEN, _UNMEASURED, _WORSE)


def gain_text(gain: Gain | None) -> str:
    """A gain in per cent with its interval, or the reason why it has none."""
    if gain is None:
        return "–"
    text = f"{percent(gain.percent, plus=True)} %"
    if gain.evidence == "exact":
        return text
    if gain.interval is None:
        return f"{text} ({no_evidence(gain)})"
    low, high = (percent(end, plus=True) for end in gain.interval)
    return f"{text} [{low}, {high}]"


def no_evidence(gain: Gain) -> str:
    """Why a gain without an interval is no evidence."""
    return "single runs, no evidence" if gain.evidence == "explore" else "one pair, no evidence"


def comparison_basis(cell: CellGuideline) -> str:
    """Evidence behind the order of the families."""
    if cell.comparison_evidence == "exact":
        return "no seed noise"
    if cell.comparison_evidence == "explore":
        return "single runs, no evidence"
    fewest = min(f.replicates for f in cell.families)
    return f"{fewest} fresh seeds" if fewest > 1 else "one fresh seed, no evidence"


def payoff(cell: CellGuideline) -> str:
    """Gains of the recommended family as a sentence; empty if there are none."""
    by_claim: dict[str, list[str]] = {claim: [] for claim in _CLAIMS}
    for base, gain in cell.gains.items():
        by_claim[_claim(gain)].append(f"{gain_text(gain)} over {base}")
    parts = [claim.format(" and ".join(gains)) for claim, gains in by_claim.items() if gains]
    return f"At {cell.budget} iterations {cell.family} {'; it '.join(parts)}." if parts else ""


def _claim(gain: Gain) -> str:
    """The claim that a gain allows."""
    if gain.interval is None:
        return _UNMEASURED
    if not gain.certain:
        return _OPEN
    return _BETTER if gain.percent > 0 else _WORSE
