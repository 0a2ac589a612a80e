"""Trials in a population beside the same trials alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phitune.trainables.population.population import Member, Population
from phitune.trainables.spec import Spec, Value
from phitune.trainables.training import Step
from phitune.trainables.workloads import Learner, workload
from phitune.trainables.workloads.base import Diagnosis
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

OPTIMIZERS = ("sgd", "sgd(nesterov=true)", "sgd(momentum=0)", "adam", "adamw", "amsgrad")
GRADIENT = Diagnosis(examples=100)


def precise_workload(name: str, **params: Value) -> TorchWorkload:
    built = workload(Spec.of({"name": name, "precision": "fp64", **params}))
    assert isinstance(built, TorchWorkload)
    return built


def gpt(folder: Path, **params: Value) -> TorchWorkload:
    """A GPT on so little text that it is judged quickly."""
    text = folder / "text.txt"
    text.write_text(" ".join(str(number * number) for number in range(1000)), encoding="utf-8")
    return precise_workload("gpt-nano/text", path=str(text), **params)


class Twins:
    """Each trial twice, in a population and alone; their numbers must agree.

    Args:
        built: The workload.
        optimizer: The optimizer's label.
        tolerance: Largest difference, relative to numbers above 1.
    """

    def __init__(self, built: TorchWorkload, optimizer: str, capacity: int = 4, tolerance: float = 1e-9) -> None:
        self.workload = built
        self.optimizer = Spec.parse(optimizer)
        self.population = Population(built, self.optimizer, capacity)
        self.members: dict[int, Member] = {}
        self.alone: dict[int, Learner] = {}
        self.tolerance = tolerance

    def enter(self, seed: int) -> None:
        self.members[seed] = self.population.enter(seed)
        self.alone[seed] = self.workload.learner(self.optimizer, seed, 100)

    def leave(self, seed: int) -> None:
        self.population.leave(self.members.pop(seed))
        del self.alone[seed]

    def return_(self, seed: int) -> None:
        """Ends a trial and begins it again from what the other one saved."""
        states = self.alone[seed].state_dict(), self.members[seed].state_dict()
        self.leave(seed)
        self.enter(seed)
        self.members[seed].load_state_dict(states[0])
        self.alone[seed].load_state_dict(states[1])

    def step(self, requests: Mapping[int, Step]) -> None:
        losses = self.population.step({self.members[seed]: step for seed, step in requests.items()})
        for (seed, step), loss in zip(requests.items(), losses, strict=True):
            self._assert_close(float(loss), float(self.alone[seed].step(*step)), f"loss of {seed}")

    def train(self, steps: int, lr: float) -> None:
        for _ in range(steps):
            self.step({seed: Step(lr * (1 + number), None) for number, seed in enumerate(self.members)})

    def check(self, *, diagnosis: Diagnosis | None = None) -> None:
        for seed, member in self.members.items():
            alone = self.alone[seed]
            here, there = member.state_dict(), alone.state_dict()
            assert here["steps"] == there["steps"]
            for part in ("model", "average"):
                self._assert_close(here[part], there[part], f"{part} of {seed}")
            states = [state["optimizer"]["state"] for state in (here, there)]
            # Torch has no buffer before there was momentum.
            states[1] = states[1] or {
                n: {name: torch.zeros_like(part) for name, part in parts.items()} for n, parts in states[0].items()
            }
            self._assert_close(*states, f"optimizer of {seed}")
            for averaged in (False, True):
                pair = (learner.evaluate("val", averaged) for learner in (member, alone))
                self._assert_close(*map(vars, pair), f"evaluation of {seed}")
            self._assert_close(vars(member.norms()), vars(alone.norms()), f"norms of {seed}")
            if diagnosis is not None:
                self._assert_close(member.diagnose(diagnosis), alone.diagnose(diagnosis), f"diagnosis of {seed}")

    def _assert_close(self, here: Any, there: Any, what: str) -> None:
        if isinstance(there, Mapping):
            assert here.keys() == there.keys(), what
            for key in there:
                self._assert_close(here[key], there[key], f"{what}: {key}")
        elif isinstance(there, Tensor) and there.is_floating_point():
            assert here.dtype == there.dtype and here.shape == there.shape, what
            # A view would be saved with all that it is a view of.
            assert here.untyped_storage().nbytes() == there.untyped_storage().nbytes(), what
            largest = max(1.0, float(there.abs().max())) if there.numel() else 1.0
            torch.testing.assert_close(here, there, rtol=0, atol=self.tolerance * largest, equal_nan=True, msg=what)
        elif isinstance(there, Tensor):
            # Nobody reads an average's counters: they are the fresh model's where a trial is alone.
            assert "average" in what or torch.equal(here, there), what
        else:
            assert here == pytest.approx(there, rel=self.tolerance, abs=self.tolerance, nan_ok=True), what
            assert math.isfinite(here) == math.isfinite(there), what
