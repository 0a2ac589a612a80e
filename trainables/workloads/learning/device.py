"""Torch's random generators and the host's tensors on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Odd, so that seeds differ modulo 2^32; large, so that the steps of two seeds hardly meet.
_SPREAD = 0x9E3779B1


def step_seed(seed: int, step: int) -> int:
    """A seed for one step. It has 32 bits: torch's generator on a CPU looks at no more."""
    return (seed * _SPREAD + step) % 2**32


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seeds torch's generators of the host and the device for the block; restores their states afterwards."""
    restored = generators(device)
    states = [generator.get_state() for generator in restored]
    try:
        for generator in restored:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(restored, states, strict=True):
            generator.set_state(state)


def generators(device: str) -> list[torch.Generator]:
    """The generators that torch draws from for tensors of the host and of the device."""
    place = torch.device(device)
    if place.type != "cuda":
        return [torch.default_generator]
    torch.cuda.init()  # type: ignore[no-untyped-call]
    index = torch.cuda.current_device() if place.index is None else place.index
    return [torch.default_generator, torch.cuda.default_generators[index]]


def to_device(tensor: Tensor, device: str | torch.device) -> Tensor:
    """Copies a tensor of the host to a device, without waiting for a GPU to receive it."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    # From pageable memory the copy would wait for all work queued on the GPU.
    return tensor.pin_memory().to(device, non_blocking=True)
