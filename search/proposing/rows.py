"""Trials as the surrogate sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surrogate.coordinates import coordinates
from phitune.analysis.surrogate.evidence import Evidence, Outcomes
from phitune.analysis.surrogate.gaussian_process import Hyperparameters, most_probable, unpack
from phitune.analysis.surrogate.guide import Guide, residual
from phitune.search.records.record import Record, Trial
from phitune.trainables.schedules import from_dict

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True)
class Row:
    """A trial as the surrogate sees it; of one in flight, the last three are not known."""

    cell: int
    place: NDArray[np.float64]
    family: int
    seed: int
    status: str = "running"
    objective: float = math.nan
    rungs: tuple[float, ...] = ()

    @classmethod
    def of(cls, cell: int, trial: Trial, budget: int, family: int) -> Row:
        """A trial in flight.

        Args:
            cell: Index of its cell.
            budget: The cell's.
            family: Index of its family.
        """
        return cls(cell, coordinates(from_dict(trial.schedule), budget, trial.base_lr), family, trial.seed)

    def ended(self, record: Record) -> Row:
        """The trial as it ended."""
        objective = record.final["objective"] if record.status == "completed" else math.nan
        judged = tuple(value for _, value in record.rungs)
        return replace(self, status=record.status, objective=objective, rungs=judged)


def outcomes(rows: Sequence[Row], budgets: Sequence[int], mode: str, exact: bool) -> Outcomes:
    """The rows as arrays.

    Args:
        rows: Possibly none.
        budgets: Of each cell.
        mode: "min" or "max".
        exact: Whether trials have no seed noise.
    """
    width = max((len(row.rungs) for row in rows), default=0)
    rungs = np.full((len(rows), width), np.nan)
    for number, row in enumerate(rows):
        rungs[number, : len(row.rungs)] = row.rungs
    return Outcomes(
        budgets=budgets,
        cell=np.array([row.cell for row in rows], dtype=np.int64),
        place=np.array([row.place for row in rows]).reshape(len(rows), 3),
        family=np.array([row.family for row in rows], dtype=np.int64),
        seed=np.array([row.seed for row in rows], dtype=np.int64),
        status=np.array([row.status for row in rows], dtype=np.str_),
        objective=np.array([row.objective for row in rows], dtype=np.float64),
        rungs=rungs,
        mode=mode,
        exact=exact,
    )


def spread_over_time(count: int, most: int) -> list[int]:
    """At most so many numbers of rows out of `count`, spread evenly over the times of their ends."""
    return sorted(sorted(range(count), key=lambda number: number * GOLDEN % 1.0)[:most])


def fitted(evidence: Evidence, guide: Guide | None = None) -> Hyperparameters:
    """The most probable hyperparameters; those of the priors' centre where there is one trial at most."""
    centre = evidence.priors.centre_and_spread()[0]
    if len(evidence.rows) < 2:
        return unpack(centre, evidence.priors)
    data = residual(evidence, unpack(centre, evidence.priors), guide)
    return unpack(most_probable(data, evidence.priors), evidence.priors)
