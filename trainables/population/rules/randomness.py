"""Random numbers in training, such as dropout's: each row of a population draws those that it would draw alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from phitune.trainables.workloads.learning.device import generators, seeded, step_seed
from phitune.trainables.workloads.learning.torch_internals import DispatchMode, writes_in_place
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_States = list[Tensor]


class RowwiseRandomness(DispatchMode):  # type: ignore[no-untyped-call]
    """Context in which `vmap` with ``randomness="different"`` draws random numbers row by row.

    On a CPU these are the numbers that `TorchLearner` draws; on a GPU its dropout is a fused kernel, which draws
    others. Either way they do not depend on the other rows.

    Args:
        states: States of the device's generators for each row; they advance with every draw.
        device: The device of the generators.
    """

    def __init__(self, states: Sequence[_States], device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._states = list(states)
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        if not any(isinstance(arg, Tensor | list) for arg in args):
            raise NotImplementedError(f"{func} cannot draw random numbers for many trials")
        row_generators, rows = generators(self._device), []
        with seeded(0, self._device):
            for number, states in enumerate(self._states):
                for generator, state in zip(row_generators, states, strict=True):
                    generator.set_state(state)
                rows.append(func(*(self._row(arg, number, func) for arg in args), **kwargs))
                self._states[number] = [generator.get_state() for generator in row_generators]
        if writes_in_place(func):
            # The rows are views of it.
            return args[0]
        # Fused dropout on a GPU also returns its mask.
        return tuple(map(torch.stack, zip(*rows, strict=True))) if isinstance(rows[0], tuple) else torch.stack(rows)

    def _row(self, arg: Any, number: int, func: Any) -> Any:
        """One row's part of an argument: of a tensor, or of the size of a new one."""
        if not isinstance(arg, Tensor | list):
            return arg
        count = len(self._states)
        if count not in ([*arg[:1]] if isinstance(arg, list) else arg.shape[:1]):
            raise NotImplementedError(f"{func} cannot draw random numbers for many trials")
        return arg[1:] if isinstance(arg, list) else arg[number]


class RowwiseFactories(TorchFunctionMode):
    """Context inside a function under `vmap` in which new tensors have the dimension of the rows.

    So tensors that are filled with random numbers in place get different ones for each row.

    Args:
        like: A tensor with the dimension of the rows.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self._like = like

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.dropout:
            return _dropout(*args, **kwargs)
        if func is torch.empty:
            defaults = {"dtype": torch.get_default_dtype(), "device": torch.get_default_device()}
            return self._like.new_empty(*args, **{**defaults, **kwargs})
        return func(*args, **kwargs)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Torch's dropout on a CPU, which draws in the order of the input's memory; torch's own under `vmap` does not."""
    if not training or not 0 < p < 1:
        return nn.functional.dropout(input, p, training, inplace)
    noise = torch.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(noise) if inplace else input * noise


def batches_and_randomness(
    workload: TorchWorkload, seeds: Sequence[int], steps: Sequence[int], device: str
) -> tuple[Batch, RowwiseRandomness]:
    """`TorchWorkload.batches`, and the random numbers of each trial's step after its batch."""
    parts, states = [], []
    for seed, step in zip(seeds, steps, strict=True):
        with seeded(step_seed(seed, step), device):
            parts.append(workload.batch(seed, step, device))
            states.append([generator.get_state() for generator in generators(device)])
    inputs, targets = map(torch.stack, zip(*parts, strict=True))
    return (inputs, targets), RowwiseRandomness(states, device)
