"""The sections of a study file: their keys, checks and defaults."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
)

from phitune.search.study.families import Range
from phitune.trainables.schedules import Uba

_PHI = Uba.parameters["phi"]


class Section(BaseModel):
    """A group of keys; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _ordered(value: Range | None) -> Range | None:
    if value is not None and not (0 < value[0] < value[1] < math.inf):
        raise ValueError("it must be [low, high] with 0 < low < high")
    return value


def _numbers(value: Any) -> Any:
    """The ends with ``"5%"`` as 0.05; anything else as it is."""
    if not isinstance(value, list | tuple):
        return value
    return [_share(end) if isinstance(end, str) and end.endswith("%") else end for end in value]


LogRange = Annotated[Range, BeforeValidator(_numbers), AfterValidator(_ordered)]


class Space(Section):
    """Ranges, log-uniform; ``base_lr`` defaults to the workload's and optimizer's.

    Further keys are families' parameters, ``rate`` or ``exponential.rate``, which are then searched.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, LogRange]

    phi: LogRange = (_PHI.low, _PHI.high)
    base_lr: LogRange | None = None

    @property
    def parameters(self) -> dict[str, Range]:
        """All ranges except the base LR's."""
        return {"phi": self.phi, **(self.__pydantic_extra__ or {})}


class Composition(Section):
    """Modifications of every family's profile; see `trainables.schedules.Schedule`.

    Warmup as a share of the budget (``5%`` or 0.05) or in iterations, floor as a share of the base LR, sampling as a
    share of the budget or a list of points.
    """

    warmup: StrictInt | StrictFloat | StrictStr = 0
    floor: StrictInt | StrictFloat | StrictStr = 0
    sampling: StrictFloat | StrictStr | list[StrictFloat | StrictStr] | None = None

    def changes(self) -> dict[str, Any]:
        """The values that differ from their default."""
        return self.model_dump(exclude_defaults=True)


class Diagnostics(Section):
    """Measurements on the whole training set; see `trainables.training.Diagnostics`."""

    gradient_points: StrictInt = Field(0, ge=0, le=1000)
    hessian: StrictBool = False
    examples: Annotated[StrictInt, Field(ge=1)] | None = None
    trials: Literal["replicates", "all"] = "replicates"

    def of(self, replicate: bool) -> dict[str, Any]:
        """The settings for a trial."""
        return self.model_dump(exclude={"trials"}) if replicate or self.trials == "all" else {}


class Asha(Section):
    """The ladder of a cell; see `search.stopping.ladder.Ladder`.

    ``rungs`` are shares of the budget, such as ``25%``; at each of them the best of every ``reduction`` trials goes on,
    once ``minimum`` trials have been there.
    """

    rungs: list[StrictFloat | StrictStr] = Field(default=["25%", "50%"], min_length=1)
    reduction: StrictInt = Field(2, ge=2)
    minimum: StrictInt = Field(5, ge=1)

    @field_validator("rungs")
    @classmethod
    def _shares_below_one(cls, value: list[float | str]) -> list[float | str]:
        if not all(0 < share < 1 for share in map(_share, value)):
            raise ValueError("rungs must be shares of the budget above 0 and below 1, such as 25% or 0.25")
        return value

    @property
    def shares(self) -> list[float]:
        """The rungs as fractions of the budget."""
        return [_share(rung) for rung in self.rungs]


class Auto(Section):
    """Explore trials of a cell: as many as are worth it, ``most`` at most; see `search.proposing.cell`."""

    most: StrictInt = Field(ge=1, le=1_000_000)


class Resources(Section):
    """Resources of one trial; ``gpu`` may be a fraction 1/k. With several ``nodes``, it has as much on each of them."""

    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    gpu: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    nodes: StrictInt = Field(1, ge=1, le=1000)

    @field_validator("cpu", "gpu", mode="before")
    @classmethod
    def _one_over(cls, value: object) -> object:
        parts = isinstance(value, str) and re.fullmatch(r"1/([1-9]\d*)", value)
        return 1 / int(parts[1]) if parts else value

    @field_validator("cpu", "gpu")
    @classmethod
    def _whole_or_fraction(cls, value: float) -> float:
        count = 1 / value if 0 < value < 1 else value
        if abs(count - round(count)) > 1e-6 * max(count, 1):
            raise ValueError("it must be a whole number or 1/k, such as 1/3")
        return value


class FunctionEntry(Section):
    """What an entry of ``workloads`` says of a function besides its arguments; see docs/reference/workloads.md.

    ``artifacts`` are the trials of which MLflow gets the files that the function wrote.
    """

    full_budget: Annotated[StrictInt, Field(ge=1)]
    base_lr: LogRange | None = None
    objective: Literal["val_loss", "val_metric"] = "val_loss"
    metric_name: StrictStr = "metric"
    metric_mode: Literal["min", "max"] = "max"
    artifacts: Literal["none", "replicates", "all"] = "none"


class Failures(Section):
    """Limits for trials that are lost or hang; see docs/reference/failures.md."""

    checkpoint_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60
    hung_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120


def _share(value: float | str) -> float:
    """``"25%"`` as 0.25; nan for text that is no percentage."""
    if not isinstance(value, str):
        return value
    try:
        return float(value.removesuffix("%")) / 100 if value.endswith("%") else math.nan
    except ValueError:
        return math.nan
