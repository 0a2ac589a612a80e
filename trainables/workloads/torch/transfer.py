"""From the host's memory to a device's."""

from __future__ import annotations

import torch
from torch import Tensor


def sent(tensor: Tensor, device: str | torch.device) -> Tensor:
    """A tensor of the host on a device; the host does not wait until a GPU, which may be behind, has it."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    # From memory that may be paged out the copy would wait for all that the GPU was told before.
    return tensor.pin_memory().to(device, non_blocking=True)
