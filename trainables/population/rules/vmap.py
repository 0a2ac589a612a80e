"""Batching rules for `torch.func.vmap` where torch's own are slow, or wrong in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Rules(TorchFunctionMode):
    """Context in which functions of torch are replaced.

    Args:
        replacements: The replacement of each function.
    """

    def __init__(self, replacements: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self._replacements = replacements

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._replacements.get(func, func)(*args, **(kwargs or {}))


class Rule(torch.autograd.Function):
    """A function with its own batching rule in its static method ``vmap``.

    It needs no backward pass: tensors that all rows share are not trained, and the operations of ``vmap`` are
    differentiated themselves.
    """

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


def rowwise(rows: int, dim: int | None, tensor: Any) -> Any:
    """The tensor with the rows as its first dimension, [rows, ...]; None for None."""
    if tensor is None:
        return None
    return tensor.expand(rows, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def beside(rows: Tensor) -> Tensor:
    """Concatenates the rows' channels: [batch, rows · channels, ...] from [rows, batch, channels, ...]."""
    return rows.transpose(0, 1).flatten(1, 2)


def apart(channels: Tensor, rows: int) -> Tensor:
    """Inverse of `beside`: [batch, rows, channels, ...] from [batch, rows · channels, ...]."""
    return channels.view(len(channels), rows, -1, *channels.shape[2:])
