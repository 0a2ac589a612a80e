"""Why a comparison has no figure, as data; `report.words.refusals` says it in words."""

from typing import Literal, NamedTuple

Reason = Literal[
    "few families",
    "few shared cells",
    "all equal",
    "one family",
    "few seeds",
    "few trials",
    "none completed",
    "one budget",
    "flat baseline",
]


class Refusal(NamedTuple):
    """The condition that the evidence does not meet.

    Attributes:
        reason: Which condition.
        number: How many there are of what the condition counts: families, cells or trials.
        family: The family that lacks evidence; empty where it is about all.
        baseline: The baseline that it is compared with; empty where there is none.
    """

    reason: Reason
    number: int = 0
    family: str = ""
    baseline: str = ""
