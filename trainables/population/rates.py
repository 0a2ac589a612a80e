"""Peak rates of a device, and the floating-point operations and bytes of a piece of work."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from phitune.trainables.workloads.learning.torch_internals import DispatchMode, written

_BLOCKS = 10
_GATHERS = (torch.ops.aten.index.Tensor, torch.ops.aten.gather.default, torch.ops.aten.embedding.default)


@dataclass(frozen=True)
class Work:
    """Operations and memory traffic of a piece of work.

    Attributes:
        flops: Floating-point operations of matrix products and convolutions, two a multiply-add.
        bytes: Bytes read and written if every operation reads its arguments from memory and writes its results there.
    """

    flops: int
    bytes: int


def wait(device: str) -> None:
    """Waits until the device has finished its queued work."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def clock(device: str) -> float:
    """Seconds since a fixed moment; with one thread on a CPU the process's own CPU time, which others hardly change."""
    if torch.device(device).type == "cpu" and torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()


def clocked(act: Callable[[], object], device: str, seconds: float) -> tuple[float, int]:
    """Times a function.

    Args:
        act: The function; three warm-up calls come first.
        device: The device that it works on.
        seconds: About how long to time it; at least three times.

    Returns:
        The median time of a call, in seconds of `clock`, and the number of timed calls.
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
    """Calls a function and counts its operations and traffic on the device."""
    traffic = _Traffic()
    # Fused attention is counted on some devices only.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as flops, traffic:
        act()
    return Work(flops.get_total_flops(), traffic.bytes)


class _Traffic(DispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            output = _size(written(func, args)) or _size(result)
            # A gather reads of its source only the elements that it returns.
            self.bytes += _size(args[1:]) + 2 * output if func in _GATHERS else _size(args) + output
        return result


def _size(values: Any) -> int:
    """Bytes of the tensors in nested sequences; elements that are repeated without a copy count once."""
    return sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in _tensors(values))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
