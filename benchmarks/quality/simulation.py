"""A search in virtual time: a few slots, trials that take as long as their iterations, losses from tables."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Floats
from benchmarks.quality.table import Run, Table

SLOTS = 4


@dataclass(frozen=True)
class Proposal:
    """A configuration to train.

    Attributes:
        key: The method's own name for the trial. With the key of a stopped trial, that trial goes on from where it was
            stopped.
        cell: Number of the cell, of those that are searched.
    """

    key: str
    family: str
    phi: float
    base_lr: float
    cell: int = 0


class Method(ABC):
    """A search of one cell or of several. Its losses are logs of validation losses; smaller is better."""

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
        """The configuration it would choose if it ended now; None if it has none yet."""

    def choices(self) -> Sequence[Proposal | None]:
        """The choice in each cell; a method for several cells overrides it."""
        return [self.choice()]


@dataclass(frozen=True)
class Trace:
    """A cell in a search: amounts of compute, in full trainings, and the regret of the choice by then, [n].

    Regret is infinite where there is no choice yet.

    Attributes:
        spent: Full trainings of the cell when the search ended.
    """

    compute: Floats
    regret: Floats
    spent: float


@dataclass
class _Flight:
    """A trial in training: when it started, or would have started if it had never been stopped."""

    proposal: Proposal
    run: Run
    started: int
    point: int = 0


def simulate(method: Method, table: Table, seed: int, at: Sequence[float], slots: int = SLOTS) -> Trace:
    """Runs a search of one cell, see `simulate_cells`."""
    return simulate_cells(method, [table], seed, at, slots)[0]


def simulate_cells(
    method: Method, tables: Sequence[Table], seed: int, at: Sequence[float], slots: int = SLOTS
) -> list[Trace]:
    """Runs a search of several cells until it proposes no more or has spent the most of some amounts of compute.

    Args:
        method: The search.
        tables: Its cells.
        seed: Of the runs' noise.
        at: Full trainings a cell, on average over the cells, at which it is asked for its choice; ascending. A search
            that ends earlier keeps its last choice.
        slots: Trials in training at a time.

    Returns:
        A trace for each cell.
    """
    rng = np.random.default_rng(seed)
    budgets = np.array([table.cell.budget for table in tables])
    marks = [table.points for table in tables]
    # In flight, by the time of the next point; the count decides between equal times.
    events: list[tuple[int, int, _Flight]] = []
    stopped: dict[str, tuple[_Flight, int]] = {}
    now = count = 0
    total = np.zeros(len(tables))
    # Iterations of ended trials, by cell.
    spent = np.zeros(len(tables))
    regrets: list[list[float]] = []

    def regret() -> list[float]:
        return [
            math.inf if choice is None else table.regret(choice.family, choice.phi, choice.base_lr)
            for table, choice in zip(tables, method.choices(), strict=True)
        ]

    def push(flight: _Flight) -> None:
        nonlocal count
        end, mark = flight.run.diverged, marks[flight.proposal.cell][flight.point]
        heapq.heappush(events, (flight.started + (min(mark, end) if end else mark), count, flight))
        count += 1

    def fill() -> None:
        while len(events) < slots and (proposal := method.propose()) is not None:
            if proposal.key in stopped:
                flight, at = stopped.pop(proposal.key)
                spent[proposal.cell] -= at
                push(_Flight(flight.proposal, flight.run, now - at, flight.point + 1))
                continue
            run = tables[proposal.cell].run(proposal.family, proposal.phi, proposal.base_lr, rng)
            push(_Flight(proposal, run, now))

    fill()
    while events:
        now, _, flight = heapq.heappop(events)
        proposal = flight.proposal
        status = _status(method, flight, marks[proposal.cell])
        if status == "running":
            flight.point += 1
            push(flight)
            continue
        spent[proposal.cell] += now - flight.started
        if status == "stopped":
            stopped[proposal.key] = flight, now - flight.started
        running = np.zeros(len(tables))
        for _, _, other in events:
            running[other.proposal.cell] += now - other.started
        total = (spent + running) / budgets
        if total.mean() > at[len(regrets)]:
            reached = sum(total.mean() > mark for mark in at)
            regrets += [regret()] * (reached - len(regrets))
            if reached == len(at):
                break
        method.ended(proposal, flight.point, float(flight.run.loss[flight.point, 0]), status)
        fill()
    regrets += [regret()] * (len(at) - len(regrets))
    compute = np.array(at, dtype=np.float64)
    return [Trace(compute, each, float(whole)) for each, whole in zip(np.array(regrets).T, total, strict=True)]


def _status(method: Method, flight: _Flight, marks: list[int]) -> str:
    """Status of a trial at its next point."""
    end = flight.run.diverged
    if end and end <= marks[flight.point]:
        return "diverged"
    if flight.point == len(marks) - 1:
        return "completed"
    return "running" if method.goes_on(flight.proposal, flight.point, flight.run.loss[flight.point]) else "stopped"
