"""Whether a workload's trials can train together, and if not, the reason."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import shorten

import torch
from torch import Tensor

from phitune.trainables.errors import out_of_memory
from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Workload, schedule_free
from phitune.trainables.workloads.learning.torch_internals import missing_for_populations
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

# Wide enough for rounding; they catch other random numbers and buffers that are not written.
_TOLERANCES = {"fp64": 1e-6, "fp32": 1e-2, "bf16": 0.2}
_SEEDS = (0, 1)
_EXAMPLES = 8


def alone_reason(workload: Workload, optimizer: Spec, device: str) -> str:
    """The reason why a workload's trials must train one at a time; empty if a `Population` can train them.

    Cheap checks come first; the last one trains two trials together for a step, and each alone, and compares.

    Returns:
        A phrase for messages, such as ``its model is compiled (compile: true)``.

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
    if missing := missing_for_populations():
        return f"torch {torch.__version__} has no {', '.join(missing)}"
    try:
        return _difference(workload, optimizer, device)
    except Exception as error:
        if out_of_memory(error):
            raise
        return shorten(f"{type(error).__name__}: {error}", 200)


def _difference(workload: TorchWorkload, optimizer: Spec, device: str) -> str:
    """How one step of two trials together differs from each alone, as a phrase; empty if it does not."""
    # Any form of convolution will do here; which is fastest is measured later.
    stack = Stack(workload, optimizer, len(_SEEDS), device, convolution="grouped")
    for row, seed in enumerate(_SEEDS):
        stack.begin(row, seed)
    losses, errors = stack.step(_SEEDS, [0.0] * len(_SEEDS), [None] * len(_SEEDS))
    for error in errors.values():
        raise error
    inputs, targets = next(iter(workload.chunks("val", device)))
    stack.evaluate_batches(range(len(_SEEDS)), [(inputs[:_EXAMPLES], targets[:_EXAMPLES])], averaged=False)
    for row, seed in enumerate(_SEEDS):
        learner = TorchLearner(workload, optimizer, seed, device)
        fresh = _flat(learner.state_dict()["model"])
        loss = torch.as_tensor(learner.step(0.0))
        params = [p for group in learner.optimizer.param_groups for p in group["params"]]
        idle = next((name for name, p in zip(stack.names, params, strict=True) if p.grad is None), None)
        if idle is not None:
            # Torch's optimizer leaves it unchanged; in a row it would decay.
            return f"{idle} gets no gradient"
        if stack.stochastic and torch.device(device).type == "cuda":
            # Dropout on a GPU draws other random numbers in a population, and as good ones.
            continue
        pairs = [
            (losses[row], loss),
            (torch.tensor(stack.norms(row)[0]), torch.tensor(learner.norms().grad)),
            # At an LR of zero only buffers change.
            (_flat(stack.state_dict(row)["model"]) - fresh, _flat(learner.state_dict()["model"]) - fresh),
        ]
        if not all(_close(*pair, _TOLERANCES[workload.recipe.precision]) for pair in pairs):
            return "its numbers would be others; does its model replace buffers, or keep tensors that are none?"
    return ""


def _flat(state: Mapping[str, Tensor]) -> Tensor:
    """All tensors of a model's state in one row."""
    return torch.cat([tensor.flatten().double() for tensor in state.values()])


def _close(actual: Tensor, expected: Tensor, tolerance: float) -> bool:
    actual, expected = actual.nan_to_num(), expected.nan_to_num()
    return bool((actual - expected).norm() <= tolerance * expected.norm() + 1e-6)
