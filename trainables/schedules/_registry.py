"""Families by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from trainables.errors import InputError
from trainables.schedules._base import Schedule
from trainables.schedules.constant import Constant
from trainables.schedules.cosine import Cosine
from trainables.schedules.exponential import Exponential
from trainables.schedules.linear import Linear
from trainables.schedules.rex import Rex
from trainables.schedules.step import Step
from trainables.schedules.uba import Uba

_FAMILIES: dict[str, type[Schedule]] = {
    cls.family: cls for cls in (Uba, Rex, Linear, Cosine, Step, Exponential, Constant)
}


def families() -> list[str]:
    """The names of all families."""
    return list(_FAMILIES)


def family(name: str) -> type[Schedule]:
    """The class of a family.

    Raises:
        InputError: There is no family of that name.
    """
    if name not in _FAMILIES:
        near = get_close_matches(name, _FAMILIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"family: unknown family {name!r}; {hint}families: {', '.join(_FAMILIES)}")
    return _FAMILIES[name]


def schedule(name: str, **parameters: Any) -> Schedule:
    """A schedule by family name: ``schedule("uba", phi=2.0)``.

    Raises:
        InputError: Unknown family or parameter, or a value out of its range.
    """
    cls = family(name)
    known = [f.name for f in fields(cls)]
    for key in parameters:
        if key not in known:
            allowed = ", ".join(known) if known else "none"
            raise InputError(f"{name}.{key}: unknown parameter; {name} takes: {allowed}")
    missing = [f.name for f in fields(cls) if f.name in cls.parameters and f.name not in parameters]
    if missing:
        raise InputError(f"{name}.{missing[0]}: missing; it must be a positive number")
    return cls(**parameters)


def from_dict(values: Mapping[str, Any]) -> Schedule:
    """The schedule that `Schedule.to_dict` described."""
    parameters = dict(values)
    return schedule(parameters.pop("family"), **parameters)
