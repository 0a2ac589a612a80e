"""Searches without a model: random ones, and what people do by hand."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from benchmarks.quality.curves import SHARES, Floats
from benchmarks.quality.peers.peer import Peer, uniform
from benchmarks.quality.simulation import Proposal
from phitune.search.study.cell import Cell


class Random(Peer):
    """Random configurations, every trial to its end."""

    def __init__(self, cell: Cell, seed: int) -> None:
        super().__init__()
        self._cell = cell
        self._rng = np.random.default_rng(seed)
        self._count = 0

    def propose(self) -> Proposal | None:
        self._count += 1
        return Proposal(str(self._count), *uniform(self._cell, self._rng))


class TopK(Random):
    """Rounds of random trials that stop at a quarter of the budget; the best few of a round are then finished.

    After *Rethinking early stopping* (arXiv 2307.15422), which trains all for one epoch and finishes the best k.
    """

    _ROUND = 24
    _FINISHED = 3

    def __init__(self, cell: Cell, seed: int) -> None:
        super().__init__(cell, seed)
        self._losses: list[tuple[float, Proposal]] = []
        self._open = 0
        self._proposed = 0
        self._promoted: list[Proposal] = []
        self._resumed: set[str] = set()

    def propose(self) -> Proposal | None:
        if self._promoted:
            proposal = self._promoted.pop()
            self._resumed.add(proposal.key)
            return proposal
        if self._proposed == self._ROUND:
            if self._open:
                return None
            # The promoted of the last round are still in training.
            self._proposed = 0
        self._proposed += 1
        self._open += 1
        return super().propose()

    def goes_on(self, proposal: Proposal, point: int, loss: Floats) -> bool:
        if proposal.key in self._resumed or SHARES[point] < 1 / 4:
            return True
        self._losses.append((float(loss[0]), proposal))
        return False

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        if proposal.key in self._resumed:
            return
        self._open -= 1
        if not self._open and self._proposed == self._ROUND:
            best = sorted(self._losses, key=lambda each: each[0])[: self._FINISHED]
            self._promoted = [each for _, each in reversed(best)]
            self._losses.clear()


class ByHand(Peer):
    """One family: base LRs log-spaced over the range, then further seeds of the best three; chosen by mean log loss.

    Args:
        label: A family without φ.
    """

    _LRS = 12
    _BEST = 3

    def __init__(self, cell: Cell, label: str) -> None:
        super().__init__()
        self._label = label
        self._lrs = np.geomspace(*cell.base_lr, self._LRS).tolist()
        self._best: list[float] = []
        self._count = 0

    def propose(self) -> Proposal | None:
        if self._count >= self._LRS and not self._best:
            if len(self.trials) < self._LRS:
                return None
            self._best = sorted(self._means(), key=self._means().__getitem__)[: self._BEST]
        lrs = self._best or self._lrs
        self._count += 1
        return Proposal(str(self._count), self._label, math.nan, lrs[(self._count - 1) % len(lrs)])

    def choice(self) -> Proposal | None:
        means = {lr: mean for lr, mean in self._means().items() if not self._best or lr in self._best}
        best = min(means, key=means.__getitem__, default=math.inf)
        return Proposal("", self._label, math.nan, best) if means.get(best, math.inf) < math.inf else None

    def _means(self) -> dict[float, float]:
        """Mean log losses by base LR; infinite where a seed diverged."""
        losses: dict[float, list[float]] = defaultdict(list)
        for seen in self.trials:
            losses[seen.proposal.base_lr].append(math.inf if seen.status == "diverged" else seen.loss)
        return {lr: float(np.mean(each)) for lr, each in losses.items()}
