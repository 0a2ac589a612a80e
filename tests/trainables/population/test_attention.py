"""Attention of rows: the numbers of one row after another, from one fused call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from phitune.trainables.population.rules.attention import attention_rule, multi_head_attention_rule
from phitune.trainables.population.rules.vmap import Rules

ROWS = 3
BY_RULES = {F.scaled_dot_product_attention: attention_rule, F.multi_head_attention_forward: multi_head_attention_rule}


class Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is computed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def masked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    return F.scaled_dot_product_attention(query, key, value, mask)


def one_key_for_all(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key[:1], value[:1])


WAYS: dict[str, tuple[bool, Callable[[Tensor, Tensor, Tensor], Tensor]]] = {
    "plain": (True, F.scaled_dot_product_attention),
    "causal": (True, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)),
    "other lengths": (True, lambda q, k, v: F.scaled_dot_product_attention(q, k[..., 1:, :], v[..., 1:, :])),
    "mask": (False, masked),
    "keys of one for all": (False, one_key_for_all),
    "without heads": (False, lambda q, k, v: F.scaled_dot_product_attention(q[:, 0], k[:, 0], v[:, 0])),
    "grouped queries": (False, lambda q, k, v: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_attend_as_one_after_another(way: str) -> None:
    torch.manual_seed(0)
    fused, attend = WAYS[way]
    tensors = [torch.randn(ROWS, 2, 2, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    rows = torch.stack([attend(*(part[row] for part in tensors)) for row in range(ROWS)])
    with Rules(BY_RULES), Calls() as calls:
        vmapped = vmap(attend)(*tensors)
    torch.testing.assert_close(vmapped, rows, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(vmapped)
    expected = torch.autograd.grad((rows * weights).sum(), tensors)
    for gradient, reference in zip(torch.autograd.grad((vmapped * weights).sum(), tensors), expected, strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-11, atol=1e-11)
    # Never row by row: in one call of the fused kernel, or as matrix products of all.
    assert calls.count["_scaled_dot_product_flash_attention_for_cpu"] == (1 if fused else 0)
    assert calls.count["bmm"] == (0 if fused else 2)


def test_rows_may_share_their_keys() -> None:
    query, key = torch.randn(ROWS, 2, 2, 5, 4), torch.randn(2, 2, 5, 4)
    with Rules(BY_RULES):
        vmapped = vmap(F.scaled_dot_product_attention, in_dims=(0, None, None))(query, key, key)
    for row in range(ROWS):
        torch.testing.assert_close(vmapped[row], F.scaled_dot_product_attention(query[row], key, key))


def test_torchs_own_module_attends_with_all_rows_at_once() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True).double()
    inputs = torch.randn(ROWS, 2, 5, 8, dtype=torch.float64)
    named = {name: torch.randn(ROWS, *p.shape, dtype=p.dtype) for name, p in attention.named_parameters()}

    def outputs(row: dict[str, Tensor], x: Tensor) -> Tensor:
        mixed: Tensor = functional_call(attention, row, (x, x, x), {"need_weights": False})[0]
        return mixed

    rows = [outputs({name: p[row] for name, p in named.items()}, inputs[row]) for row in range(ROWS)]
    with Rules(BY_RULES), Calls() as calls:
        vmapped = vmap(outputs)(named, inputs)
    torch.testing.assert_close(vmapped, torch.stack(rows), rtol=1e-12, atol=1e-12)
    assert calls.count["_scaled_dot_product_flash_attention_for_cpu"] == 0
