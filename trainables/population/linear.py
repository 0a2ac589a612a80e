"""Linear layers of rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.population.rules import Rule, rowwise


def mapped(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """`F.linear`; under `torch.func.vmap` one batched product that begins with the bias, as the product of one does.

    Torch's own rule adds the bias afterwards: in mixed precision a float32 one to a bfloat16 product, and all that
    follows is in float32. In one precision that rule is the faster, on a CPU.
    """
    return _Product.apply(input, weight, bias)


class _Product(Rule):
    @staticmethod
    def forward(*given: Any) -> Tensor:
        return F.linear(*given)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *given: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        inputs, weights, biases = (rowwise(rows, *each) for each in zip(in_dims, given, strict=True))
        vectors, across = inputs.reshape(rows, -1, inputs.shape[-1]), weights.transpose(1, 2)
        bias = None if biases is None else biases.unsqueeze(1)
        products = torch.bmm(vectors, across) if bias is None else torch.baddbmm(bias, vectors, across)
        return products.view(*inputs.shape[:-1], -1), 0
