"""Two workloads as classes, which phitune trains itself: one from tensors, one from any torch Dataset.

python 10_own_class.py trains one schedule; phitune search study.yaml searches for the best."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

from phitune import schedule
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload, batch_indices
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


def points(seed: int, turns: float) -> tuple[Tensor, Tensor]:
    """A thousand points on two spirals, and which of the two each is on."""
    radius, spiral = torch.rand(1000, generator=torch.Generator().manual_seed(seed)), torch.arange(1000) % 2
    angle = 2 * torch.pi * turns * radius + torch.pi * spiral
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), spiral


class Spirals(SupervisedWorkload):
    full_budget, recipe = 1000, Recipe(batch_size=64, weight_decay=1e-4)

    def __init__(self, turns: float = 1.5) -> None:  # what a study file may set, besides the recipe
        self.turns = turns

    def data(self) -> dict[Split, Data]:
        return {name: Data(*points(seed, self.turns)) for seed, name in enumerate(("train", "val", "test"))}

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


class MovingSpirals(TorchWorkload):
    full_budget, recipe = 400, Recipe(batch_size=50)

    def __init__(self) -> None:
        self.sets = {name: TensorDataset(*points(seed, 1.0)) for seed, name in enumerate(("train", "val", "test"))}

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 2))

    def batch(self, seed: int, step: int, device: str):
        indices = batch_indices(seed, step, len(self.sets["train"]), self.recipe.batch_size)
        places, spirals = default_collate([self.sets["train"][index] for index in indices.tolist()])
        return (places + 0.02 * torch.randn(places.shape)).to(device), spirals.to(device)

    def chunks(self, split: Split, device: str):
        for places, spirals in DataLoader(self.sets[split], batch_size=500):
            yield places.to(device), spirals.to(device)


if __name__ == "__main__":
    training = Training(Spirals(), TrialConfig("adamw", horizon=500, schedule=schedule("linear"), base_lr=0.02, seed=0))
    training.advance(500)
    print(training.evaluate("val"))
