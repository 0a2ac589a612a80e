"""The conclusions about one cell."""

from dataclasses import dataclass
from typing import Any

from phitune.analysis.families.compare import FamilyResult
from phitune.analysis.families.gain import Gain
from phitune.analysis.guidelines.family_choice import FamilyVerdict
from phitune.analysis.surface import CellSurface


@dataclass(frozen=True)
class ShapeGuideline:
    """The conclusions about another family's shape parameter, as about UBA's phi.

    Attributes:
        family: Its label.
        parameter: The parameter's name.
        searched: The range of it.
        verdict: ok, flat, boundary, unclear or thin.
        best: The best value; None when thin.
        interval: Its 90 % interval.
        base_lr: The base LR that belongs to it.
        base_lr_interval: Its 90 % interval.
    """

    family: str
    parameter: str
    searched: tuple[float, float]
    verdict: str
    best: float | None
    interval: tuple[float, float] | None
    base_lr: float | None
    base_lr_interval: tuple[float, float] | None

    @classmethod
    def of(cls, surface: CellSurface) -> "ShapeGuideline":
        """From a fitted surface of a family that was searched."""
        shape = surface.shape
        assert shape is not None
        return cls(
            family=shape.family,
            parameter=shape.parameter,
            searched=(shape.low, shape.high),
            verdict=surface.verdict,
            best=surface.phi,
            interval=surface.phi_interval,
            base_lr=surface.base_lr,
            base_lr_interval=surface.base_lr_interval,
        )


@dataclass(frozen=True)
class CellGuideline:
    """The answer for one cell; the fields of a `cells` entry in guidelines.json.

    Attributes:
        workload: As in a study file: a name, or a mapping with `name` and parameters.
        label: The workload as one string.
        optimizer: Its name.
        budget: In iterations.
        full_budget: The workload's full budget in iterations; None if unknown.
        family: The recommended family: the one with the best expected objective, but UBA where that is within `delta`.
        family_verdict: Why that family; see `guidelines.family_choice`.
        lead_over_uba: The best family's gain over UBA; None where that is UBA or it is not known.
        phi: UBA's phi*, whatever the recommended family; None when the evidence is thin.
        phi_interval: Its 90 % interval.
        no_effect: Probability that phi has no effect once the LR is at its best; None when thin.
        phi_near: Range of phi whose quality is within `delta` of the best.
        delta: What counted as equal on the fitting scale: a relative difference of the objective (of the error, for an
            accuracy), or in units of the spread of the better half of the trials unless `delta_relative`.
        delta_relative: See `delta`.
        delta_budget: What `delta` is worth, as a share of the budget; None if unknown.
        uba_schedule: UBA at `phi`, with the study's warmup, floor and sampling; None when the evidence is thin.
        uba_base_lr: The base LR that belongs to `phi`.
        uba_base_lr_interval: Its 90 % interval.
        phi_range: The range of phi that was searched; None when thin.
        base_lr: Base LR of the recommended family.
        base_lr_interval: Its 90 % interval; None if unknown.
        base_lr_at_limit: Whether UBA's base LR is as high as was tried.
        schedule: The recommended schedule, as `trainables.schedules.from_dict` reads it; None if nothing completed.
        verdict: ok, flat, boundary, unclear or thin (see `surface.CellSurface`); absent if UBA was not searched.
        metric_name: The workload's metric.
        expected_metric: Validation metric to expect; None if unknown.
        objective: Name of what was optimised, val_loss or val_metric.
        expected_objective: Its value to expect.
        expected_interval: Its 90 % interval.
        trials, completed, stopped, diverged, failed: Explore trials by how they ended.
        replicates: Completed replicates.
        gains: Gain of the recommended family over cosine and linear.
        families: All families compared, best first.
        shapes: The other families of which exactly one parameter was searched.
    """

    workload: str | dict[str, Any]
    label: str
    optimizer: str
    budget: int
    full_budget: int | None
    family: str | None
    family_verdict: FamilyVerdict
    lead_over_uba: Gain | None
    phi: float | None
    phi_interval: tuple[float, float] | None
    no_effect: float | None
    phi_near: tuple[float, float] | None
    phi_range: tuple[float, float] | None
    delta: float
    delta_relative: bool
    delta_budget: float | None
    uba_schedule: dict[str, Any] | None
    uba_base_lr: float | None
    uba_base_lr_interval: tuple[float, float] | None
    base_lr: float | None
    base_lr_interval: tuple[float, float] | None
    base_lr_at_limit: bool
    schedule: dict[str, Any] | None
    verdict: str
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
    families: tuple[FamilyResult, ...]
    shapes: tuple[ShapeGuideline, ...]
