"""A trial by hand: the function of a study, in this process, for a debugger."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training.function.generators import seed_generators
from phitune.trainables.training.function.link import Link, Plan
from phitune.trainables.training.function.packing import packed
from phitune.trainables.training.function.trial import Trial
from phitune.trainables.workloads.function import Function, function


def trial(
    workload: str,
    *,
    budget: int,
    base_lr: float,
    family: str = "uba",
    seed: int = 0,
    device: str = "cpu",
    objective: str = "val_loss",
    directory: str | Path | None = None,
    **parameters: Any,
) -> HandTrial:
    """A trial of a function workload, to be run in this process, where a debugger works.

    For instance ``phitune.trial("my_training:train", phi=2.0, base_lr=0.1, budget=1000).run()``, or the same function
    with this trial: ``my_training.train(trial)``.

    Args:
        workload: The function as a study file names it, perhaps with arguments: ``my_training:train(width=128)``.
        budget: Iterations T.
        base_lr: LR at the schedule's peak.
        family: The schedule's family.
        seed: The trial's seed.
        device: A torch device.
        objective: ``val_loss`` or ``val_metric``.
        directory: Folder for the trial's files; a temporary one by default.
        parameters: The family's, such as ``phi``.

    Raises:
        InputError: A function that cannot be a workload, an unknown argument, or a schedule that cannot be.
    """
    plan = Plan(
        budget=budget,
        seed=seed,
        device=device,
        schedule=schedule(family, **parameters),
        base_lr=base_lr,
        objective=objective,
        rungs=(),
        directory=Path(directory if directory is not None else tempfile.mkdtemp(prefix="phitune-")),
    )
    return HandTrial(function(Spec.parse(workload, "workload")), plan)


class HandTrial(Trial):
    """A trial by hand: it is never stopped, and keeps what is reported and saved.

    Args:
        function: The function with its arguments.
        plan: The trial.
        kept: Where it reports and saves; with what an earlier trial of the same plan saved at the plan's ``start``.

    Attributes:
        curve: The reported points, oldest first.
    """

    def __init__(self, function: Function, plan: Plan, kept: Kept | None = None) -> None:
        self._kept = kept or Kept()
        super().__init__(plan, self._kept)
        self._function = function
        self.curve = self._kept.curve
        seed_generators(plan.seed)

    def run(self) -> list[dict[str, float]]:
        """Calls the function with this trial and its arguments; returns the curve."""
        self._function.call(self)
        return self.curve

    def resumed(self) -> HandTrial:
        """A trial that goes on from the last `save`, as one does whose process died; the curve holds what follows."""
        before = [point for point in self.curve if point["step"] <= self._kept.step]
        plan = replace(self._plan, start=self._kept.step, observed=self._plan.observed_in(before))
        return HandTrial(self._function, plan, Kept(self._kept.saved))


class Kept(Link):
    """What a trial by hand reports and saves."""

    def __init__(self, saved: bytes = b"") -> None:
        self.curve: list[dict[str, float]] = []
        self.step = 0
        self.saved = saved

    def report(self, step: int, point: Mapping[str, float] | None) -> bool:
        if point is not None:
            self.curve.append(dict(point))
        return point is not None

    def save(self, step: int, content: Callable[[], Any]) -> None:
        # Every time: what cannot be saved is to be seen here.
        self.step, self.saved = step, packed(content())

    def check(self) -> None:
        """Nothing: a trial by hand never ends from outside."""

    def restore(self) -> Any:
        return self.saved
