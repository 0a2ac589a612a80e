"""Batch normalisation of rows."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from phitune.trainables.population.rules.vmap import Rule, apart, beside, rowwise


def batch_norm_rule(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """`F.batch_norm`; under `torch.func.vmap` one call with the rows' channels side by side.

    Torch's own rule scales and shifts by itself: it keeps one more tensor for the backward pass, takes no bfloat16
    beside float32 on a CPU, makes float32 of it on a GPU, and raises there where channels lie last in memory.
    """
    return _Beside.apply(input, running_mean, running_var, weight, bias, training, momentum, eps)


class _Beside(Rule):
    @staticmethod
    def forward(*args: Any) -> Tensor:
        return F.batch_norm(*args)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, mean, var, *affine = (rowwise(rows, *each) for each in zip(in_dims[:5], args[:5], strict=True))
        # Running statistics are written in place: a view, or an error.
        statistics: list[Any] = [None if tensor is None else tensor.view(-1) for tensor in (mean, var)]
        flat: list[Any] = [None if tensor is None else tensor.flatten() for tensor in affine]
        return apart(F.batch_norm(beside(inputs), *statistics, *flat, *args[5:]), rows), 1
