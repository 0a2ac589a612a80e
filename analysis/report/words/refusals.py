"""Reasons why a comparison has no figure, in plain words; comparisons as guidelines.json holds them."""

from dataclasses import asdict
from typing import Any

from phitune.analysis.families.comparisons import Comparisons
from phitune.analysis.families.refusal import Reason, Refusal
from phitune.analysis.families.tuning_curves import FEWEST

CLAUSES: dict[Reason, str] = {
    "few families": "Friedman's test needs three families; there are {number}",
    "few shared cells": "Friedman's test needs two cells that have all families; there are {number}",
    "all equal": "all families are equal in every cell",
    "one family": "scores compare families; there is one",
    "few seeds": "no cell has two fresh seeds of every family that was trained again",
    "few trials": f"a tuning curve needs {FEWEST} explore trials; {{family}} has {{number}}",
    "none completed": "no explore trial of {family} completed",
    "one budget": "{baseline} is known at one budget only",
    "flat baseline": "{baseline} does not improve with the budget by more than its noise",
}


def why_not(refusal: Refusal) -> str:
    """A clause that says what is missing."""
    return CLAUSES[refusal.reason].format(**refusal._asdict())


def comparisons_dict(comparisons: Comparisons) -> dict[str, Any]:
    """What is compared across cells, for JSON, with reasons in words.

    The comparisons of single cells are left out: they are in the cells of guidelines.json.
    """
    values = asdict(comparisons, dict_factory=_in_words)
    del values["cells"]
    return values


def _in_words(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: why_not(value) if isinstance(value, Refusal) else value for key, value in fields}
