"""Trials as callbacks of trainers see them: one that is stopped, one whose process dies."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from phitune.trainables.schedules import Schedule, schedule
from phitune.trainables.training.function import Trial
from phitune.trainables.training.function.link import Link, Plan

LINEAR = schedule("linear")


class Search(Link):
    """A search that keeps what a trial reports and saves, and stops it after some step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.curve: list[dict[str, float]] = []
        self.diverged_at: int | None = None
        self.saved: tuple[int, bytes] | None = None
        self._stop_after = stop_after

    def report(self, step: int, point: Mapping[str, float] | None) -> bool:
        if point is None:
            self.diverged_at = step
            return False
        self.curve.append(dict(point))
        return self._stop_after is None or step < self._stop_after

    def save(self, step: int, content: Callable[[], Any]) -> None:
        self.saved = step, pickle.dumps(content())

    def restore(self) -> Any:
        assert self.saved is not None
        return pickle.loads(self.saved[1])

    def check(self) -> None:
        pass


def plan(directory: Path, budget: int, a_schedule: Schedule = LINEAR, **more: Any) -> Plan:
    settings = {"seed": 0, "device": "cpu", "base_lr": 0.01, "objective": "val_loss", "rungs": (), **more}
    return Plan(budget=budget, schedule=a_schedule, directory=directory, **settings)


def resumed(a_plan: Plan, search: Search) -> tuple[Trial, Search]:
    """The trial of a plan that goes on from what a search has saved, and its own search."""
    assert search.saved is not None
    after = Search()
    after.saved = search.saved
    points = [point for point in search.curve if point["step"] <= search.saved[0]]
    return Trial(replace(a_plan, start=search.saved[0], observed=a_plan.observed_in(points)), after), after
