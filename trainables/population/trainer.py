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
from phitune.trainables.training.config import TrialConfig
from phitune.trainables.training.requests import Evaluate, Request, Step
from phitune.trainables.training.task import Task
from phitune.trainables.workloads import Learner, Workload
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

Report = dict[str, Any]


@dataclass
class Outcomes:
    """Results of one step of a `JointTrainer`, by the tasks' keys.

    Attributes:
        reports: Reports of the tasks that have reached one.
        errors: Errors that a fresh process may not meet.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)


@dataclass(eq=False)
class _TaskRun:
    """A task and its place in a population.

    Attributes:
        rows: Capacity of its population.
        requests: Generator that trains the task to its next report; None when idle.
        request: The request to answer next; None before the generator has started.
        place: Its population and the learner there; None before it has entered one.
    """

    key: str
    task: Task
    rows: int
    requests: Generator[Request, Any, Report] | None = None
    request: Request | None = None
    place: tuple[Population, Member] | None = None

    def leave(self) -> None:
        """Frees its place in the population, if it has one."""
        if self.place is not None:
            population, member = self.place
            population.leave(member)
            self.place = None

    def advance(self, outcomes: Outcomes, answer: Any = None) -> None:
        """Passes on an answer, or the error in its place; runs to the next request, or to the report."""
        assert self.requests is not None, "an idle task has no request to answer"
        try:
            send = self.requests.throw if isinstance(answer, Exception) else self.requests.send
            self.request = send(answer)
            return
        except StopIteration as end:
            outcomes.reports[self.key] = end.value
        except Exception as error:
            outcomes.errors[self.key] = error
        self.requests = self.request = None


class JointTrainer:
    """Trains tasks together: `step` advances every task that is not idle by one iteration.

    Tasks of one workload and optimizer form a population, whatever their budgets. A task that ends, or is idle until
    it is resumed, holds up no other.

    Args:
        device: A torch device.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._runs: dict[str, _TaskRun] = {}
        self._populations: dict[tuple[Workload, str], Population] = {}

    @property
    def idle(self) -> bool:
        """Whether all tasks are idle."""
        return all(run.requests is None for run in self._runs.values())

    def add(self, key: str, text: str, rows: int) -> None:
        """Adds an idle task; `resume` starts it.

        Args:
            key: Its name here; it replaces a task of the same name.
            text: See `Task`.
            rows: Capacity of its population.
        """

        def new_learner(workload: Workload, trial: TrialConfig) -> Learner:
            # By its key: a task that refers to its run would be kept, with all the memory of its population.
            run = self._runs[key]
            # A second start, after a checkpoint that was of no use, replaces the first.
            run.leave()
            population = self._population(workload, trial.optimizer, rows)
            run.place = population, population.enter(trial.seed)
            return run.place[1]

        self.remove(key)
        self._runs[key] = _TaskRun(key, Task(text, self._device, new_learner), rows)

    def resume(self, key: str) -> None:
        """Has a task train to its next report."""
        self._runs[key].requests = self._runs[key].task.requests()

    def remove(self, key: str) -> None:
        """Removes a task, if it is here."""
        if key in self._runs:
            self._runs.pop(key).leave()

    def release_memory(self) -> None:
        """Drops empty populations, and returns unused memory to the device."""
        before = len(self._populations)
        self._populations = {key: population for key, population in self._populations.items() if len(population)}
        if len(self._populations) == before:
            return
        # Errors and the frames that raised them refer to each other.
        gc.collect()
        if torch.device(self._device).type == "cuda":
            torch.cuda.empty_cache()

    def step(self) -> Outcomes:
        """One iteration of every task that is not idle, and the evaluations that are due before it."""
        outcomes = Outcomes()
        for run in self._runs.values():
            if run.requests is not None and run.request is None:
                run.advance(outcomes)
        while evaluations := self._evaluations():
            for (population, request), runs in evaluations.items():
                members = [member for member, _ in runs]
                answers = _answers(partial(population.evaluate, members, *request), len(runs))
                for (_, run), answer in zip(runs, answers, strict=True):
                    run.advance(outcomes, answer)
        for population, steps in self._steps().items():
            requests = {member: step for member, (_, step) in steps.items()}
            losses = _answers(partial(population.step, requests), len(steps))
            for (run, _), loss in zip(steps.values(), losses, strict=True):
                run.advance(outcomes, loss)
        return outcomes

    def _population(self, workload: Workload, optimizer: str, rows: int) -> Population:
        assert isinstance(workload, TorchWorkload), "other workloads have no population"
        key = (workload, optimizer)
        if key not in self._populations:
            self.release_memory()
            self._populations[key] = Population(workload, Spec.parse(optimizer), rows, self._device)
        return self._populations[key]

    def _evaluations(self) -> dict[tuple[Population, Evaluate], list[tuple[Member, _TaskRun]]]:
        """Tasks whose next request is an evaluation, grouped by population and request."""
        groups: dict[tuple[Population, Evaluate], list[tuple[Member, _TaskRun]]] = defaultdict(list)
        for run in self._runs.values():
            if run.place is not None and isinstance(run.request, Evaluate):
                groups[run.place[0], run.request].append((run.place[1], run))
        return groups

    def _steps(self) -> dict[Population, dict[Member, tuple[_TaskRun, Step]]]:
        """Tasks whose next request is a step, grouped by population."""
        groups: dict[Population, dict[Member, tuple[_TaskRun, Step]]] = defaultdict(dict)
        for run in self._runs.values():
            if run.place is not None and isinstance(run.request, Step):
                groups[run.place[0]][run.place[1]] = run, run.request
        return groups


def _answers(call: Callable[[], Sequence[Any]], count: int) -> Sequence[Any]:
    """The answers of a call for ``count`` tasks; an error of the call itself is the answer to each of them."""
    try:
        return call()
    except Exception as error:
        return [error] * count
