"""A state as bytes, for another process."""

from __future__ import annotations

import io
from typing import Any


def packed(content: Any) -> bytes:
    """Bytes of a state in torch's format; those that are bytes already stay what they are."""
    if isinstance(content, bytes):
        return content
    import torch

    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def unpacked(content: bytes) -> Any:
    """The state; tensors are on the CPU."""
    import torch

    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
