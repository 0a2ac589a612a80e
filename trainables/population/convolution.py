"""How convolutions are computed in which every row has weights of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from trainables.population.rates import clock, wait

FORMS = ("grouped", "loop", "unfold")
"""``grouped``: one convolution with a group a row; ``loop``: row after row; ``unfold``: one batched matrix product of
all windows."""

_TIMED = 3
_LONG = 0.5


def has_convolutions(model: nn.Module) -> bool:
    """Whether the form makes a difference."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def convolving(form: str) -> AbstractContextManager[Any]:
    """Within it, `torch.func.vmap` computes two-dimensional convolutions in a form; the numbers are the same.

    Torch's own rule is ``grouped`` too, but automatic mixed precision on a CPU passes it by.

    Raises:
        ValueError: There is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"convolutions of rows are one of {', '.join(FORMS)}, not {form!r}")
    return _Convolving({"grouped": _Grouped, "loop": _Loop, "unfold": _Unfold}[form])


def fastest(step: Callable[[str, int], object], rows: int, device: str) -> str:
    """The form in which a step is fastest on a device; a form that fails, for want of memory too, is not taken.

    Args:
        step: Does a step in a form with so many rows.
        rows: Where no form has the memory for them, half of them are timed, and so on.
    """
    while rows > 1:
        seconds = {form: _seconds(partial(step, form, rows), device) for form in FORMS}
        best = min(seconds, key=seconds.__getitem__)
        if torch.device(device).type == "cuda":
            # Who looks at the memory of steps is not to see that of forms that are not taken.
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        if seconds[best] < math.inf:
            return best
        rows //= 2
    return "grouped"


def _seconds(step: Callable[[], object], device: str) -> float:
    """The shortest of a few steps, after one that warms up; infinite if there is an error."""
    best, spent = math.inf, 0.0
    for number in range(1 + _TIMED):
        began = clock(device)
        try:
            step()
            wait(device)
        except Exception:
            return math.inf
        seconds = clock(device) - began
        spent += seconds
        if number:
            best = min(best, seconds)
            if spent > _LONG:
                break
    return best


class _Convolving(TorchFunctionMode):
    def __init__(self, function: type[_Rows]) -> None:
        super().__init__()
        self._function = function

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is F.conv2d:
            return self._convolved(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _convolved(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        options: Any = (_pair(stride), padding if isinstance(padding, str) else _pair(padding), _pair(dilation), groups)
        if input.ndim < 4:
            return F.conv2d(input, weight, bias, *options)
        unusual = groups > 1 or isinstance(padding, str)
        function = _Grouped if unusual else self._function
        return function.apply(input, weight, bias, *options)


class _Rows(torch.autograd.Function):
    """An operation that says what `vmap` makes of it.

    It needs no backward pass: what rows share is not trained, and `vmap` below is differentiated as it stands.
    """

    @staticmethod
    def forward(*given: Any) -> Tensor:
        return F.conv2d(*given)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


class _Grouped(_Rows):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, weights, biases = _stacked(rows, in_dims, given)
        *options, groups = given[3:]
        bias = None if biases is None else biases.flatten()
        beside = inputs.transpose(0, 1).flatten(1, 2)
        found: Tensor = F.conv2d(beside, weights.flatten(0, 1), bias, *options, rows * groups)  # type: ignore[call-overload]
        return _apart(found, rows), 1


class _Loop(_Rows):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, weights, biases = _stacked(rows, in_dims, given)
        if inputs.is_cuda:
            # Tensor cores want the channels last, in memory.
            inputs, weights = (
                tensor.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) for tensor in (inputs, weights)
            )
        each = [None] * rows if biases is None else biases
        found = [F.conv2d(*row, *given[3:]) for row in zip(inputs, weights, each, strict=True)]
        # Beside each other as channels: so batch normalisation of rows wants them.
        return _apart(torch.cat(found, 1), rows), 1


class _Unfold(_Rows):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> tuple[Tensor, int]:
        inputs, weights, biases = _stacked(info.batch_size, in_dims, given)
        (down, across), (top, left), (rows_apart, columns_apart), _ = given[3:]
        high, wide = weights.shape[-2:]
        # Channels last, so that a window is a few long stretches.
        padded = F.pad(inputs, (left, left, top, top)).permute(0, 1, 3, 4, 2)
        height = (padded.shape[2] - rows_apart * (high - 1) - 1) // down + 1
        width = (padded.shape[3] - columns_apart * (wide - 1) - 1) // across + 1
        taps = [
            padded[:, :, y : y + down * (height - 1) + 1 : down, x : x + across * (width - 1) + 1 : across]
            for y in range(0, high * rows_apart, rows_apart)
            for x in range(0, wide * columns_apart, columns_apart)
        ]
        windows = torch.cat(taps, -1).flatten(1, 3)
        products = windows @ weights.permute(0, 3, 4, 2, 1).flatten(1, 3)
        if biases is not None:
            products = products + biases[:, None]
        rows, images, channels = len(products), inputs.shape[1], products.shape[-1]
        return products.view(rows, images, height, width, channels).permute(0, 1, 4, 2, 3), 0


def _stacked(rows: int, in_dims: Sequence[int | None], given: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs, weights and biases of a convolution, [rows, ...]."""
    inputs, weights, biases = map(partial(_rowwise, rows), in_dims[:3], given[:3])
    return inputs, weights, biases


def _rowwise(rows: int, dim: int | None, tensor: Any) -> Any:
    """A tensor [rows, ...], or None."""
    if tensor is None:
        return None
    return tensor.expand(rows, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _apart(channels: Tensor, rows: int) -> Tensor:
    """[batch, rows, channels, height, width] from rows' channels beside each other."""
    return channels.view(len(channels), rows, -1, *channels.shape[2:])


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
