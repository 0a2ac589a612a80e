"""A trial that diverges touches no other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from phitune.trainables.population.population import Population
from phitune.trainables.spec import Spec, Value
from phitune.trainables.training import Step
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload
from tests.trainables.population.own import Dropout, Tied, Vit, precise
from tests.trainables.population.twins import Twins, gpt, precise_workload

CLIPPED: dict[str, Value] = {"batch_size": 8, "clip_norm": 1.0}
NETWORKS: dict[str, Callable[[Path], TorchWorkload]] = {
    "mlp": lambda _: precise_workload("mlp/digits", **CLIPPED),
    "cnn": lambda _: precise_workload("cnn/digits", **CLIPPED),
    "gpt": lambda folder: gpt(folder, **CLIPPED),
    "vit": lambda _: precise(Vit, batch_size=8),
    "tied": lambda _: precise(Tied, batch_size=8),
    "dropout": lambda _: precise(Dropout, batch_size=8),
}


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("cnn", "amsgrad"),
        *(pytest.param(name, "sgd", marks=[] if name in ("mlp", "cnn") else pytest.mark.full) for name in NETWORKS),
    ],
)
def test_no_number_of_others_is_touched(name: str, optimizer: str, tmp_path: Path) -> None:
    twins = Twins(NETWORKS[name](tmp_path), optimizer)
    for seed in range(3):
        twins.enter(seed)
    for lr in (0.01, math.nan, 0.01, 0.01):
        twins.step({seed: Step(lr if seed == 1 else 0.001, None) for seed in range(3)})
    assert all(torch.isnan(value).any() for value in _weights(twins, 1))
    assert not any(torch.isnan(value).any() for seed in (0, 2) for value in _weights(twins, seed))
    twins.leave(1)
    twins.check()
    # Whoever comes to its place finds it clean.
    twins.enter(3)
    twins.check()
    twins.train(2, 0.001)
    twins.check()


def _weights(twins: Twins, seed: int) -> list[torch.Tensor]:
    model = twins.members[seed].state_dict()["model"]
    return [value for key, value in model.items() if key.endswith("weight")]


def test_a_row_that_diverged_leaves_nothing_to_a_state_loaded_into_it() -> None:
    population = Population(precise_workload("mlp/digits"), Spec("adam"), 1)
    member = population.enter(0)
    fresh = member.state_dict()
    for rows in population.stack._state.values():
        rows.fill_(torch.nan)
    member.load_state_dict(fresh)
    assert all(not rows.any() for rows in population.stack._state.values())
