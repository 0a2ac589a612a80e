"""A workload of one's own: which of two spirals a point lies on.

In a study file it is ``own_workload:Spirals``; see own_study.yaml beside this file.
"""

import torch
from torch import nn

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload


class Spirals(SupervisedWorkload):
    """Two intertwined spirals with noise; the arguments of ``__init__`` are what a study file may set."""

    full_budget = 1000
    recipe = Recipe(batch_size=64, weight_decay=1e-4)

    def __init__(self, turns: float = 1.5) -> None:
        self.turns = turns

    def data(self) -> dict[Split, Data]:
        return {"train": self.points(1000, seed=1), "val": self.points(500, seed=2), "test": self.points(500, seed=3)}

    def points(self, count: int, seed: int) -> Data:
        noise = torch.Generator().manual_seed(seed)
        spiral = torch.arange(count) % 2
        radius = torch.rand(count, generator=noise)
        angle = 2 * torch.pi * self.turns * radius + torch.pi * spiral
        clean = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        return Data(clean + 0.02 * torch.randn(clean.shape, generator=noise), spiral)

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
