"""Gains in plain words: how large, and how sure."""

from phitune.analysis.answers.numbers import number, percent
from phitune.analysis.answers.sureness import gain_words
from phitune.analysis.families.budget_saved import BudgetSaved
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.surface import PossibleRegret

CANNOT_TELL = "cannot tell"
# Of the draws: a family that is the best in fewer is not named.
LEAST_SHARE = 0.1


def gain_text(gain: Gain | None) -> str:
    """A gain with its interval, in per cent or in units of the objective."""
    if gain is None:
        return "–"
    if not gain.relative:
        return f"{number(gain.percent)} [{number(gain.interval[0])}, {number(gain.interval[1])}]"
    low, high = (percent(end, plus=True) for end in gain.interval)
    return f"{percent(gain.percent, plus=True)} % [{low}, {high}]"


def gain_short(gain: Gain | None) -> str:
    """A gain and how sure it is, such as "+12 % likely"; without the figure where its sign cannot be told."""
    if gain is None:
        return "–"
    return gain_words(gain.percent, gain.interval, gain.probability, gain.relative)


def payoff(cell: CellGuideline) -> str:
    """Gains of the recommended family as a sentence; empty if there are none."""
    by_claim: dict[str, list[str]] = {}
    for base, gain in cell.gains.items():
        by_claim.setdefault(_claim(gain), []).append(f"{gain_text(gain)} over {base}")
    parts = [f"{claim} {' and '.join(gains)}" for claim, gains in sorted(by_claim.items(), key=_place)]
    return f"At {cell.budget} iterations {cell.family} {'; it '.join(parts)}." if parts else ""


_CLAIMS = ("clearly gains", "likely gains", "cannot be told apart:", "is likely worse:", "is clearly worse:")


def _claim(gain: Gain) -> str:
    """The claim that a gain allows."""
    if gain.sureness == CANNOT_TELL:
        return _CLAIMS[2]
    claims = _CLAIMS[:2] if gain.percent > 0 else _CLAIMS[:2:-1]
    return claims[gain.sureness == "likely"]


def _place(item: tuple[str, list[str]]) -> int:
    return _CLAIMS.index(item[0])


def saved_text(saved: BudgetSaved | None) -> str:
    """Share of the iterations in which a family reaches the baseline's quality; "–" if unknown.

    An end of the interval that lies beyond the budgets searched is left out.
    """
    if saved is None or saved.percent is None:
        return "–"
    sign = {"less than": "under ", "more than": "over ", None: ""}[saved.bound]
    text = f"{sign}{number(saved.percent)} %"
    match saved.interval:
        case (None, None) | None:
            return text
        case (None, high) if high is not None:
            return f"{text} [at most {number(high)}]"
        case (low, None) if low is not None:
            return f"{text} [at least {number(low)}]"
        case (low, high):
            return f"{text} [{number(low or 0.0)}, {number(high or 0.0)}]"


def saved_short(saved: BudgetSaved | None, gain: Gain | None) -> str:
    """Iterations saved for the same quality, such as "8 % fewer"; empty where the gain cannot be told.

    Args:
        saved: The figure.
        gain: The gain over the same baseline at the same budget.
    """
    if saved is None or saved.percent is None or gain is None or gain.sureness == CANNOT_TELL:
        return ""
    fewer = gain.percent > 0
    share = 100.0 - saved.percent if fewer else saved.percent - 100.0
    if saved.bound is not None:
        # The budgets searched end there: nothing is known of how many beyond.
        return ("over " if share >= 1.0 else "") + (f"{percent(share)} % " if share >= 1.0 else "") + _than(fewer)
    return f"{percent(share)} % {_than(fewer)}" if share > 0 else f"not {_than(fewer)}"


def _than(fewer: bool) -> str:
    return "fewer" if fewer else "more"


def more_trials_sentence(cell: CellGuideline) -> str:
    """By how much more trials could still improve what is recommended; empty if nothing completed."""
    regret = cell.possible_regret
    if regret is None:
        return ""
    better, most = "lower this loss" if cell.objective == "val_loss" else "improve on this", more_trials_text(regret)
    if regret.negligible:
        return f"More trials would hardly {better}: by at most {most} (90 %)."
    text = f"More trials could still {better}, by at most {most} (90 %)."
    others = {family: share for family, share in regret.shares.items() if share >= LEAST_SHARE}
    if set(others) <= {cell.family}:
        return text
    ordered = sorted(others.items(), key=lambda item: -item[1])
    return f"{text} The best may be of {' or '.join(f'{family} ({100.0 * share:.0f} %)' for family, share in ordered)}."


def more_trials_text(regret: PossibleRegret) -> str:
    """The 90 % quantile, in per cent or in units of the objective."""
    return f"{percent(regret.most)} %" if regret.relative else number(regret.most)


def equal_text(cell: CellGuideline) -> str:
    """What counted as equal, in units of the objective and of the budget, as a clause."""
    most = (
        f"{percent(100.0 * cell.delta)} % of the loss" if cell.delta_relative else f"{number(cell.delta)} of its spread"
    )
    share = cell.delta_budget
    worth = "" if share is None or share >= 0.5 else f", worth about {percent(100.0 * share)} % of the budget,"
    return f"differences below {most}{worth} count as equal"
