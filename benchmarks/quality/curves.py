"""Recorded trials: their configurations, and their validation losses along the way."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phitune.search.study.cell import Cell
from phitune.search.study.model import parse_study
from phitune.trainables.schedules import Schedule

FOLDER = Path(__file__).parents[1] / "results" / "curves"

# Shares of the budget at which losses are known.
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
# Averages of the weights: w = min(1, k / steps), a horizon of 1/k of the steps so far. 0 stands for raw weights, 10 is
# the average that a learner keeps itself.
AVERAGES = (0, 10)

Floats = NDArray[np.float64]
Configuration = tuple[str, float, float]
"""Label of the family, φ (NaN where the family has none) and base LR."""


@dataclass(frozen=True)
class Setting:
    """A workload's cell, and how its trials are recorded.

    Attributes:
        rows: Trials that are trained together.
        evaluated: Trials that are evaluated together.
        sweep: Runs over the whole range, before those near the optimum.
        repeats: Runs of each configuration near the optimum, each with a seed of its own.
        near: Losses up to about ``near`` times the best are of interest.
        goal: Disagreement of two halves of the runs, see `benchmarks.quality.check`, at which recording ends.
    """

    name: str
    workload: str | dict[str, Any]
    optimizer: str
    budget: int
    rows: int = 0
    evaluated: int = 128
    sweep: int = 0
    repeats: int = 1
    near: float = 1.5
    goal: float = 0.0

    @property
    def scale(self) -> float:
        """Log losses this far above the best are far."""
        return math.log(self.near) / math.log(1.5)

    def cell(self) -> Cell:
        """With the default families and ranges."""
        values = {"workloads": [self.workload], "optimizers": [self.optimizer], "budgets": [self.budget]}
        return parse_study({"name": self.name, **values}).cells[0]


# In the order in which they are recorded.
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("mlp-150", "mlp/digits", "sgd", 150, rows=128, sweep=1024, repeats=8, goal=0.01),
        Setting("mlp-600", "mlp/digits", "sgd", 600, rows=128, sweep=1024, repeats=8, goal=0.01),
        Setting("logreg-150", "logreg/digits", "sgd", 150, rows=128, sweep=1024, repeats=8, goal=0.01),
        Setting(
            "gpt-150", "gpt-nano/stdlib", "adamw", 150, rows=16, evaluated=1, sweep=256, repeats=2, near=1.1, goal=0.002
        ),
        Setting("cnn-150", "cnn/digits", "sgd", 150, rows=64, sweep=768, repeats=4, goal=0.01),
        Setting(
            "gpt-200", "gpt-nano/stdlib", "adamw", 200, rows=16, evaluated=1, sweep=256, repeats=2, near=1.1, goal=0.002
        ),
    )
}


def points(budget: int) -> list[int]:
    """The iterations at which losses are known."""
    return [round(share * budget) for share in SHARES]


def schedule_of(cell: Cell, label: str, phi: float) -> Schedule:
    """A family's schedule; φ is ignored where the family has none."""
    space = next(space for space in cell.families if space.label == label)
    return space.schedule(**({"phi": phi} if "phi" in space.searched else {}))


@dataclass
class Curves:
    """The recorded runs of a setting; n runs, p points, k averages. The i-th run was trained with seed i.

    Attributes:
        family: Labels, [n].
        phi: [n]; NaN where the family has none.
        base_lr: [n].
        loss: Validation loss, [n, p, k]; NaN after divergence.
        diverged: Iterations after which a run had diverged, [n]; 0 if it never did.
        initial: Validation loss before the first iteration.
        about: Workload, optimizer, budget, and seconds of recording.
    """

    family: NDArray[np.str_]
    phi: Floats
    base_lr: Floats
    loss: Floats
    diverged: NDArray[np.int64]
    initial: float
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.family)

    def extended(self, configurations: Sequence[Configuration], loss: Floats, diverged: Sequence[int]) -> Curves:
        """With some more runs."""
        labels, phis, lrs = zip(*configurations, strict=True)
        return replace(
            self,
            family=np.append(self.family, labels),
            phi=np.append(self.phi, phis),
            base_lr=np.append(self.base_lr, lrs),
            loss=np.concatenate([self.loss, loss]),
            diverged=np.append(self.diverged, diverged),
        )

    def part(self, chosen: NDArray[Any]) -> Curves:
        """Some of the runs, by a mask or by indices."""
        return replace(
            self,
            family=self.family[chosen],
            phi=self.phi[chosen],
            base_lr=self.base_lr[chosen],
            loss=self.loss[chosen],
            diverged=self.diverged[chosen],
        )

    def log_loss(self) -> Floats:
        """Log losses, [n, p, k]; after divergence, and at most, that of the network before training."""
        cap = math.log(self.initial)
        logs: Floats = np.minimum(np.nan_to_num(np.log(self.loss), nan=cap), cap)
        return logs

    def save(self, path: Path) -> None:
        """Writes a compressed file of 32-bit numbers, in place of the one that was there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        labels, number = np.unique(self.family, return_inverse=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                labels=labels,
                family=number.astype(np.int8),
                phi=self.phi.astype(np.float32),
                base_lr=self.base_lr.astype(np.float32),
                loss=self.loss.astype(np.float32),
                diverged=self.diverged.astype(np.int32),
                initial=self.initial,
                about=json.dumps(self.about),
            )
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Curves:
        """Reads what `save` wrote."""
        with np.load(path) as data:
            return cls(
                family=data["labels"][data["family"]],
                phi=data["phi"].astype(np.float64),
                base_lr=data["base_lr"].astype(np.float64),
                loss=data["loss"].astype(np.float64),
                diverged=data["diverged"].astype(np.int64),
                initial=float(data["initial"]),
                about=json.loads(str(data["about"])),
            )
