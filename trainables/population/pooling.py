"""Pooling of rows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def averaged(input: Tensor, output_size: int | Sequence[int | None]) -> Tensor:
    """`F.adaptive_avg_pool2d`; to a single point it is a mean, without what torch does row by row under `vmap`.

    Where channels lie last in memory torch has the mean's channels lie so too, and for that there is no batching rule.
    """
    if output_size == 1 or (not isinstance(output_size, int) and tuple(output_size) == (1, 1)):
        return input.mean((-2, -1), keepdim=True)
    return F.adaptive_avg_pool2d(input, output_size)  # type: ignore[arg-type]
