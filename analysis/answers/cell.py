"""One cell of guidelines.json and the cautions that go with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phitune.analysis.answers.fields import Interval, count, interval, mapping, number, positive, text, wrong
from phitune.analysis.answers.numbers import with_interval
from phitune.analysis.answers.shape_guideline import HasShapes, ShapeGuideline, from_keys, told
from phitune.analysis.answers.sureness import gain_words
from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec

_REQUIRED = ("workload", "optimizer", "budget", "family", "phi", "base_lr")


@dataclass(frozen=True)
class Cell(HasShapes):
    """The conclusions about one workload, optimizer and budget, as far as recommendations need them.

    All intervals are 90 %. A key that an older file lacks reads as unknown: None, False or 0.

    Attributes:
        label: The workload as one string.
        optimizer: Name of the optimizer.
        budget: In iterations.
        full_budget: The workload's full budget in iterations.
        family: The recommended family; None if no trial completed.
        family_reason: Why that family, in plain words.
        base_lr, base_lr_interval: Of the recommended family.
        schedule: The recommended schedule, as `trainables.schedules.from_dict` reads it.
        shapes: The parameters of families of which one or two were searched, whatever the recommended family.
        expected_metric: Validation metric to expect.
        gains: Gain of the recommended family over each baseline, as `families.gain.Gain` has it.
        objective, metric_name: "val_loss" or "val_metric", and the metric's name.
        expected_objective, expected_interval: The objective to expect.
        mixed: Families whose trials differ in more than two parameters, or not in the same ones.
        trials, completed, replicates: Number of explore trials, of those that completed, and of replicates.
    """

    label: str
    optimizer: str
    budget: int
    full_budget: float | None
    family: str | None
    family_reason: str | None
    base_lr: float | None
    base_lr_interval: Interval | None
    schedule: Mapping[str, Any] | None
    shapes: tuple[ShapeGuideline, ...]
    expected_metric: float | None
    trials: int
    completed: int
    replicates: int
    gains: Mapping[str, Any] = field(default_factory=dict)
    objective: str | None = None
    metric_name: str | None = None
    expected_objective: float | None = None
    expected_interval: Interval | None = None
    mixed: tuple[str, ...] = ()

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
        optimizer, budget = text(values, "optimizer"), positive(values, "budget")
        if optimizer is None or budget is None:
            raise wrong("budget" if optimizer else "optimizer", None, "known")
        return cls(
            label=_label(values),
            optimizer=optimizer,
            budget=int(budget),
            full_budget=positive(values, "full_budget"),
            family=text(values, "family"),
            family_reason=text(values, "family_reason"),
            base_lr=positive(values, "base_lr"),
            base_lr_interval=interval(values, "base_lr_interval"),
            schedule=mapping(values, "schedule"),
            shapes=from_keys(values),
            expected_metric=number(values, "expected_metric"),
            trials=count(values, "trials"),
            completed=count(values, "completed"),
            replicates=count(values, "replicates"),
            gains=mapping(values, "gains") or {},
            objective=text(values, "objective"),
            metric_name=text(values, "metric_name"),
            expected_objective=number(values, "expected_objective"),
            expected_interval=interval(values, "expected_interval"),
            mixed=_names(values, "mixed"),
        )

    @property
    def expected(self) -> str:
        """The objective and the metric to expect, in words; empty where unknown."""
        if self.expected_objective is None:
            return self.metric_in_words(self.expected_metric)
        name = "validation loss" if self.objective == "val_loss" else self.metric_name or "objective"
        words = f"{name} {with_interval(self.expected_objective, self.expected_interval)}"
        metric = self.metric_in_words(self.expected_metric) if self.objective == "val_loss" else ""
        return f"{words}, {metric}" if metric else words

    def metric_in_words(self, value: float | None) -> str:
        """A value of the validation metric with its name; empty where unknown or a loss."""
        name = self.metric_name or "validation metric"
        return "" if value is None or "loss" in name else f"{name} {value:.4g}"

    @property
    def gains_in_words(self) -> dict[str, str]:
        """`gains` and how sure they are; without those that the file does not have in full.

        Raises:
            InputError: A value is of the wrong kind.
        """
        words = {}
        for baseline, gain in self.gains.items():
            ends = gain.get("interval")
            size, probability = number(gain, "percent"), number(gain, "probability")
            if size is not None and probability is not None and ends is not None:
                relative = bool(gain.get("relative", True))
                words[baseline] = gain_words(size, (float(ends[0]), float(ends[1])), probability, relative)
        return words

    @property
    def cautions(self) -> list[str]:
        """What the cell's evidence does not settle, in plain words."""
        cautions = []
        speaking = told(self.shapes, self.family)
        for shape in self.all_of(speaking.family if speaking is not None else None):
            cautions += _shape_cautions(shape, self.completed, recommended=shape.family == self.family)
        cautions = list(dict.fromkeys(cautions))
        if self.family in self.mixed:
            cautions.append(
                "no interval of its parameters: more than two vary among its trials, or not the same ones in all"
            )
        if self.trials and not self.replicates:
            cautions.append("no replicates: nothing was trained again on fresh seeds")
        if self.family not in (None, "uba") and self.of("uba") is not None:
            cautions.append(f"another family than UBA is recommended: {self.family_reason or self.family}")
        return cautions


def _shape_cautions(shape: ShapeGuideline, completed: int, recommended: bool) -> list[str]:
    name, cautions = shape.parameter, []
    match shape.verdict:
        case "thin":
            cautions.append(f"too few completed trials ({completed}) to say which {name} is best")
        case "flat":
            cautions.append(
                f"these trials see no effect of {name}; the intervals of the gains say how large one may be"
            )
        case "unclear":
            cautions.append(f"{name}'s interval covers most of the range searched: these trials do not locate it")
        case "boundary":
            cautions.append(
                f"{name}'s interval touches the end of the range searched; widen space.{name} and raise trials"
            )
    for reached, end, further in (
        (shape.base_lr_at_limit, "high", "more"),
        (shape.base_lr_lowest, "low", "less"),
    ):
        if reached and recommended:
            cautions.append(
                f"base LR is as {end} as was tried there, {further} may be better: widen space.base_lr and raise trials"
            )
    return cautions


def _names(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = values.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong(key, names, "a list of names")
    return tuple(names)


def _label(values: Mapping[str, Any]) -> str:
    workload = values["workload"]
    try:
        if not isinstance(workload, str | Mapping):
            raise InputError
        label = text(values, "label") or Spec.of(workload).label
        Spec.parse(label)
    except InputError:
        raise wrong("workload", workload, "a workload's name, or a mapping with `name` and parameters") from None
    return label
