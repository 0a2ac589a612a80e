"""Batch normalisation of rows in automatic mixed precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class MixedNorms(TorchFunctionMode):
    """Within it, batch normalisation takes bfloat16 beside float32 on a CPU too, as it does without `vmap`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm and args[0].dtype == torch.bfloat16 and not args[0].is_cuda:
            # What torch does inside.
            found: Tensor = func(args[0].float(), *args[1:], **(kwargs or {}))
            return found.to(torch.bfloat16)
        return func(*args, **(kwargs or {}))
