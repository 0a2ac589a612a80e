"""Attention of rows."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from phitune.trainables.population.rules.vmap import Rule, rowwise


def attention_rule(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Any:
    """`F.scaled_dot_product_attention`; under `torch.func.vmap` one call with the rows as parts of one batch.

    Attention has no weights, so that is all the rule needed; torch's own would call fused kernels row by row. Masks,
    which have many shapes, and dropout, which is drawn row by row, use the unfused implementation.
    """
    plain = others or options.keys() - {"is_causal", "scale"} or query.ndim != 4
    if plain or not query.shape[:2] == key.shape[:2] == value.shape[:2]:
        return _unfused(F.scaled_dot_product_attention, query, key, value, *others, **options)
    return _Folded.apply(query, key, value, options)


def multi_head_attention_rule(*args: Any, **options: Any) -> Any:
    """`F.multi_head_attention_forward`, as `nn.MultiheadAttention` calls it."""
    return _unfused(F.multi_head_attention_forward, *args, **options)


def _unfused(function: Any, *args: Any, **options: Any) -> Any:
    with sdpa_kernel(SDPBackend.MATH):
        return function(*args, **options)


class _Folded(Rule):
    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, **options)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        rows = info.batch_size
        parts = [rowwise(rows, dim, part).flatten(0, 1) for dim, part in zip(in_dims[:3], args[:3], strict=True)]
        outputs = F.scaled_dot_product_attention(*parts, **args[3])
        return outputs.view(rows, -1, *outputs.shape[1:]), 0
