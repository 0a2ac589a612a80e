"""A proposed trial, an ended trial, a verdict of a ladder: values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

Phase = Literal["explore", "replicate"]
Status = Literal["completed", "stopped", "diverged", "failed"]
Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Trial:
    """A proposed trial.

    Attributes:
        trial_id: ``<cell slug>/explore-0007``, or ``<cell slug>/replicate-0040-uba.1`` for the second replicate of the
            best UBA after 40 explore trials; the same after a restart.
        cell: The cell's key.
        number: Within its cell and phase, from 0.
        family: The family's label in the study.
        schedule: `Schedule.to_dict`.
        finalist: Of a replicate: the configuration that it trains, ``<cell slug>/finalist-0040-uba``.
        origin: Of an explore trial: ``quasi-random``, or the sampler, ``surrogate``, ``tpe`` or ``random``.
    """

    trial_id: str
    cell: str
    phase: Phase
    number: int
    family: str
    schedule: dict[str, Any]
    base_lr: float
    mean_lr: float
    seed: int
    finalist: str | None = None
    origin: str = ""


@dataclass(frozen=True)
class Record:
    """A trial that has ended.

    Attributes:
        steps: Iterations done; less than the budget if stopped, diverged or failed.
        rungs: Iteration and judged value of each rung it reached.
        curve: Points with ``step`` and metrics.
        diagnosed: Points with ``step`` and diagnostics measured on the whole training set.
        final: Last metrics; ``objective`` and, for replicates, ``test_loss`` and ``test_metric`` among them.
        started: Unix time, s.
        seconds: Duration, s.
        reason: Why it diverged or failed.
        traceback: Of the error with which it failed.
    """

    trial: Trial
    status: Status
    steps: int
    rungs: list[tuple[int, float]]
    curve: list[dict[str, float]]
    final: dict[str, float]
    started: float
    seconds: float
    diagnosed: list[dict[str, float]] = field(default_factory=list)
    reason: str = ""
    traceback: str = ""

    def cost(self, mode: Mode) -> float:
        """The objective of a completed trial, its sign turned where large is good: less is better."""
        objective = self.final["objective"]
        return objective if mode == "min" else -objective

    @property
    def comparable(self) -> bool:
        """Whether it may be a family's best: a completed explore trial."""
        return self.status == "completed" and self.trial.phase == "explore"

    def beats(self, held: Record | None, mode: Mode) -> bool:
        """Whether it is comparable and better than ``held``, the best so far, if any."""
        return self.comparable and (held is None or self.cost(mode) < held.cost(mode))

    def light(self) -> Record:
        """A copy without curve, diagnostics and traceback, which would fill memory in a large study."""
        return replace(self, curve=[], diagnosed=[], traceback="")


@dataclass(frozen=True)
class Verdict:
    """A ladder's decision about a trial at a rung.

    Attributes:
        family: The family's label in the study.
        rung: Its number, from 1.
        value: The judged value: the objective on averaged weights.
    """

    trial_id: str
    cell: str
    family: str
    rung: int
    value: float
    goes_on: bool
