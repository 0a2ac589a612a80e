"""What tells that memory has run out."""

from __future__ import annotations

import sys

# What CUDA's libraries say in plain RuntimeErrors where they get no memory, and torch's allocator on a CPU.
_SHORT = ("ALLOC_FAILED", "can't allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory, a device's or this machine's."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SHORT)
