"""What the trainers' callbacks have in common: reports of their metrics, and their checkpoints in a trial's save."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.training.function import Trial


def report(trial: Trial, step: int, metrics: Mapping[str, Any], loss: str, metric: str | None) -> bool:
    """Reports a trainer's metrics to a trial, if that is due and not done; returns whether to go on.

    Args:
        trial: The trial.
        step: Optimizer steps done.
        metrics: The trainer's metrics by name; those that are no numbers are left out.
        loss: The one that is the trial's ``val_loss``.
        metric: The one that is the trial's ``val_metric``, if any.

    Raises:
        InputError: There is no metric of such a name.
    """
    if step <= trial.reported or not trial.due(step):
        return True
    numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, Real)}
    names = {"val_loss": loss} if metric is None else {"val_loss": loss, "val_metric": metric}
    for key, name in names.items():
        if name not in numbers:
            raise InputError(f"{key}: the evaluation has no {name!r}; it has {', '.join(sorted(numbers)) or 'nothing'}")
    others = {name: value for name, value in numbers.items() if name not in names.values()}
    return trial.report(step, **others, **{key: numbers[name] for key, name in names.items()})


def require_budget(trial: Trial, steps: float, argument: str) -> None:
    """Raises an `InputError` unless a trainer makes as many optimizer steps as the trial's budget has iterations.

    Args:
        argument: The trainer's argument for it.
    """
    if steps != trial.budget:
        raise InputError(
            f"budget: the trainer makes {steps:g} optimizer steps, the trial's budget is {trial.budget}; "
            f"set {argument}=trial.budget"
        )


def require_start(trial: Trial, step: int, argument: str) -> None:
    """Raises an `InputError` unless a trainer starts where the trial does."""
    if step != trial.start:
        raise InputError(
            f"start: the trainer starts at step {step}, the trial at {trial.start}; "
            f"pass {argument}=callback.checkpoint()"
        )


class WhenSaved:
    """A value that is made when it is pickled, and pickled as that value: a trial need not save what is at hand."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __reduce__(self) -> tuple[Callable[[Any], Any], tuple[Any]]:
        return _same, (self._make(),)


def _same(value: Any) -> Any:
    return value
