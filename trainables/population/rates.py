"""What a device can do at most, and what a piece of work asks of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

_BLOCKS = 10
_PICKING = (torch.ops.aten.index.Tensor, torch.ops.aten.gather.default, torch.ops.aten.embedding.default)


@dataclass(frozen=True)
class Work:
    """What a piece of work asks of a device.

    Attributes:
        flops: Of matrix products and convolutions, two a multiply-add.
        bytes: Read and written if every operation reads its arguments from memory and writes its results there.
    """

    flops: int
    bytes: int


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def clock(device: str) -> float:
    """Seconds since some moment; on a CPU those of this process, if it has one thread, so that others count little."""
    if torch.device(device).type == "cpu" and torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def clocked(act: Callable[[], object], device: str, seconds: float) -> tuple[float, int]:
    """The median time of an act, in seconds of `clock`, and how often it was done for that.

    Args:
        act: It is done three times beforehand.
        device: Where it does its work.
        seconds: For how long, about; three times at least.
    """
    for _ in range(2):
        act()
    wait(device)
    began = clock(device)
    act()
    wait(device)
    block = max(1, int(seconds / _BLOCKS / (clock(device) - began)))
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        began = clock(device)
        for _ in range(block):
            act()
        wait(device)
        times.append(clock(device) - began)
    return statistics.median(times) / block, block * len(times)


def matrix_rate(device: str, dtype: torch.dtype, seconds: float) -> float:
    """Floating-point operations a second in the product of two large square matrices."""
    size = 8192 if torch.device(device).type == "cuda" else 1024
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    return 2 * size**3 / clocked(lambda: torch.mm(left, right, out=out), device, seconds)[0]


def copy_rate(device: str, seconds: float) -> float:
    """Bytes a second, read and written, in copying a large tensor."""
    count = 2**28 if torch.device(device).type == "cuda" else 2**25
    source = torch.zeros(count, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / clocked(lambda: target.copy_(source), device, seconds)[0]


def work(act: Callable[[], object]) -> Work:
    """What an act asks of the device, counted as it is done."""
    traffic = _Traffic()
    # Fused attention is counted on some devices only.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops, traffic:
        act()
    return Work(flops.get_total_flops(), traffic.bytes)


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            written = _size(_changed(func, args)) or _size(result)
            # Of what is picked from, only that is read.
            self.bytes += _size(args[1:]) + 2 * written if func in _PICKING else _size(args) + written
        return result


def _changed(func: Any, args: Sequence[Any]) -> list[Any]:
    """The arguments that an operation writes to."""
    infos = [argument.alias_info for argument in func._schema.arguments]
    return [arg for arg, info in zip(args, infos, strict=False) if info is not None and info.is_write]


def _size(values: Iterable[Any]) -> int:
    """Bytes of the tensors in a tree of values; what is repeated without a copy counts once."""
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    return sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)
