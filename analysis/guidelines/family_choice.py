"""Which family a cell's guideline recommends, and why."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from phitune.analysis.families.compare import Comparison, FamilyResult, difference
from phitune.analysis.families.gain import Gain
from phitune.analysis.surface import CellSurface

FamilyVerdict = Literal[
    "none completed",
    "uba diverged",
    "uba not completed",
    "uba best",
    "uba unclear",
    "uba beaten",
    "single runs",
    "within uncertainty",
]


@dataclass(frozen=True)
class FamilyChoice:
    """The recommended family.

    Attributes:
        family: Its result; None if no trial completed.
        verdict: "none completed" (no trial of any family); "uba diverged" (the best other family, as UBA's best trial
            diverged on a fresh seed); "uba not completed" (the same, as no trial of UBA completed); "uba best" (UBA,
            which has the best mean); "uba unclear" (the best mean, as UBA's phi is unclear); "uba beaten" (another
            family, ahead of UBA by more than the uncertainty); "single runs" (the best single run, as there is too
            little evidence to tell it from UBA); "within uncertainty" (UBA, with another family ahead by less than the
            uncertainty).
        lead: The best family's gain over UBA; None where the two were not compared.
    """

    family: FamilyResult | None
    verdict: FamilyVerdict
    lead: Gain | None = None


def choose_family(cell: pd.DataFrame, surface: CellSurface, comparison: Comparison) -> FamilyChoice:
    """The family with the best mean, but UBA unless the other is better by more than the paired uncertainty.

    Where UBA's phi is unclear, simply the best mean.

    Args:
        cell: Rows of the results table, one cell.
        surface: UBA's surface.
        comparison: The cell's families.
    """
    if not comparison.families:
        return FamilyChoice(None, "none completed")
    best, uba = comparison.families[0], comparison.get("uba")
    if uba is None:
        return FamilyChoice(best, "uba diverged" if "uba" in comparison.set_aside else "uba not completed")
    if best.family == "uba":
        return FamilyChoice(uba, "uba best")
    if surface.verdict == "unclear":
        return FamilyChoice(best, "uba unclear")
    lead = difference(cell, best, uba)
    if lead.certain and lead.percent > 0:
        return FamilyChoice(best, "uba beaten", lead)
    if surface.phi is None and comparison.evidence == "explore":
        return FamilyChoice(best, "single runs", lead)
    return FamilyChoice(uba, "within uncertainty", lead)
