"""Optuna's samplers, asked and told as its documentation has it; every trial to its end."""

from __future__ import annotations

import math

import optuna

from benchmarks.quality.peers.peer import Peer
from benchmarks.quality.simulation import Proposal
from phitune.search.study.cell import Cell


class Optuna(Peer):
    """A sampler over family, base LR and φ, whose objective is the log loss.

    A diverged trial is told with the loss before training, which is kinder than a failure.

    Args:
        cap: Log loss before training.
        conditional: Whether φ is suggested only for families that have it. Samplers that model a fixed space are
            asked for it always, and it is ignored where there is none.
    """

    def __init__(self, cell: Cell, sampler: optuna.samplers.BaseSampler, cap: float, conditional: bool) -> None:
        super().__init__()
        self._cell = cell
        self._cap = cap
        self._conditional = conditional
        self._study = optuna.create_study(sampler=sampler)
        self._asked: dict[str, optuna.Trial] = {}

    def propose(self) -> Proposal | None:
        trial = self._study.ask()
        key = str(trial.number)
        self._asked[key] = trial
        return Proposal(key, *suggested(self._cell, trial, self._conditional))

    def ended(self, proposal: Proposal, point: int, loss: float, status: str) -> None:
        super().ended(proposal, point, loss, status)
        self._study.tell(self._asked.pop(proposal.key), self._cap if status == "diverged" else loss)


def suggested(cell: Cell, trial: optuna.Trial, conditional: bool = True) -> tuple[str, float, float]:
    """A configuration from a trial's suggestions."""
    label = trial.suggest_categorical("family", [each.label for each in cell.families])
    base_lr = trial.suggest_float("base_lr", *cell.base_lr, log=True)
    searched = next(each for each in cell.families if each.label == label).searched
    ranges = searched if conditional else next(each.searched for each in cell.families if each.searched)
    phi = math.nan
    if "phi" in ranges:
        phi = trial.suggest_float("phi", ranges["phi"].low, ranges["phi"].high, log=True)
    return label, phi if searched else math.nan, base_lr
