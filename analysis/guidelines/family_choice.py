"""Which family a cell's guideline recommends, and why."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from phitune.analysis.families.compare import Comparison, FamilyResult
from phitune.analysis.families.gain import Gain

FamilyVerdict = Literal["none completed", "uba not completed", "uba best", "uba equal", "uba beaten"]


@dataclass(frozen=True)
class FamilyChoice:
    """The recommended family.

    Attributes:
        family: Its result; None if no trial completed.
        verdict: "none completed" (no trial of any family); "uba not completed" (the best other family, as no trial of
            UBA completed); "uba best" (UBA, which has the best expected objective); "uba equal" (UBA, with another
            family ahead by less than what counts as equal); "uba beaten" (another family, which has the best expected
            objective).
        lead: The best family's gain over UBA; None where that is UBA or it is not known.
    """

    family: FamilyResult | None
    verdict: FamilyVerdict
    lead: Gain | None = None


def choose_family(comparison: Comparison, delta: float) -> FamilyChoice:
    """The family with the best expected objective, but UBA where that is within what counts as equal.

    Not so where UBA is worse than a baseline for certain, by however little.

    Args:
        comparison: The cell's families.
        delta: What counts as equal on the fitting scale.
    """
    if not comparison.families:
        return FamilyChoice(None, "none completed")
    best, uba = comparison.families[0], comparison.get("uba")
    if uba is None:
        return FamilyChoice(best, "uba not completed")
    if best.family == "uba":
        return FamilyChoice(uba, "uba best")
    lead = comparison.gain(best.family, "uba")
    behind = float(np.median(comparison.fitted["uba"]) - np.median(comparison.fitted[best.family]))
    worse = any(gain.interval[1] < 0 for gain in uba.gains.values())
    if behind <= delta and not worse:
        return FamilyChoice(uba, "uba equal", lead)
    return FamilyChoice(best, "uba beaten", lead)
