"""Random numbers, as dropout needs them, that each row of a population draws as it would alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from phitune.trainables.workloads.torch.seeding import generators, seeded, step_seed
from phitune.trainables.workloads.torch.torch_workload import Batch, TorchWorkload

_States = list[Tensor]


class RowDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is active, what `vmap` with ``randomness="different"`` draws for all rows is drawn row by row.

    On a CPU these are the numbers that `TorchLearner` draws; on a GPU its dropout is a kernel of its own, which draws
    others. Either way they do not depend on which other rows there are.

    Args:
        states: Of the generators, of each row; they go on with what is drawn.
        device: Whose generators.
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
            raise NotImplementedError(f"{func} cannot draw for many")
        chance, rows = generators(self._device), []
        with seeded(0, self._device):
            for number, states in enumerate(self._states):
                for generator, state in zip(chance, states, strict=True):
                    generator.set_state(state)
                rows.append(func(*(self._row(arg, number, func) for arg in args), **kwargs))
                self._states[number] = [generator.get_state() for generator in chance]
        if func._schema.is_mutable:
            # The rows are views.
            return args[0]
        # A GPU's dropout gives what it let through too.
        return tuple(map(torch.stack, zip(*rows, strict=True))) if isinstance(rows[0], tuple) else torch.stack(rows)

    def _row(self, arg: Any, number: int, func: Any) -> Any:
        """One row's part of what is drawn for all: of a tensor, or of the size of a new one."""
        if not isinstance(arg, Tensor | list):
            return arg
        count = len(self._states)
        if count not in ([*arg[:1]] if isinstance(arg, list) else arg.shape[:1]):
            raise NotImplementedError(f"{func} cannot draw for many")
        return arg[1:] if isinstance(arg, list) else arg[number]


class Drawing(TorchFunctionMode):
    """While it is active in a function that `vmap` calls, what is to be filled with chance has a place for every row.

    Args:
        like: A tensor that has one.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self._like = like

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.dropout:
            return _dropout(*args, **kwargs)
        if func is torch.empty:
            usual = {"dtype": torch.get_default_dtype(), "device": torch.get_default_device()}
            return self._like.new_empty(*args, **{**usual, **kwargs})
        return func(*args, **kwargs)


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """As torch's on a CPU, which draws in the order of the input's memory; under `vmap` torch's own does not."""
    if not training or not 0 < p < 1:
        return nn.functional.dropout(input, p, training, inplace)
    noise = torch.empty_like(input).bernoulli_(1 - p).div_(1 - p)
    return input.mul_(noise) if inplace else input * noise


def drawn(workload: TorchWorkload, seeds: Sequence[int], steps: Sequence[int], device: str) -> tuple[Batch, RowDraws]:
    """`TorchWorkload.batches` and, after each trial's batch is drawn, what else its step draws."""
    parts, states = [], []
    for seed, step in zip(seeds, steps, strict=True):
        with seeded(step_seed(seed, step), device):
            parts.append(workload.batch(seed, step, device))
            states.append([generator.get_state() for generator in generators(device)])
    inputs, targets = map(torch.stack, zip(*parts, strict=True))
    return (inputs, targets), RowDraws(states, device)
