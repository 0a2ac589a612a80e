"""The conclusions of one cell about a parameter of a family that was searched, such as UBA's φ or WSD's cooldown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from phitune.analysis.answers.fields import Interval, interval, number, positive, text, wrong
from phitune.analysis.answers.fields import mapping as mapping_of
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, from_dict

# The conclusions about UBA's φ are keys of the cell itself in guidelines.json: each field, and its key there.
UBA_KEYS = {
    "verdict": "verdict",
    "best": "phi",
    "interval": "phi_interval",
    "near": "phi_near",
    "searched": "phi_range",
    "no_effect": "no_effect",
    "base_lr": "uba_base_lr",
    "base_lr_interval": "uba_base_lr_interval",
    "base_lr_at_limit": "base_lr_at_limit",
    "base_lr_lowest": "base_lr_lowest",
    "schedule": "uba_schedule",
}
ABSENT = "absent"
# The verdicts with which the best value has a place, if only at the edge.
LOCATED = ("ok", "boundary")


@dataclass(frozen=True)
class ShapeGuideline:
    """What a cell says of a parameter of a family of which one or two were searched.

    Attributes:
        family: The family's label.
        parameter: The parameter's name.
        searched: The range searched; None where unknown.
        verdict: ok, flat, boundary, unclear or thin (see `surface.CellSurface`); None where unknown.
        best: The best value; None when thin.
        interval: Its 90 % interval.
        near: Range of values whose quality is within what counts as equal of the best.
        no_effect: Probability that the parameter, of two that neither, has an effect once the LR is at its best; None
            when thin.
        base_lr: The base LR that goes with the best value, of two parameters with the best of both.
        base_lr_interval: Its 90 % interval.
        base_lr_at_limit: Whether that base LR is as high as was tried.
        base_lr_lowest: Whether it is as low as was tried.
        schedule: The family at the best value, with the study's warmup, floor and sampling; None when thin.
    """

    family: str
    parameter: str
    searched: Interval | None = None
    verdict: str | None = None
    best: float | None = None
    interval: Interval | None = None
    near: Interval | None = None
    no_effect: float | None = None
    base_lr: float | None = None
    base_lr_interval: Interval | None = None
    base_lr_at_limit: bool = False
    base_lr_lowest: bool = False
    schedule: Mapping[str, Any] | None = None

    @property
    def is_phi(self) -> bool:
        """Whether it is UBA's φ."""
        return (self.family, self.parameter) == ("uba", "phi")

    @property
    def fitted(self) -> bool:
        """Whether the best value and its base LR are known."""
        return self.best is not None and self.base_lr is not None

    @property
    def located(self) -> bool:
        """Whether the best value has a place in the range searched as well."""
        return self.fitted and self.verdict in LOCATED

    def at(self, value: float) -> Schedule:
        """The family's schedule at a value of the parameter; one that it does not allow is moved into the range."""
        described = {**(self.schedule or {"family": self.family}), self.parameter: value}
        try:
            return from_dict(described)
        except InputError:
            if self.searched is None:
                raise
            low, high = self.searched
            return from_dict({**described, self.parameter: min(max(value, low), high)})

    def allowed(self, value: float) -> float:
        """The value, or the nearest searched one if the family does not allow it."""
        return float(getattr(self.at(value), self.parameter))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ShapeGuideline":
        """From an entry of a cell's `shapes` in guidelines.json; unknown keys are ignored.

        Raises:
            InputError: A value is missing or of the wrong kind.
        """
        if not isinstance(values, Mapping):
            raise wrong("shapes", values, "a list of mappings")
        family, parameter = text(values, "family"), text(values, "parameter")
        if family is None or parameter is None:
            raise wrong("shapes", dict(values), "a list of mappings with `family` and `parameter`")
        return cls._read(family, parameter, values, {name: name for name in UBA_KEYS})

    @classmethod
    def _read(cls, family: str, parameter: str, values: Mapping[str, Any], key: Mapping[str, str]) -> "ShapeGuideline":
        """From a mapping and the key of each field."""
        return cls(
            family=family,
            parameter=parameter,
            searched=interval(values, key["searched"]),
            verdict=text(values, key["verdict"]),
            best=positive(values, key["best"]),
            interval=interval(values, key["interval"]),
            near=interval(values, key["near"]),
            no_effect=number(values, key["no_effect"]),
            base_lr=positive(values, key["base_lr"]),
            base_lr_interval=interval(values, key["base_lr_interval"]),
            base_lr_at_limit=bool(values.get(key["base_lr_at_limit"])),
            base_lr_lowest=bool(values.get(key["base_lr_lowest"])),
            schedule=mapping_of(values, key["schedule"]),
        )

    @classmethod
    def of_uba(cls, values: Mapping[str, Any]) -> "ShapeGuideline":
        """UBA's, from a cell of guidelines.json.

        Raises:
            InputError: A value is of the wrong kind.
        """
        return cls._read("uba", "phi", values, UBA_KEYS)


class HasShapes:
    """What a cell says of searched parameters, by family.

    Attributes:
        shapes: The parameters of families of which one or two were searched.
    """

    shapes: tuple[ShapeGuideline, ...]

    def all_of(self, family: str | None) -> list[ShapeGuideline]:
        """What is said of a family's searched parameters."""
        return [shape for shape in self.shapes if shape.family == family]

    def of(self, family: str | None) -> ShapeGuideline | None:
        """What is said of a family's first searched parameter; None if none was."""
        return next(iter(self.all_of(family)), None)


def told(shapes: Sequence[ShapeGuideline], *families: str | None) -> ShapeGuideline | None:
    """The shape to speak of: that of the first of some families that has one, else UBA's, else the first of all."""
    by_family = {shape.family: shape for shape in reversed(shapes)}
    first = next((by_family[family] for family in (*families, "uba") if family in by_family), None)
    return first or next(iter(shapes), None)


def to_keys(shapes: Sequence[ShapeGuideline]) -> dict[str, Any]:
    """The keys of a cell of guidelines.json: those of UBA's φ by `UBA_KEYS`, the others as `shapes`."""
    absent = ShapeGuideline("uba", "phi", verdict=ABSENT)
    uba = next((shape for shape in shapes if shape.is_phi), absent)
    keys = {key: getattr(uba, field) for field, key in UBA_KEYS.items()}
    return keys | {"shapes": [asdict(shape) for shape in shapes if shape is not uba]}


def from_keys(values: Mapping[str, Any]) -> tuple[ShapeGuideline, ...]:
    """Undoes `to_keys`; a key that an older file lacks reads as unknown.

    Raises:
        InputError: A value is of the wrong kind.
    """
    entries = values.get("shapes", [])
    if not isinstance(entries, list):
        raise wrong("shapes", entries, "a list of mappings")
    others = tuple(ShapeGuideline.from_dict(entry) for entry in entries)
    uba = ShapeGuideline.of_uba(values)
    shapes = others if uba.verdict == ABSENT else (uba, *others)
    # An older file has the schedule of the recommended family alone.
    family, schedule = text(values, "family"), mapping_of(values, "schedule")
    return tuple(
        replace(each, schedule=schedule) if each.family == family and each.best and not each.schedule else each
        for each in shapes
    )
