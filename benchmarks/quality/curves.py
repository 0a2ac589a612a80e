"""Recorded trials: what they were, and their validation losses along the way."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phitune.search.study.model import Cell, parse_study
from phitune.trainables.schedules import Schedule

FOLDER = Path(__file__).parents[1] / "results" / "curves"

# Shares of the budget at which losses are known.
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
# Averages of the weights: w = min(1, k / steps), a horizon of 1/k of the steps so far. 0 stands for raw weights.
AVERAGES = (0, 5, 10, 20)

# In place of the iteration at which a run diverged.
UNTRAINED = -1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """A workload's cell, and how many quasi-random trials of it are recorded.

    Attributes:
        plane: Configurations of a family with φ.
        line: Configurations of a family whose only parameter is the LR.
        seeds: Each configuration is trained with seeds 0 to seeds − 1.
    """

    name: str
    workload: str | dict[str, Any]
    optimizer: str
    budget: int
    plane: int
    line: int
    seeds: int

    def cell(self) -> Cell:
        """With the default families and ranges."""
        values = {"workloads": [self.workload], "optimizers": [self.optimizer], "budgets": [self.budget]}
        return parse_study({"name": self.name, **values}).cells[0]


SETTINGS = {
    "mlp": Setting("mlp", "mlp/digits", "sgd", 600, plane=140, line=40, seeds=4),
    "gpt": Setting("gpt", "gpt-nano/stdlib", "adamw", 200, plane=60, line=15, seeds=2),
}
QUADRATIC = Setting("quadratic", {"name": "quadratic", "kappa": 1000, "noise": 0.03}, "sgd", 800, 0, 0, 0)


def points(budget: int) -> list[int]:
    """The iterations at which losses are known."""
    return [round(share * budget) for share in SHARES]


def schedule_of(cell: Cell, label: str, phi: float) -> Schedule:
    """A family's schedule; φ is ignored where the family has none."""
    space = next(space for space in cell.families if space.label == label)
    return space.schedule(**({"phi": phi} if "phi" in space.searched else {}))


@dataclass
class Curves:
    """The recorded trials of a setting; n configurations, s seeds, p points, k averages.

    Attributes:
        family: Labels, [n].
        phi: [n]; NaN where the family has none.
        base_lr: [n].
        loss: Validation loss, [s, n, p, k]; NaN after divergence.
        diverged: Iterations after which a run had diverged, [s, n]; 0 if it never did,
            `UNTRAINED` if it is still to be trained.
        initial: Validation loss before the first iteration.
    """

    family: list[str]
    phi: Floats
    base_lr: Floats
    loss: Floats
    diverged: NDArray[np.int64]
    initial: float
    about: dict[str, Any]

    def save(self, path: Path) -> None:
        """Writes a compressed file; losses as 32-bit floats."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                family=np.array(self.family),
                phi=self.phi,
                base_lr=self.base_lr,
                loss=self.loss.astype(np.float32),
                diverged=self.diverged.astype(np.int32),
                initial=self.initial,
                about=json.dumps(self.about),
            )

    def with_seed(self, seed: int) -> Curves:
        """With room for one more seed, if there is none yet."""
        if len(self.loss) > seed:
            return self
        loss = np.concatenate([self.loss, np.full_like(self.loss, math.nan, shape=(1, *self.loss.shape[1:]))])
        diverged = np.full((1, len(self.family)), UNTRAINED, dtype=np.int64)
        return replace(self, loss=loss, diverged=np.concatenate([self.diverged, diverged]))

    def complete(self) -> Curves:
        """What can be used: seeds with at least half of the configurations, configurations with all these seeds."""
        seeds = (self.diverged != UNTRAINED).mean(axis=1) >= 0.5
        kept = (self.diverged[seeds] != UNTRAINED).all(axis=0)
        return replace(
            self,
            family=[label for label, keep in zip(self.family, kept, strict=True) if keep],
            phi=self.phi[kept],
            base_lr=self.base_lr[kept],
            loss=self.loss[seeds][:, kept],
            diverged=self.diverged[seeds][:, kept],
        )

    @classmethod
    def load(cls, path: Path) -> Curves:
        """Reads what `save` wrote."""
        with np.load(path) as data:
            return cls(
                family=data["family"].tolist(),
                phi=data["phi"],
                base_lr=data["base_lr"],
                loss=data["loss"].astype(np.float64),
                diverged=data["diverged"].astype(np.int64),
                initial=float(data["initial"]),
                about=json.loads(str(data["about"])),
            )
