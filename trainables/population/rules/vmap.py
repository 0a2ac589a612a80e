"""What `torch.func.vmap` makes of a function where torch's own rule is slow, or wrong in mixed precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Rules(TorchFunctionMode):
    """Within it, functions of torch are replaced.

    Args:
        replaced: What is called in place of which.
    """

    def __init__(self, replaced: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self._replaced = replaced

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._replaced.get(func, func)(*args, **(kwargs or {}))


class Rule(torch.autograd.Function):
    """A function that says in a ``vmap`` of its own what is made of rows.

    It needs no backward pass: what rows share is not trained, and ``vmap`` is differentiated as it stands.
    """

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


def rowwise(rows: int, dim: int | None, tensor: Any) -> Any:
    """A tensor [rows, ...], or None."""
    if tensor is None:
        return None
    return tensor.expand(rows, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def beside(rows: Tensor) -> Tensor:
    """Rows' channels beside each other, [batch, rows · channels, ...], from [rows, batch, channels, ...]."""
    return rows.transpose(0, 1).flatten(1, 2)


def apart(channels: Tensor, rows: int) -> Tensor:
    """[batch, rows, channels, ...] from rows' channels beside each other."""
    return channels.view(len(channels), rows, -1, *channels.shape[2:])
