"""The process-wide generators of random numbers, which a user's own training loop may use."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


def seed_generators(seed: int) -> None:
    """Seeds the generators of ``random``, NumPy and torch."""
    import torch

    random.seed(seed)
    # NumPy takes 32 bits.
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)


def generator_states() -> dict[str, Any]:
    """The states of the generators of ``random``, NumPy and torch, with that of the current GPU if one is in use."""
    import torch

    states: dict[str, Any] = {"random": random.getstate(), "torch": torch.get_rng_state()}
    states["numpy"] = np.random.get_state()  # noqa: NPY002
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_generators(states: dict[str, Any]) -> None:
    """Restores states of `generator_states`."""
    import torch

    random.setstate(states["random"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])
