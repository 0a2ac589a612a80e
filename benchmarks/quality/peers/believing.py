"""A peer's trials, but the choice among all configurations by phitune's belief from them.

It tells what a search's trials are worth from what its way of choosing is worth.
"""

from __future__ import annotations

import math
from dataclasses import replace

from benchmarks.quality.curves import schedule_of
from benchmarks.quality.simulation import Method, Proposal
from phitune.search.proposing.finalists import chosen
from phitune.search.proposing.group import Group
from phitune.search.records.record import Record, Trial
from phitune.search.study.cell import Cell


class Believing(Method):
    """Proposes as a peer does that stops no trials; chooses by the belief from the ended ones.

    Args:
        peer: The search.
        cell: Its cell.
        points: Iterations at which trials are seen.
    """

    def __init__(self, peer: Method, cell: Cell, points: list[int]) -> None:
        self._peer = peer
        # Simulated runs have seed noise even where real ones have not.
        self._cell = replace(cell, deterministic=False)
        self._points = points
        self._group = Group([self._cell], 0)
        self._count = 0

    def propose(self) -> Proposal | None:
        return self._peer.propose()

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        self._peer.ended(proposal, point, loss, status)
        schedule = schedule_of(self._cell, proposal.family, proposal.phi)
        trial = Trial(
            trial_id=f"{self._count}",
            cell=self._cell.key,
            phase="explore",
            number=self._count,
            family=proposal.family,
            schedule=schedule.to_dict(),
            base_lr=proposal.base_lr,
            mean_lr=proposal.base_lr * schedule.mean(self._cell.budget),
            seed=self._count,
        )
        self._count += 1
        final = {"objective": math.exp(loss)} if status == "completed" else {}
        record = Record(trial, status, self._points[point], [], [], final, 0.0, 0.0)  # type: ignore[arg-type]
        self._group.end(record)

    def choice(self) -> Proposal | None:
        best = chosen(self._group, self._cell)
        if best is None:
            return None
        return Proposal("choice", best.family, float(best.schedule.get("phi", math.nan)), best.base_lr)
