"""Tasks that train together on one device, in as many populations as they need."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from phitune.trainables.population.population import Member, Population
from phitune.trainables.spec import Spec
from phitune.trainables.training import Ask, Evaluate, Step, TrialConfig
from phitune.trainables.trial.task import Task
from phitune.trainables.workloads import Learner, Workload
from phitune.trainables.workloads.torch.torch_workload import TorchWorkload

Report = dict[str, Any]


@dataclass
class Round:
    """What came of a round: reports, and errors that a fresh process may not meet, by the tasks' keys."""

    reports: dict[str, Report] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)


@dataclass(eq=False)
class _Worker:
    """A task at work.

    Attributes:
        rows: How many trials its population holds.
        asks: Its way to the next report; None while nobody wants one.
        ask: What it asks for now; None before its way has begun.
    """

    key: str
    task: Task
    rows: int
    asks: Generator[Ask, Any, Report] | None = None
    ask: Ask | None = None
    place: tuple[Population, Member] | None = None

    def leave(self) -> None:
        """Gives its place to others, if it has one."""
        if self.place is not None:
            population, member = self.place
            population.leave(member)
            self.place = None

    def move(self, done: Round, answer: Any = None) -> None:
        """Moves on with an answer, or an error in its place, to what it asks for next or to its report."""
        assert self.asks is not None, "it waits to be told to go on"
        try:
            self.ask = self.asks.throw(answer) if isinstance(answer, Exception) else self.asks.send(answer)
            return
        except StopIteration as end:
            done.reports[self.key] = end.value
        except Exception as error:
            done.errors[self.key] = error
        self.asks = self.ask = None


class Crew:
    """Trains tasks in rounds: in each, every task that has something to do takes one step.

    Tasks of one workload and optimizer are a population, whatever their budgets. A task that ends, or waits to be told
    to go on, holds up no other.

    Args:
        device: A torch device.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._workers: dict[str, _Worker] = {}
        self._populations: dict[tuple[Workload, str], Population] = {}

    @property
    def idle(self) -> bool:
        """Whether no task has anything to do."""
        return all(worker.asks is None for worker in self._workers.values())

    def begin(self, key: str, text: str, rows: int) -> None:
        """Takes on a task; it trains when it is told to go on.

        Args:
            key: Its name here.
            text: See `Task`.
            rows: How many trials its population may hold.
        """

        def new_learner(workload: Workload, trial: TrialConfig) -> Learner:
            # By its name: a task that knows its worker would be kept, with all the memory of its population.
            worker = self._workers[key]
            # A second start, where a checkpoint was of no use, takes the place of the first.
            worker.leave()
            population = self._population(workload, trial.optimizer, rows)
            worker.place = population, population.enter(trial.seed)
            return worker.place[1]

        self.end(key)
        self._workers[key] = _Worker(key, Task(text, self._device, new_learner), rows)

    def go_on(self, key: str) -> None:
        """Has a task train to its next report."""
        self._workers[key].asks = self._workers[key].task.asks()

    def end(self, key: str) -> None:
        """Forgets a task, if it is here."""
        if key in self._workers:
            self._workers.pop(key).leave()

    def give_back(self) -> None:
        """Lets go of populations that nobody is in, and of the device's memory that nobody uses."""
        held = len(self._populations)
        self._populations = {key: kept for key, kept in self._populations.items() if len(kept)}
        if len(self._populations) == held:
            return
        # Errors refer to those that met them, and back.
        gc.collect()
        if torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()

    def round(self) -> Round:
        """One step of every task that has something to do."""
        done = Round()
        for worker in self._workers.values():
            if worker.asks is not None and worker.ask is None:
                worker.move(done)
        while evaluating := self._evaluating():
            for (population, ask), those in evaluating.items():
                members = [member for member, _ in those]
                outcomes = _each(partial(population.evaluate, members, *ask), len(those))
                for (_, worker), outcome in zip(those, outcomes, strict=True):
                    worker.move(done, outcome)
        for population, steps in self._stepping().items():
            wanted = {member: step for member, (_, step) in steps.items()}
            losses = _each(partial(population.step, wanted), len(steps))
            for (worker, _), loss in zip(steps.values(), losses, strict=True):
                worker.move(done, loss)
        return done

    def _population(self, workload: Workload, optimizer: str, rows: int) -> Population:
        assert isinstance(workload, TorchWorkload), "other workloads have no population"
        key = (workload, optimizer)
        if key not in self._populations:
            self.give_back()
            self._populations[key] = Population(workload, Spec.parse(optimizer), rows, self._device)
        return self._populations[key]

    def _evaluating(self) -> dict[tuple[Population, Evaluate], list[tuple[Member, _Worker]]]:
        """Who asks for the same evaluation, by population."""
        found: dict[tuple[Population, Evaluate], list[tuple[Member, _Worker]]] = defaultdict(list)
        for worker in self._workers.values():
            if worker.place is not None and isinstance(worker.ask, Evaluate):
                found[worker.place[0], worker.ask].append((worker.place[1], worker))
        return found

    def _stepping(self) -> dict[Population, dict[Member, tuple[_Worker, Step]]]:
        """Who asks for a step, by population."""
        found: dict[Population, dict[Member, tuple[_Worker, Step]]] = defaultdict(dict)
        for worker in self._workers.values():
            if worker.place is not None and isinstance(worker.ask, Step):
                found[worker.place[0]][worker.place[1]] = worker, worker.ask
        return found


def _each(move: Callable[[], Sequence[Any]], count: int) -> Sequence[Any]:
    """What came of a move for each that makes it; an error in the move itself is theirs, and of nobody else."""
    try:
        return move()
    except Exception as error:
        return [error] * count
