"""train.py as a workload, without a change to it: in a study file, ``workloads: ["waves:WaveShapes"]``."""

from collections.abc import Iterator

import train
from torch import nn
from torch.utils.data import DataLoader, default_collate

from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.supervised import batch_indices
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


class WaveShapes(TorchWorkload):
    """What train.py trains; 200 iterations are its 10 epochs."""

    full_budget = 200
    recipe = Recipe(batch_size=50, weight_decay=5e-4)

    def __init__(self) -> None:
        self.datasets = {
            "train": train.Waves(1000, seed=1, crop=True),
            "val": train.Waves(500, seed=3, crop=False),
            "test": train.Waves(500, seed=2, crop=False),
        }

    def model(self) -> nn.Module:
        return train.Listener()

    def batch(self, seed: int, step: int, device: str) -> Batch:
        dataset = self.datasets["train"]
        indices = batch_indices(seed, step, len(dataset), self.recipe.batch_size)
        waves, shapes = default_collate([dataset[index] for index in indices.tolist()])
        return waves.to(device), shapes.to(device)

    def chunks(self, split: Split, device: str) -> Iterator[Batch]:
        for waves, shapes in DataLoader(self.datasets[split], batch_size=500):
            yield waves.to(device), shapes.to(device)
