"""Step decay at 30, 60 and 90 % of the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from phitune.trainables.schedules.step import Step


@dataclass(frozen=True)
class MultiStep(Step):
    """``step`` with the milestones usual on ImageNet: ×0.1 at 30, 60 and 90 %.

    Args:
        milestones: Increasing fractions of the budget, in (0, 1).
        factor: Multiplier at each milestone, in (0, 1).

    Source: the 30-60-90 step schedule that REX (Chen et al., arXiv 2107.04197) is compared with; milestones rescaled
    to the budget as in budgeted training (Li et al., arXiv 1905.04753).
    """

    milestones: tuple[float, ...] = (0.3, 0.6, 0.9)

    family: ClassVar[str] = "multistep"
