"""The conclusions about one cell."""

from dataclasses import dataclass
from typing import Any

from phitune.analysis.answers.shape_guideline import ABSENT, HasShapes, ShapeGuideline, told
from phitune.analysis.families.compare import FamilyResult
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.family_choice import FamilyVerdict
from phitune.analysis.surface import PossibleRegret


@dataclass(frozen=True)
class CellGuideline(HasShapes):
    """The answer for one cell: a `cells` entry of guidelines.json, where UBA's shape has its own keys.

    Attributes:
        workload: As in a study file: a name, or a mapping with `name` and parameters.
        label: The workload as one string.
        optimizer: Its name.
        budget: In iterations.
        full_budget: The workload's full budget in iterations; None if unknown.
        family: The recommended family: the one with the best expected objective, but UBA where that is within `delta`.
        family_verdict: Why that family; see `guidelines.family_choice`.
        lead_over_uba: The best family's gain over UBA; None where that is UBA or it is not known.
        delta: What counted as equal on the fitting scale: a relative difference of the objective (of the error, for an
            accuracy), or in units of the spread of the better half of the trials unless `delta_relative`.
        delta_relative: See `delta`.
        delta_budget: What `delta` is worth, as a share of the budget; None if unknown.
        base_lr: Base LR of the recommended family.
        base_lr_interval: Its 90 % interval; None if unknown.
        schedule: The recommended schedule, as `trainables.schedules.from_dict` reads it; None if nothing completed.
        metric_name: The workload's metric.
        expected_metric: Validation metric to expect; None if unknown.
        objective: Name of what was optimised, val_loss or val_metric.
        expected_objective: Its value to expect.
        expected_interval: Its 90 % interval.
        trials, completed, stopped, diverged, failed: Explore trials by how they ended.
        replicates: Completed replicates.
        gains: Gain of the recommended family over cosine and linear.
        possible_regret: By how much more trials could still improve on it; None if nothing completed.
        families: All families compared, best first.
        shapes: The parameters of families of which one or two were searched, best family first.
        mixed: Families of which no best value is told: more than two parameters vary among the trials, or not the same
            ones in all.
    """

    workload: str | dict[str, Any]
    label: str
    optimizer: str
    budget: int
    full_budget: int | None
    family: str | None
    family_verdict: FamilyVerdict
    lead_over_uba: Gain | None
    delta: float
    delta_relative: bool
    delta_budget: float | None
    base_lr: float | None
    base_lr_interval: tuple[float, float] | None
    schedule: dict[str, Any] | None
    metric_name: str | None
    expected_metric: float | None
    objective: str
    expected_objective: float | None
    expected_interval: tuple[float, float] | None
    trials: int
    completed: int
    stopped: int
    diverged: int
    failed: int
    replicates: int
    gains: dict[str, Gain]
    possible_regret: PossibleRegret | None
    families: tuple[FamilyResult, ...]
    shapes: tuple[ShapeGuideline, ...]
    mixed: tuple[str, ...] = ()

    @property
    def shape(self) -> ShapeGuideline | None:
        """The shape that the cell speaks of: the recommended family's, else UBA's, else the best one's."""
        return told(self.shapes, self.family)

    @property
    def verdict(self) -> str:
        """That on `shape`; absent if no parameter was searched."""
        return self.shape.verdict or ABSENT if self.shape is not None else ABSENT

    @property
    def phi(self) -> float | None:
        """UBA's phi*, whatever the recommended family; None when the evidence is thin."""
        return self._phi.best if self._phi is not None else None

    @property
    def phi_interval(self) -> tuple[float, float] | None:
        """The 90 % interval of `phi`."""
        return self._phi.interval if self._phi is not None else None

    @property
    def _phi(self) -> ShapeGuideline | None:
        return next((shape for shape in self.shapes if shape.is_phi), None)
