"""The families of a study: fixed parameters, searched parameters and the name in results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Parameter, Schedule, family, schedule
from phitune.trainables.suggestion import did_you_mean

Range = tuple[float, float]


@dataclass(frozen=True)
class FamilySpace:
    """A family as a study searches it.

    Attributes:
        label: The name in results; by default the family's name.
        name: The family's name.
        fixed: Parameters with a fixed value, warmup, floor and sampling among them.
        searched: Parameters that are searched, with their ranges.
    """

    label: str
    name: str
    fixed: Mapping[str, Any]
    searched: Mapping[str, Parameter]

    def __str__(self) -> str:
        """The label and the ranges that are searched, such as ``uba (phi 0.05 to 50)``."""
        ranges = ", ".join(f"{name} {each.low:g} to {each.high:g}" for name, each in self.searched.items())
        return f"{self.label} ({ranges})" if ranges else self.label

    def schedule(self, **values: float) -> Schedule:
        """The schedule with these values of the searched parameters."""
        return schedule(self.name, **self.fixed, **values)


def family_spaces(
    entries: Sequence[str | Mapping[str, Any]], ranges: Mapping[str, Range], composition: Mapping[str, Any]
) -> list[FamilySpace]:
    """The families that a study file's ``families``, ``space`` and ``schedule`` describe.

    Parameters without a default (φ) are searched unless an entry fixes them; those with one are searched if
    ``space`` has a range for them, as ``rate`` (any family's) or ``exponential.rate``.

    Args:
        entries: Names, or mappings with ``name``, perhaps ``label``, and fixed parameters.
        ranges: Ranges by parameter.
        composition: Warmup, floor and sampling of all families; an entry may override them.

    Raises:
        InputError: An unknown family or parameter, a value out of its range, a duplicate label, an unused range.
    """
    composition = {key: _fraction(value) for key, value in composition.items()}
    try:
        schedule("constant", **composition)
    except InputError as error:
        raise InputError(str(error).replace("constant.", "schedule.", 1)) from None
    for key, (low, high) in ranges.items():
        if (name := key.rpartition(".")[2]) in composition:
            raise InputError(
                f"space.{key}: [{low:g}, {high:g}] is not allowed; `schedule` fixes {name} for all families, so leave "
                "one of the two out"
            )
    spaces = [_space(entry, ranges, composition) for entry in entries]
    labels = [space.label for space in spaces]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"families: {label!r} is there twice; give each entry a `label`")
    _require_use(ranges, spaces)
    return spaces


def with_profiles_read(entries: Iterable[Any], folder: Path) -> list[Any]:
    """The entries, with the file named by ``values`` (a refined schedule's) replaced by the values in it.

    The file is JSON: a list, or the result of `Schedule.to_dict`; its path is relative to the study file's folder.

    Raises:
        InputError: The file cannot be read.
    """
    return [_profile_read(entry, folder) for entry in entries]


def _space(entry: str | Mapping[str, Any], ranges: Mapping[str, Range], composition: Mapping[str, Any]) -> FamilySpace:
    values: dict[str, Any] = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = values.pop("name", None)
    if not isinstance(name, str):
        raise InputError(f"families: {entry!r} is not allowed; an entry is a name or a mapping with `name`")
    label = values.pop("label", name)
    if not isinstance(label, str) or not label or "." in label:
        raise InputError(f"families.{name}.label: {label!r} is not allowed; it must be a word without a dot")
    cls = family(name)
    fixed = {**composition, **{key: _fraction(value) for key, value in values.items()}}
    searched: dict[str, Parameter] = {}
    for key, default in cls.searchable().items():
        bounds = ranges.get(f"{label}.{key}", ranges.get(key))
        if bounds is not None and key in values and f"{label}.{key}" in ranges:
            raise InputError(
                f"space.{label}.{key}: [{bounds[0]:g}, {bounds[1]:g}] is not allowed; `families` fixes {key} of "
                f"{label}, so leave one of the two out"
            )
        if key not in fixed and (bounds is not None or key in cls.required()):
            searched[key] = default if bounds is None else Parameter(*bounds)
    space = FamilySpace(label, name, fixed, searched)
    for end in ("low", "high"):
        try:
            space.schedule(**{key: getattr(parameter, end) for key, parameter in searched.items()})
        except InputError as error:
            field, _, why = str(error).partition(": ")
            key = field.rpartition(".")[2]
            if key not in searched:
                raise InputError(f"families.{error}") from None
            own = f"{label}.{key}"
            fractions = "; a range of warmups is one of fractions" if key == "warmup" else ""
            raise InputError(f"space.{own if own in ranges else key}: {why}{fractions}") from None
    return space


def _require_use(ranges: Mapping[str, Range], spaces: Sequence[FamilySpace]) -> None:
    """Refuses a range that no family searches, except φ's, which has a default."""
    usable = {
        key for space in spaces for name in family(space.name).searchable() for key in (name, f"{space.label}.{name}")
    }
    for key in ranges:
        if key not in usable and key != "phi":
            known = ["base_lr", *sorted(usable | {"phi"})]
            raise InputError(f"space.{key}: unknown key;{did_you_mean(key, known)} keys here: {', '.join(known)}")


def _fraction(value: Any) -> Any:
    """``"5%"`` as 0.05, in lists too; everything else as it is."""
    if isinstance(value, list | tuple):
        return tuple(_fraction(each) for each in value)
    if isinstance(value, str) and value.endswith("%"):
        try:
            return float(value[:-1]) / 100
        except ValueError:
            return value
    return value


def _profile_read(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("values"), str):
        return entry
    path = folder / entry["values"]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON"
        raise InputError(f"families.{entry.get('name')}.values: cannot read {str(path)!r}: {reason}") from error
    return {**entry, "values": content.get("values") if isinstance(content, dict) else content}
