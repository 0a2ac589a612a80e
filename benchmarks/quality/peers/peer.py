"""What peers have in common: their space, the trials they have seen, and the choice of the best of these."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.curves import Configuration
from benchmarks.quality.simulation import Method, Proposal
from phitune.search.study.cell import Cell


@dataclass(frozen=True)
class Seen:
    """An ended trial: its last loss (log, raw weights) and how it ended."""

    proposal: Proposal
    loss: float
    status: str


class Peer(Method):
    """A search that chooses the best completed trial that it has seen.

    Attributes:
        trials: The ended trials, in the order of their ends; a trial that was stopped and then resumed is here twice.
    """

    def __init__(self) -> None:
        self.trials: list[Seen] = []

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        self.trials.append(Seen(proposal, loss, status))

    def choice(self) -> Proposal | None:
        completed = [seen for seen in self.trials if seen.status == "completed"]
        return min(completed, key=lambda seen: seen.loss).proposal if completed else None


def uniform(cell: Cell, rng: np.random.Generator) -> Configuration:
    """Uniform over families, log-uniform over φ and base LR."""
    space = cell.families[rng.integers(len(cell.families))]
    phi = math.nan
    if "phi" in space.searched:
        phi = math.exp(rng.uniform(math.log(space.searched["phi"].low), math.log(space.searched["phi"].high)))
    return space.label, phi, math.exp(rng.uniform(*np.log(cell.base_lr)))
