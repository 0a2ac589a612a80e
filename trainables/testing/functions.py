"""Conformance tests for functions as workloads. Needs pytest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.testing._training import Entry
from phitune.trainables.training.function import FunctionTraining, HandTrial
from phitune.trainables.training.function.by_hand import Kept
from phitune.trainables.training.function.link import Plan
from phitune.trainables.training.requests import serve
from phitune.trainables.workloads.function import function

__all__ = ["FunctionConformance"]

# Seconds in which a function that is told to stop returns.
_PATIENCE = 30.0


class FunctionConformance:
    """Tests of what a search relies on in a function: subclass it in a test file and name the function.

    .. code-block:: python

        class TestMine(FunctionConformance):
            workload = "my_training:train(width=8)"
            base_lr = 0.05

    Attributes:
        workload: The function as a study names it, with its arguments: a label, or a mapping with ``name``.
        base_lr: A base LR at which it trains.
        budget: Iterations of a trial, at least 16.
        objective: ``val_loss`` or ``val_metric``.
        device: A torch device.
    """

    workload: ClassVar[Entry]
    base_lr: ClassVar[float]
    budget: ClassVar[int] = 40
    objective: ClassVar[str] = "val_loss"
    device: ClassVar[str] = "cpu"

    def test_same_seed_same_numbers(self, tmp_path: Path) -> None:
        assert self._trial(tmp_path).run() == self._trial(tmp_path).run()

    def test_seeds_differ(self, tmp_path: Path) -> None:
        assert self._trial(tmp_path).run() != self._trial(tmp_path, seed=1).run(), "trial.seed changes nothing"

    def test_it_trains_with_the_trial_s_lr(self, tmp_path: Path) -> None:
        usual, small = (self._trial(tmp_path, base_lr=lr).run()[-1] for lr in (self.base_lr, self.base_lr / 100))
        assert usual[self.objective] != small[self.objective], "trial.base_lr changes nothing"

    def test_it_reports_to_the_end(self, tmp_path: Path) -> None:
        curve = self._trial(tmp_path).run()
        assert [point["step"] for point in curve] == sorted(self._plan(tmp_path).due())

    def test_it_returns_when_it_is_told_to(self, tmp_path: Path) -> None:
        rung = self.budget // 4
        training = FunctionTraining(self._function(), replace(self._plan(tmp_path), rungs=(rung,)))
        serve(training.requests(rung), lambda request: None)
        assert training.close(_PATIENCE), f"it still runs {_PATIENCE:g} s after trial.report was false"

    def test_resuming_equals_never_having_stopped(self, tmp_path: Path) -> None:
        whole = self._trial(tmp_path).run()
        ends = [self.budget // 3, self.budget // 2]
        for end in ends:
            cut = _Cut(end)
            trial = HandTrial(self._function(), self._plan(tmp_path), cut)
            try:
                trial.run()
            except _Interrupted:
                rest = trial.resumed()
                assert trial.curve + rest.run() == whole, f"resumed at {rest.start}"
            else:
                pytest.skip("it saves nothing, so a trial whose process dies starts again")

    def _function(self) -> Any:
        entry = self.workload
        return function(Spec.parse(entry) if isinstance(entry, str) else Spec.of(entry))

    def _plan(self, folder: Path, **changes: Any) -> Plan:
        plan = Plan(
            budget=self.budget,
            seed=0,
            device=self.device,
            schedule=schedule("cosine"),
            base_lr=self.base_lr,
            objective=self.objective,
            rungs=(),
            directory=folder,
        )
        return replace(plan, **changes)

    def _trial(self, folder: Path, **changes: Any) -> HandTrial:
        return HandTrial(self._function(), self._plan(folder, **changes))


class _Interrupted(BaseException):
    """Stands for the death of a trial's process."""


class _Cut(Kept):
    """A trial that dies as soon as it has saved after so many iterations."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end

    def save(self, step: int, content: Callable[[], Any]) -> None:
        super().save(step, content)
        if step >= self._end:
            raise _Interrupted
