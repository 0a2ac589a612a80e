"""Workloads by name, built once a process."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from typing import Any

from trainables.errors import InputError
from trainables.workloads.base import Workload
from trainables.workloads.spec import WorkloadSpec

# Modules are named, not imported: a table of workloads must not need torch.
_WORKLOADS = {
    "mlp/digits": "trainables.workloads.digits:MlpDigits",
    "cnn/digits": "trainables.workloads.digits:CnnDigits",
    "quadratic": "trainables.workloads.quadratic:Quadratic",
}


def names() -> list[str]:
    """The names of all workloads."""
    return list(_WORKLOADS)


def parameters(name: str) -> dict[str, Any]:
    """A workload's parameters and their defaults."""
    signature = inspect.signature(_workload_class(name))
    return {key: parameter.default for key, parameter in signature.parameters.items()}


@lru_cache(maxsize=8)
def workload(spec: WorkloadSpec) -> Workload:
    """The workload, data loaded; one instance a process.

    Raises:
        InputError: Unknown name or parameter, or a value out of its range.
    """
    cls = _workload_class(spec.name)
    known = inspect.signature(cls).parameters
    for key in spec.params:
        if key not in known:
            allowed = ", ".join(known) if known else "none"
            raise InputError(f"workloads.{spec.name}.{key}: unknown parameter; {spec.name} takes: {allowed}")
    return cls(**spec.params)


def _workload_class(name: str) -> type[Workload]:
    if name not in _WORKLOADS:
        near = get_close_matches(name, _WORKLOADS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"workload: unknown workload {name!r}; {hint}workloads: {', '.join(_WORKLOADS)}")
    module, _, attribute = _WORKLOADS[name].partition(":")
    cls: type[Workload] = getattr(import_module(module), attribute)
    return cls
