"""Updates of rows: memory, and momentum of 0."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from phitune.trainables.population.rows.updates import StepInputs, update
from phitune.trainables.spec import Spec
from phitune.trainables.training import Step
from phitune.trainables.workloads.learning.optimizers import build_optimizer
from tests.trainables.population.twins import OPTIMIZERS, Twins, precise_workload

ROWS, WIDTH = 3, 1000


class Fresh(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The bytes of each new allocation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        arguments = {_memory(leaf) for leaf in tree_leaves([args, kwargs]) if isinstance(leaf, Tensor)}
        self.sizes += [size for size, at in map(_memory, tree_leaves(result)) if (size, at) not in arguments]
        return result


def _memory(tensor: Tensor) -> tuple[int, int]:
    return tensor.untyped_storage().nbytes(), tensor.untyped_storage().data_ptr()


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("label", OPTIMIZERS)
def test_an_update_needs_no_memory(label: str, zero: bool) -> None:
    rows_update = update(build_optimizer(Spec.parse(label), [torch.zeros(WIDTH)], [], 0.1), torch.full((WIDTH,), 0.1))
    assert rows_update is not None
    state = {name: torch.zeros(ROWS, WIDTH) for name in rows_update.names}
    lr, momentum, step = torch.tensor([3 * [0.1], [0.0 if zero else 0.5, 0.9, 0.9], 3 * [1.0]])[..., None]
    inputs = StepInputs(lr, momentum, step, zero)
    weights, gradient = torch.randn(ROWS, WIDTH), torch.randn(ROWS, WIDTH)
    with Fresh() as fresh:
        rows_update.apply(weights, gradient, state, inputs)
    assert max(fresh.sizes, default=0) < 4 * WIDTH


@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.parametrize("momenta", [[0.9, 0.9, 0.0, 0.9, 0.9], [0.0, 0.9, 0.9], [0.9, 0.0], [0.0, 0.0]], ids=str)
def test_a_schedule_may_take_all_momentum_away(label: str, momenta: list[float]) -> None:
    """As ``onecycle(low=0)`` does at its peak."""
    twins = Twins(precise_workload("mlp/digits", batch_size=16), label)
    for seed in range(2):
        twins.enter(seed)
    for momentum in momenta:
        twins.step({0: Step(0.01, momentum), 1: Step(0.005, 0.5)})
    twins.check()
