"""Workloads by name, built once a process."""

from __future__ import annotations

import inspect
from fnmatch import fnmatch
from functools import lru_cache
from importlib import import_module
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.suggestion import did_you_mean
from phitune.trainables.user_class import import_class
from phitune.trainables.workloads.base import Workload

_TABLES = ("breast-cancer", "digits", "hastie", "iris", "wine")
_IMAGES = ("cifar10", "cifar100", "mnist", "fashion-mnist", "stl10", "images")
_GPTS = ("gpt-nano", "gpt-micro", "gpt-mini", "gpt-small")

# Modules are named, not imported: a table of workloads must not need torch. A `*` stands for any architecture;
# classes with positional-only parameters take the two halves of the name, architecture and data set.
_WORKLOADS = {
    "mlp/digits": "phitune.trainables.workloads.digits:MlpDigits",
    "cnn/digits": "phitune.trainables.workloads.digits:CnnDigits",
    "resnet8/digits": "phitune.trainables.workloads.digits:Resnet8Digits",
    **{
        f"logreg/{table}": "phitune.trainables.workloads.convex:LogisticRegression"
        for table in _TABLES
        if table != "hastie"
    },
    **{f"mlp/{table}": "phitune.trainables.workloads.tabular:MlpTable" for table in _TABLES if table != "digits"},
    **{f"{gpt}/stdlib": "phitune.trainables.workloads.language:Gpt" for gpt in _GPTS},
    **{f"{gpt}/text": "phitune.trainables.workloads.language:Gpt" for gpt in _GPTS},
    **{f"*/{images}": "phitune.trainables.workloads.vision:Vision" for images in _IMAGES},
    "quadratic": "phitune.trainables.workloads.exact:Quadratic",
    "regression": "phitune.trainables.workloads.exact:Regression",
    "power-law": "phitune.trainables.workloads.exact:PowerLaw",
}


def names() -> list[str]:
    """The names of all workloads; ``*/cifar10`` stands for any image architecture on CIFAR-10."""
    return list(_WORKLOADS)


def parameters(name: str) -> dict[str, Any]:
    """A workload's parameters and their defaults."""
    return _class_and_parts(name)[0].parameters()


@lru_cache(maxsize=8)
def workload(spec: Spec) -> Workload:
    """The workload; one instance a process.

    A user's own is named by its class: ``my_package.my_module:MyWorkload``, importable from the working directory.

    Raises:
        InputError: Unknown name or parameter, one without a default that is missing, or a value out of its range.
    """
    cls, parts = _class_and_parts(spec.name)
    known = cls.parameters()
    for key in spec.params:
        if key not in known:
            allowed = ", ".join(known) if known else "none"
            raise InputError(f"workloads.{spec.name}.{key}: unknown parameter; {spec.name} takes: {allowed}")
    for key, default in known.items():
        if default is inspect.Parameter.empty and key not in spec.params:
            raise InputError(f"workloads.{spec.name}.{key}: missing; {spec.name} has no default for it")
    return cls.build(spec, *parts)


def _class_and_parts(name: str) -> tuple[type[Workload], tuple[str, ...]]:
    """The class that a name stands for, and the halves of the name if its constructor takes them."""
    if ":" in name:
        return _user_workload(name), ()
    matching = (where for pattern, where in _WORKLOADS.items() if fnmatch(name, pattern) and name.count("/") < 2)
    where = next(matching, None)
    if where is None:
        hint = did_you_mean(name, _WORKLOADS)
        raise InputError(
            f"workload: unknown workload {name!r};{hint} yours is MODULE:FUNCTION; workloads: {', '.join(names())}"
        )
    cls = _import(where)
    halves = any(p.kind == p.POSITIONAL_ONLY for p in inspect.signature(cls).parameters.values())
    return cls, tuple(name.split("/")) if halves else ()


def _import(where: str) -> type[Workload]:
    module, _, attribute = where.partition(":")
    cls: type[Workload] = getattr(import_module(module), attribute)
    return cls


def _user_workload(name: str) -> type[Workload]:
    cls = import_class(name, "workload")
    if not (isinstance(cls, type) and issubclass(cls, Workload)):
        raise InputError(
            f"workload: {name!r} is not allowed here; it must be a subclass of phitune.trainables.workloads.Workload"
        )
    return cls
