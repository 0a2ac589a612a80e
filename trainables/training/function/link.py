"""The trial of a function as data, and what is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phitune.trainables.schedules import Schedule
from phitune.trainables.training.config import spaced_steps
from phitune.trainables.training.function.nodes import Nodes

# Points of the recorded curve, as of a class workload's (`Training`).
_POINTS = 8


class TrialEnded(BaseException):
    """Raised inside a function that goes on with a trial that has ended; no handler of `Exception` swallows it."""


@dataclass(frozen=True)
class Plan:
    """What a trial trains, as data that other processes may have.

    Attributes:
        budget: Iterations T.
        seed: The trial's seed.
        device: A torch device.
        schedule: The LR schedule, without base LR.
        base_lr: LR at the schedule's peak.
        objective: ``val_loss`` or ``val_metric``, which every report must hold.
        rungs: The iterations at which the trial is judged.
        directory: Folder for the trial's files; it need not exist.
        start: Iterations done in an earlier process, whose state `Trial.restore` returns.
        observed: Validation losses that a closed-loop schedule has observed until then.
        patience: Seconds in which the function returns once it is told to stop.
    """

    budget: int
    seed: int
    device: str
    schedule: Schedule
    base_lr: float
    objective: str
    rungs: tuple[int, ...]
    directory: Path
    start: int = 0
    observed: tuple[float, ...] = ()
    patience: float = 120.0

    def due(self) -> frozenset[int]:
        """The iterations to report: the rungs, about eight points of the curve, a closed-loop schedule's checks, T."""
        return spaced_steps(1, self.budget, _POINTS) | {*self.rungs, *self.checks(), self.budget}

    def checks(self) -> frozenset[int]:
        """The iterations after which a closed-loop schedule needs the validation loss."""
        return frozenset(self.schedule.check_steps(self.budget).tolist())

    def observed_in(self, curve: Iterable[Mapping[str, float]]) -> tuple[float, ...]:
        """What a closed-loop schedule has observed, with the points of a curve."""
        checks = self.checks()
        return self.observed + tuple(point["val_loss"] for point in curve if point["step"] in checks)


class Link(ABC):
    """What is behind a `Trial`: the search, a debugger, or the process that started this one.

    Attributes:
        leads: Whether its metrics count; those of the other processes of a trial do not.
        nodes: Where `spawn` starts processes.
    """

    leads: bool = True
    nodes: Nodes = Nodes()

    @abstractmethod
    def report(self, step: int, point: Mapping[str, float] | None) -> bool:
        """Takes a point of the curve after ``step`` iterations; returns whether to go on.

        Args:
            point: With ``step``, ``lr`` and the metrics; None for a loss that is not finite.
        """

    @abstractmethod
    def save(self, step: int, content: Callable[[], Any]) -> None:
        """Saves what ``content`` returns, if the last save is long enough ago."""

    @abstractmethod
    def restore(self) -> Any:
        """What was saved at the plan's ``start``; only called if that is not 0."""

    @abstractmethod
    def check(self) -> None:
        """Raises `TrialEnded` if the trial has ended."""
