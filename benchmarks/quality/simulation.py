"""A search in virtual time: a few slots, trials that take as long as their iterations, losses from a table."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Floats
from benchmarks.quality.table import Run, Table

SLOTS = 4


@dataclass(frozen=True)
class Proposal:
    """A configuration to train; ``key`` is the method's own name for the trial."""

    key: str
    family: str
    phi: float
    base_lr: float


class Method(ABC):
    """A search. The losses that it receives are logs of validation losses; smaller is better."""

    @abstractmethod
    def propose(self) -> Proposal | None:
        """The next trial, or None while (or because) there is none."""

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        """Whether a trial goes on at point number ``point``, its losses there [averages]. Not called at the end."""
        return True

    @abstractmethod
    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        """A trial ended at a point with a loss of raw weights: ``completed``, ``stopped`` or ``diverged``."""

    @abstractmethod
    def choice(self) -> Proposal | None:
        """The configuration it would choose if it ended now."""


@dataclass(frozen=True)
class Trace:
    """How a search went: after each ended trial, compute in full trainings and the regret of its choice, both [n].

    Infinite where it has none yet."""

    compute: Floats
    regret: Floats


@dataclass
class _Flight:
    proposal: Proposal
    run: Run
    started: int
    point: int = 0


def simulate(method: Method, table: Table, seed: int, most: float, slots: int = SLOTS) -> Trace:
    """Runs a search until it proposes no more or has spent ``most`` full trainings."""
    rng = np.random.default_rng(seed)
    marks, budget = table.points, table.cell.budget
    events: list[tuple[int, int, _Flight]] = []
    now = spent = count = 0
    trace: list[tuple[float, float]] = []

    def fill() -> None:
        nonlocal count
        while len(events) < slots and (proposal := method.propose()) is not None:
            flight = _Flight(proposal, table.run(proposal.family, proposal.phi, proposal.base_lr, rng), now)
            heapq.heappush(events, (now + _until(flight, marks), count, flight))
            count += 1

    fill()
    while events:
        now, _, flight = heapq.heappop(events)
        status = _arrive(method, flight, marks)
        if status == "running":
            flight.point += 1
            heapq.heappush(events, (flight.started + _until(flight, marks), count, flight))
            count += 1
            continue
        spent += now - flight.started
        method.ended(flight.proposal, flight.point, float(flight.run.loss[flight.point, 0]), status)
        fill()
        compute = (spent + sum(now - other.started for _, _, other in events)) / budget
        chosen = method.choice()
        regret = math.inf if chosen is None else table.regret(chosen.family, chosen.phi, chosen.base_lr)
        trace.append((compute, regret))
        if compute >= most:
            break
    return Trace(*np.array(trace, dtype=float).reshape(-1, 2).T)


def _until(flight: _Flight, marks: list[int]) -> int:
    """Iterations from the start to the next point, or to divergence."""
    end = flight.run.diverged
    return min(marks[flight.point], end) if end else marks[flight.point]


def _arrive(method: Method, flight: _Flight, marks: list[int]) -> str:
    end = flight.run.diverged
    if end and end <= marks[flight.point]:
        return "diverged"
    if flight.point == len(marks) - 1:
        return "completed"
    return "running" if method.goes_on(flight.proposal, flight.point, flight.run.loss[flight.point]) else "stopped"
