"""Convolutions in which every row has its own weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phitune.trainables.errors import out_of_memory
from phitune.trainables.population.rates import clock, wait
from phitune.trainables.population.rules.vmap import Rule, apart, beside, rowwise

FORMS = ("grouped", "loop", "unfold")
"""``grouped``: one convolution with a group for each row; ``loop``: one convolution a row; ``unfold``: one batched
matrix product of all windows."""

_TIMED = 3
_LONG = 0.5


def has_convolutions(model: nn.Module) -> bool:
    """Whether a model has convolutions, so that the form matters."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def convolution_rule(form: str) -> Callable[..., Any]:
    """`F.conv2d`, which `torch.func.vmap` computes in the form ``form``.

    The sums are the same; on a GPU their rounding is not. In single precision cuDNN rounds what it multiplies in
    ``grouped`` and ``loop`` to TF32, as in a trial alone, and matrix products, ``unfold``'s too, do not.

    Torch's own rule is ``grouped`` too, but automatic mixed precision on a CPU does not reach it.

    Raises:
        ValueError: There is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"convolutions of rows are one of {', '.join(FORMS)}, not {form!r}")
    return partial(_convolve, {"grouped": _Grouped, "loop": _Loop, "unfold": _Unfold}[form])


def fastest_form(step: Callable[[str, int], object], rows: int, device: str) -> str:
    """Times a step in each form and returns the fastest one that does not fail.

    Args:
        step: Does a step, given the form and the number of rows.
        rows: Number of rows; halved until some form has enough memory.
        device: A torch device.
    """
    while rows > 1:
        seconds = {form: _seconds(partial(step, form, rows), device) for form in FORMS}
        best = min(seconds, key=seconds.__getitem__)
        if torch.device(device).type == "cuda":
            # Peak memory is to be that of the fastest form.
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        if seconds[best] < math.inf:
            return best
        rows //= 2
    return "grouped"


def _seconds(step: Callable[[], object], device: str) -> float:
    """The shortest time of a few steps after a warm-up; infinite after an error, with a warning unless it is memory."""
    best, spent = math.inf, 0.0
    for number in range(1 + _TIMED):
        began = clock(device)
        try:
            step()
            wait(device)
        except Exception as error:
            if not out_of_memory(error):
                warnings.warn(f"convolutions of rows are not computed in every form: {error}", stacklevel=2)
            return math.inf
        seconds = clock(device) - began
        spent += seconds
        if number:
            best = min(best, seconds)
            if spent > _LONG:
                break
    return best


def _convolve(
    function: type[_Convolution],
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
    return (_Grouped if unusual else function).apply(input, weight, bias, *options)


class _Convolution(Rule):
    @staticmethod
    def forward(*args: Any) -> Tensor:
        return F.conv2d(*args)


class _Grouped(_Convolution):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, weights, biases = _stacked(rows, in_dims, args)
        *options, groups = args[3:]
        bias = None if biases is None else biases.flatten()
        outputs: Tensor = F.conv2d(beside(inputs), weights.flatten(0, 1), bias, *options, rows * groups)  # type: ignore[call-overload]
        return apart(outputs, rows), 1


class _Loop(_Convolution):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, weights, biases = _stacked(rows, in_dims, args)
        if inputs.is_cuda:
            # Tensor cores are fastest with channels last in memory.
            inputs, weights = (
                tensor.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) for tensor in (inputs, weights)
            )
        each = [None] * rows if biases is None else biases
        outputs = [F.conv2d(*row, *args[3:]) for row in zip(inputs, weights, each, strict=True)]
        # Channels side by side, as batch normalisation of rows takes them.
        return apart(torch.cat(outputs, 1), rows), 1


class _Unfold(_Convolution):
    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        inputs, weights, biases = _stacked(info.batch_size, in_dims, args)
        (down, across), (top, left), (rows_apart, columns_apart), _ = args[3:]
        high, wide = weights.shape[-2:]
        # Channels last, so that a window is a few long stretches of memory.
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
            # Mixed precision casts the factors of a product to bfloat16, but not the terms of a sum.
            products = products + biases[:, None].to(products.dtype)
        rows, images, channels = len(products), inputs.shape[1], products.shape[-1]
        return products.view(rows, images, height, width, channels).permute(0, 1, 4, 2, 3), 0


def _stacked(rows: int, in_dims: Sequence[int | None], args: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs, weights and biases of a convolution, [rows, ...]."""
    inputs, weights, biases = map(partial(rowwise, rows), in_dims[:3], args[:3])
    return inputs, weights, biases


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
