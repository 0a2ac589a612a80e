"""What keeps a workload's trials from training together."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten

import torch
from torch import Tensor

from phitune.trainables.memory import out_of_memory
from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Workload, schedule_free
from phitune.trainables.workloads.torch.torch_learner import TorchLearner
from phitune.trainables.workloads.torch.torch_workload import TorchWorkload

# Only gross errors are looked for: a random number that is another, a buffer that is not written.
_TOLERANCES = {"fp64": 1e-6, "fp32": 1e-2, "bf16": 0.2}
_SEEDS = (0, 1)
_EXAMPLES = 8


def obstacle(workload: Workload, optimizer: Spec, device: str) -> str:
    """Why a workload's trials train one at a time: the words after the colon; empty if a `Population` can train them.

    What cannot be told by looking is tried: one step of two trials together and of each alone.

    Raises:
        Exception: There is no memory for two (`out_of_memory`).
    """
    if not isinstance(workload, TorchWorkload):
        return f"{type(workload).__name__} is not a TorchWorkload"
    if type(workload).learner is not TorchWorkload.learner:
        return f"{type(workload).__name__} has a learner of its own"
    if schedule_free(optimizer):
        return f"{optimizer.name} has no update for many at once"
    if workload.recipe.compile:
        return "its model is compiled (compile: true)"
    try:
        return _tried(workload, optimizer, device)
    except Exception as error:
        if out_of_memory(error):
            raise
        return shorten(f"{type(error).__name__}: {error}", 200)


def _tried(workload: TorchWorkload, optimizer: Spec, device: str) -> str:
    # In any form; which one is fastest is not looked for here.
    stack = Stack(workload, optimizer, len(_SEEDS), device, convolution="grouped")
    for row, seed in enumerate(_SEEDS):
        stack.begin(row, seed)
    losses, errors = stack.step(_SEEDS, [0.0] * len(_SEEDS), [None] * len(_SEEDS))
    for error in errors.values():
        raise error
    inputs, targets = next(iter(workload.chunks("val", device)))
    stack.judge(range(len(_SEEDS)), [(inputs[:_EXAMPLES], targets[:_EXAMPLES])], averaged=False)
    for row, seed in enumerate(_SEEDS):
        alone = TorchLearner(workload, optimizer, seed, device)
        fresh = _numbers(alone.state_dict()["model"])
        loss = torch.as_tensor(alone.step(0.0))
        params = [p for group in alone.optimizer.param_groups for p in group["params"]]
        idle = next((name for name, p in zip(stack.names, params, strict=True) if p.grad is None), None)
        if idle is not None:
            # Torch's optimizer leaves it as it is; in a row it would decay.
            return f"{idle} gets no gradient"
        if stack.draws and torch.device(device).type == "cuda":
            # Dropout's numbers are others there, as good as these.
            continue
        pairs = [
            (losses[row], loss),
            (torch.tensor(stack.norms(row)[0]), torch.tensor(alone.norms().grad)),
            # At an LR of zero only buffers change.
            (_numbers(stack.state_dict(row)["model"]) - fresh, _numbers(alone.state_dict()["model"]) - fresh),
        ]
        if not all(_alike(*pair, _TOLERANCES[workload.recipe.precision]) for pair in pairs):
            return "its numbers would be others; does its model replace buffers, or keep tensors that are none?"
    return ""


def _numbers(state: Mapping[str, Tensor]) -> Tensor:
    """All of a model's, in one row."""
    return torch.cat([tensor.flatten().double() for tensor in state.values()])


def _alike(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    found, wanted = found.nan_to_num(), wanted.nan_to_num()
    return bool((found - wanted).norm() <= tolerance * wanted.norm() + 1e-6)
