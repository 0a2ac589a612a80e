"""One cell of guidelines.json and the cautions that go with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec

_REQUIRED = ("workload", "optimizer", "budget", "family", "phi", "base_lr")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """The conclusions about one workload, optimizer and budget, as far as recommendations need them.

    All intervals are 90 %. A key that an older file lacks reads as unknown: None, False or 0.

    Attributes:
        label: The workload as one string.
        optimizer: Name of the optimizer.
        budget: In iterations.
        full_budget: The workload's full budget in iterations.
        verdict: On phi: ok, flat, boundary, unclear, thin, or absent (UBA was not searched).
        family: The recommended family; None if no trial completed.
        family_reason: Why that family, in plain words.
        base_lr, base_lr_interval: Of the recommended family.
        schedule: The recommended schedule, as `trainables.schedules.from_dict` reads it.
        phi, phi_interval: UBA's phi*, whatever the recommended family.
        uba_schedule: UBA at `phi`, with the study's warmup, floor and sampling.
        uba_base_lr, uba_base_lr_interval: The base LR that goes with `phi`.
        base_lr_at_limit: Whether UBA's base LR is as high as was tried.
        expected_metric: Validation metric to expect.
        trials, completed, replicates: Number of explore trials, of those that completed, and of replicates.
    """

    label: str
    optimizer: str
    budget: int
    full_budget: float | None
    verdict: str | None
    family: str | None
    family_reason: str | None
    base_lr: float | None
    base_lr_interval: Interval | None
    schedule: Mapping[str, Any] | None
    phi: float | None
    phi_interval: Interval | None
    uba_schedule: Mapping[str, Any] | None
    uba_base_lr: float | None
    uba_base_lr_interval: Interval | None
    base_lr_at_limit: bool
    expected_metric: float | None
    trials: int
    completed: int
    replicates: int

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Cell":
        """From an entry of `cells` in guidelines.json; unknown keys are ignored.

        Raises:
            InputError: A required field is missing or a value is of the wrong kind; the message continues the words
                "a cell".
        """
        if not isinstance(values, Mapping):
            raise InputError(f"that is {values!r}; it must be a mapping")
        for key in _REQUIRED:
            if key not in values:
                raise InputError(f"without {key!r}")
        optimizer, budget = _text(values, "optimizer"), _positive(values, "budget")
        if optimizer is None or budget is None:
            raise _wrong("budget" if optimizer else "optimizer", None, "known")
        return cls(
            label=_label(values),
            optimizer=optimizer,
            budget=int(budget),
            full_budget=_positive(values, "full_budget"),
            verdict=_text(values, "verdict"),
            family=_text(values, "family"),
            family_reason=_text(values, "family_reason"),
            base_lr=_positive(values, "base_lr"),
            base_lr_interval=_interval(values, "base_lr_interval"),
            schedule=_mapping(values, "schedule"),
            phi=_positive(values, "phi"),
            phi_interval=_interval(values, "phi_interval"),
            uba_schedule=_mapping(values, "uba_schedule"),
            uba_base_lr=_positive(values, "uba_base_lr"),
            uba_base_lr_interval=_interval(values, "uba_base_lr_interval"),
            base_lr_at_limit=bool(values.get("base_lr_at_limit")),
            expected_metric=_number(values, "expected_metric"),
            trials=_count(values, "trials"),
            completed=_count(values, "completed"),
            replicates=_count(values, "replicates"),
        )

    @property
    def cautions(self) -> list[str]:
        """What the cell's evidence does not settle, in plain words."""
        cautions = []
        if self.verdict == "thin":
            cautions.append(f"too few completed trials ({self.completed}) to say which phi is best")
        elif self.verdict == "flat":
            cautions.append("these trials see no effect of phi; the intervals of the gains say how large one may be")
        elif self.verdict == "unclear":
            cautions.append("phi's interval covers most of the range searched: these trials do not locate it")
        elif self.verdict == "boundary":
            cautions.append("phi's interval touches the end of the range searched; widen space.phi and raise trials")
        if self.base_lr_at_limit and self.family == "uba":
            cautions.append(
                "base LR is as high as was tried there, more may be better: widen space.base_lr and raise trials"
            )
        if self.trials and not self.replicates:
            cautions.append("no replicates: nothing was trained again on fresh seeds")
        if self.family not in (None, "uba"):
            cautions.append(f"another family than UBA is recommended: {self.family_reason or self.family}")
        return cautions


def _wrong(key: str, value: object, allowed: str) -> InputError:
    return InputError(f"whose {key!r} is {value!r}; it must be {allowed}")


def _label(values: Mapping[str, Any]) -> str:
    workload = values["workload"]
    try:
        if not isinstance(workload, str | Mapping):
            raise InputError
        label = _text(values, "label") or Spec.of(workload).label
        Spec.parse(label)
    except InputError:
        raise _wrong("workload", workload, "a workload's name, or a mapping with `name` and parameters") from None
    return label


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(key, value, "text")
    return value


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(key, value, "a number")
    return float(value)


def _positive(values: Mapping[str, Any], key: str) -> float | None:
    value = _number(values, key)
    if value is not None and not value > 0:
        raise _wrong(key, value, "positive")
    return value


def _count(values: Mapping[str, Any], key: str) -> int:
    return int(_number(values, key) or 0)


def _interval(values: Mapping[str, Any], key: str) -> Interval | None:
    ends = values.get(key)
    if ends is None:
        return None
    if not isinstance(ends, list) or len(ends) != 2:
        raise _wrong(key, ends, "a list of two numbers")
    low, high = (_positive({key: end}, key) for end in ends)
    if low is None or high is None:
        raise _wrong(key, ends, "a list of two numbers")
    return low, high


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = values.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise _wrong(key, value, "a mapping")
    return value
