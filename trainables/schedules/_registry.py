"""Families by name, a user's own by module and class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.schedules._base import Schedule
from phitune.trainables.schedules.constant import Constant
from phitune.trainables.schedules.cosine import Cosine
from phitune.trainables.schedules.delayed_linear import DelayedLinear
from phitune.trainables.schedules.exponential import Exponential
from phitune.trainables.schedules.inverse_sqrt import InverseSqrt
from phitune.trainables.schedules.linear import Linear
from phitune.trainables.schedules.multistep import MultiStep
from phitune.trainables.schedules.onecycle import OneCycle
from phitune.trainables.schedules.plateau import Plateau
from phitune.trainables.schedules.polynomial import Polynomial
from phitune.trainables.schedules.refined import Refined
from phitune.trainables.schedules.rex import Rex
from phitune.trainables.schedules.rex_phi import RexPhi
from phitune.trainables.schedules.sgdr import Sgdr
from phitune.trainables.schedules.spline import Spline
from phitune.trainables.schedules.step import Step
from phitune.trainables.schedules.uba import Uba
from phitune.trainables.schedules.wsd import Wsd
from phitune.trainables.suggestion import did_you_mean
from phitune.trainables.user_class import import_class

_DECAYS: tuple[type[Schedule], ...] = (
    Uba,
    RexPhi,
    Rex,
    Linear,
    Cosine,
    Step,
    MultiStep,
    Exponential,
    Polynomial,
    Spline,
)
_PHASES: tuple[type[Schedule], ...] = (OneCycle, Wsd, Sgdr, DelayedLinear, InverseSqrt, Constant)
_FROM_A_RUN: tuple[type[Schedule], ...] = (Plateau, Refined)
_FAMILIES = {cls.family: cls for cls in (*_DECAYS, *_PHASES, *_FROM_A_RUN)}


def families() -> list[str]:
    """The names of all built-in families."""
    return list(_FAMILIES)


def family(name: str) -> type[Schedule]:
    """The class of a family.

    A user's own is named by its class: ``my_package.my_module:MyFamily``, importable from the working directory;
    its class attribute ``family`` is that very name.

    Raises:
        InputError: There is no family of that name, or it cannot be imported.
    """
    if ":" in name:
        return _user_family(name)
    if name not in _FAMILIES:
        raise InputError(
            f"family: unknown family {name!r};{did_you_mean(name, _FAMILIES)} families: {', '.join(_FAMILIES)}, "
            "or module:Class"
        )
    return _FAMILIES[name]


def schedule(name: str, /, **parameters: Any) -> Schedule:
    """A schedule by family name: ``schedule("uba", phi=2.0, warmup=0.1)``.

    Raises:
        InputError: Unknown family or parameter, or a value out of its range.
    """
    cls = family(name)
    known = [*cls.own_fields(), *(f.name for f in fields(Schedule))]
    for key in parameters:
        if key not in known:
            hint = did_you_mean(key, known)
            raise InputError(f"{name}.{key}: unknown parameter;{hint} {name} takes: {', '.join(known)}")
    for key in cls.required():
        if key not in parameters:
            raise InputError(f"{name}.{key}: missing; {name} has no default for it")
    return cls(**parameters)


def from_dict(values: Mapping[str, Any]) -> Schedule:
    """The schedule that `Schedule.to_dict` described, also after JSON.

    Raises:
        InputError: As `schedule`, or there is no ``family``.
    """
    parameters = dict(values)
    if not isinstance(parameters.get("family"), str):
        raise InputError(f"family: missing; a schedule needs a family: {', '.join(_FAMILIES)}")
    return schedule(parameters.pop("family"), **parameters)


def _user_family(name: str) -> type[Schedule]:
    cls = import_class(name, "family")
    if not (isinstance(cls, type) and issubclass(cls, Schedule)):
        raise InputError(
            f"family: {name!r} is not allowed; it must be a subclass of phitune.trainables.schedules.Schedule"
        )
    if inspect.isabstract(cls):
        raise InputError(f"family: {name!r} is not allowed; it must define `profile`")
    if getattr(cls, "family", None) != name:
        raise InputError(f"family: {name!r} is not allowed; its class attribute `family` must be that very name")
    return cls
