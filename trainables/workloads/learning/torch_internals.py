"""The parts of torch without a public name that phitune uses, and which of them this torch lacks.

Without the first a learner averages its weights one tensor at a time; without the others trials train alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

try:
    from torch.utils._python_dispatch import TorchDispatchMode
except ImportError:
    TorchDispatchMode = object  # type: ignore[assignment, misc]

DispatchMode = TorchDispatchMode
"""Base class of modes that see every operation of torch that reaches a device."""

_lerp = getattr(torch, "_foreach_lerp_", None)


def lerp(targets: Sequence[Tensor], sources: Sequence[Tensor], weight: float) -> None:
    """Moves each target by ``weight`` of the way to its source, in place; in one call where torch has one."""
    if _lerp is not None:
        _lerp(targets, sources, weight)
        return
    for target, source in zip(targets, sources, strict=True):
        target.lerp_(source, weight)


def version(tensor: Tensor) -> int:
    """The number of writes to a tensor's memory so far."""
    return tensor._version


def writes_in_place(operation: Any) -> bool:
    """Whether an operation seen by a `DispatchMode` writes to one of its arguments."""
    return bool(operation._schema.is_mutable)


def written(operation: Any, arguments: Sequence[Any]) -> list[Any]:
    """The arguments that an operation seen by a `DispatchMode` writes to."""
    aliases = [argument.alias_info for argument in operation._schema.arguments]
    return [value for value, alias in zip(arguments, aliases, strict=False) if alias is not None and alias.is_write]


def missing_for_populations() -> list[str]:
    """The names that a population needs and this torch lacks; empty with the versions that phitune is tested with."""
    schema = getattr(torch.ops.aten.add_.Tensor, "_schema", None)
    needs = {
        "torch.utils._python_dispatch.TorchDispatchMode": TorchDispatchMode is not object,
        "torch.Tensor._version": hasattr(Tensor, "_version"),
        "OpOverload._schema.is_mutable": hasattr(schema, "is_mutable"),
    }
    return [name for name, here in needs.items() if not here]
