"""Learners of many trials that step together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.spec import Spec
from phitune.trainables.training.requests import Step
from phitune.trainables.workloads.base import Diagnosis, Evaluation, Learner, Norms, Split
from phitune.trainables.workloads.learning.device import seeded
from phitune.trainables.workloads.learning.full_batch import measure
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_Value = TypeVar("_Value")


class Population:
    """Up to ``capacity`` trials of one workload and optimizer on one device, which enter and leave at any time.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        capacity: Largest number of trials at once.
        device: A torch device.
        convolution: See `Stack`.

    Raises:
        ValueError: The optimizer cannot train many at once.
    """

    def __init__(
        self,
        workload: TorchWorkload,
        optimizer: Spec,
        capacity: int,
        device: str = "cpu",
        convolution: str | None = None,
    ) -> None:
        self.workload = workload
        self.device = device
        self.stack = Stack(workload, optimizer, capacity, device, convolution)
        self._members: list[Member] = []

    def __len__(self) -> int:
        return len(self._members)

    @property
    def full(self) -> bool:
        """Whether all places are taken."""
        return len(self) == self.stack.capacity

    def enter(self, seed: int) -> Member:
        """Adds a fresh learner.

        Raises:
            ValueError: The population is full.
        """
        if self.full:
            raise ValueError(f"the population has no room for more than {self.stack.capacity} trials")
        row = len(self._members)
        self.stack.begin(row, seed)
        member = Member(self, seed, row)
        self._members.append(member)
        return member

    def leave(self, member: Member) -> None:
        """Removes a learner, which must not be used after that."""
        last = self._members.pop()
        if last is not member:
            self.stack.move(last.row, member.row)
            self._members[member.row], last.row = last, member.row

    def step(self, requests: Mapping[Member, Step]) -> list[Loss | Exception]:
        """One iteration of some learners.

        Returns:
            The loss of each, or the error in its place, in the order of the requests.
        """
        # Learners that step are moved to the first rows; so few rows are swapped when one comes or goes.
        idle = [member for member in self._members[: len(requests)] if member not in requests]
        for member in requests:
            if member.row >= len(requests):
                self._swap(member.row, idle.pop().row)
        stepping = self._members[: len(requests)]
        steps = [requests[member] for member in stepping]
        seeds, lrs, momenta = [m.seed for m in stepping], [s.lr for s in steps], [s.momentum for s in steps]
        tensor, errors = self.stack.step(seeds, lrs, momenta)
        losses = _Losses(tensor)
        return [errors.get(member.row) or Loss(losses, member.row) for member in requests]

    def evaluate(self, members: Sequence[Member], split: Split, averaged: bool) -> list[Evaluation | Exception]:
        """Loss and metric of some learners over a split, or the error in their place."""
        return self.stack.evaluate([member.row for member in members], split, averaged)

    def _swap(self, first: int, second: int) -> None:
        if first == second:
            return
        members = self._members
        self.stack.swap(first, second)
        members[first], members[second] = members[second], members[first]
        members[first].row, members[second].row = first, second


class Member(Learner):
    """One trial's learner in a population."""

    def __init__(self, population: Population, seed: int, row: int) -> None:
        self._population = population
        self.seed = seed
        self.row = row

    def step(self, lr: float, momentum: float | None = None) -> float:
        return float(value_of(self._population.step({self: Step(lr, momentum)})[0]))

    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        return value_of(self._population.evaluate([self], split, averaged)[0])

    def norms(self) -> Norms:
        return Norms(*self._population.stack.norms(self.row))

    def diagnose(self, diagnosis: Diagnosis) -> dict[str, float]:
        population = self._population
        model = population.stack.module(self.row).eval()
        try:
            # A data loader draws random numbers even where nothing is shuffled.
            with seeded(0, population.device):
                return measure(population.workload, model, diagnosis, population.device)
        finally:
            model.train()

    def state_dict(self) -> dict[str, Any]:
        return self._population.stack.state_dict(self.row)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._population.stack.load_state_dict(self.row, state)


class _Losses:
    """Losses of one step, fetched from the device when the first of them is read."""

    def __init__(self, losses: Tensor) -> None:
        self._losses = losses
        self._fetched: NDArray[np.float64] | None = None

    def __getitem__(self, row: int) -> float:
        if self._fetched is None:
            self._fetched = self._losses.double().cpu().numpy()
        return float(self._fetched[row])


class Loss:
    """A trial's loss at one step; `float` waits until the device has computed it."""

    __slots__ = ("_losses", "_row")

    def __init__(self, losses: _Losses, row: int) -> None:
        self._losses, self._row = losses, row

    def __float__(self) -> float:
        return self._losses[self._row]


def value_of(outcome: _Value | Exception) -> _Value:
    """Raises the outcome if it is an error, and returns it otherwise."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
