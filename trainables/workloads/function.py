"""A function as a workload: any training loop that takes a `phitune.Trial` and reports to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.suggestion import did_you_mean
from phitune.trainables.user_class import import_class
from phitune.trainables.workloads.base import Workload

# A function makes its optimizer itself; in a study's cells it stands under this name.
OWN_OPTIMIZER = Spec("own")
# Keys of a function's entry in a study file that say what it is; all others are its arguments.
ENTRY_KEYS = ("full_budget", "base_lr", "objective", "metric_name", "metric_mode", "artifacts", "resources")


@dataclass(frozen=True)
class Function:
    """A function workload with its arguments.

    Attributes:
        name: Its module and name, such as ``my_training:train``.
        function: The function; its first parameter takes the trial.
        arguments: What a study file gives for its other parameters.
    """

    name: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]

    def call(self, trial: Any) -> None:
        """Trains a trial (`phitune.Trial`)."""
        self.function(trial, **self.arguments)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that a study file may set, with their defaults (`inspect.Parameter.empty` for none)."""
        return {key: parameter.default for key, parameter in _others(self.function) if _named(parameter)}


def is_function(name: str) -> bool:
    """Whether a workload's name stands for a function; imports its module if it is a user's.

    Raises:
        InputError: It cannot be imported.
    """
    return ":" in name and not _is_workload(import_class(name, "workload"))


def function(spec: Spec) -> Function:
    """The function that an entry of a study file names, with the entry's arguments.

    Raises:
        InputError: It is none (`function_named`); an argument is unknown or missing.
    """
    named = replace(function_named(spec.name), arguments=spec.params)
    _require_arguments(named)
    return named


def function_named(name: str) -> Function:
    """A function workload without arguments.

    Raises:
        InputError: It is no function, takes no trial, or has a parameter that is called like a key of the entry or
            that cannot be given by name.
    """
    imported = import_class(name, "workload")
    if not callable(imported) or isinstance(imported, type):
        raise InputError(
            f"workload: {name!r} is not allowed; it must be a function of a phitune.Trial, or a subclass of "
            "phitune.trainables.workloads.Workload"
        )
    named = Function(name, imported, {})
    _require_trial(named)
    _require_names(named)
    return named


def _is_workload(imported: object) -> bool:
    return isinstance(imported, type) and issubclass(imported, Workload)


def _others(function: Callable[..., Any]) -> list[tuple[str, inspect.Parameter]]:
    """All parameters but the first."""
    return list(inspect.signature(function).parameters.items())[1:]


def _named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def _require_trial(workload: Function) -> None:
    first = next(iter(inspect.signature(workload.function).parameters.values()), None)
    takes_trial = first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
    annotation = getattr(first, "annotation", None)
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if not takes_trial or (first is not None and first.name != "trial" and kind.rpartition(".")[2] != "Trial"):
        given = f"{workload.name} takes {first.name!r} first" if first else f"{workload.name} has no parameter"
        raise InputError(
            f"workload: {given}; a function's first parameter must be the trial, as in "
            f"def {workload.name.rpartition(':')[2]}(trial: phitune.Trial, ...)"
        )


def _require_names(workload: Function) -> None:
    """Refuses parameters that a study file cannot give."""
    for key, parameter in _others(workload.function):
        if parameter.kind == parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
            raise InputError(f"workload: {workload.name} takes {key!r} by position; a study gives arguments by name")
        if key in ENTRY_KEYS:
            raise InputError(
                f"workloads.{workload.name}.{key}: the function has a parameter of this name, which in a study file is "
                "no argument but a key of the entry; rename the parameter"
            )


def _require_arguments(workload: Function) -> None:
    name, known = workload.name, workload.parameters
    anything = any(parameter.kind == parameter.VAR_KEYWORD for _, parameter in _others(workload.function))
    for key in workload.arguments:
        if key not in known and not anything:
            raise InputError(
                f"workloads.{name}.{key}: unknown parameter;{did_you_mean(key, [*known, *ENTRY_KEYS])} "
                f"{name} takes: {', '.join(known) or 'none'}"
            )
    for key, default in known.items():
        if default is inspect.Parameter.empty and key not in workload.arguments:
            raise InputError(f"workloads.{name}.{key}: missing; the function has no default for it")
