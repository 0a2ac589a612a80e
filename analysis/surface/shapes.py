"""The shape parameters of a family whose best values are looked for, such as UBA's phi."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import family as family_class
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]

COSINE_PHI = 2.0
# Families that are another one at a value of its parameter (docs/method/schedules.md), if that one was searched.
SAME: dict[str, tuple[str, ...]] = {"cosine": ("uba",), "rex": ("rex-phi",), "linear": ("rex-phi", "polynomial")}
# What is chosen without a search where the parameter has no default: the schedule that the family is there.
USUAL = {"uba": ("cosine", COSINE_PHI), "rex-phi": ("linear", 2.0)}
TABLE = 129


# Distinct values of a warmup or floor from which on they were searched, whatever is known of ranges.
MANY = 8
# Searched parameters of a family, beyond which no single one's best value is told.
MOST_PARAMETERS = 2


@dataclass(frozen=True)
class Shape:
    """A family and one of its parameters that were searched.

    Attributes:
        family: The family's label in the results table.
        parameter: The parameter's name.
        low, high: The range searched.
        template: The schedule without the parameter, as JSON.
    """

    family: str
    parameter: str
    low: float
    high: float
    template: str

    @classmethod
    def all_of(
        cls,
        family: str,
        schedules: Sequence[Mapping[str, Any]],
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> "tuple[Shape, ...]":
        """A family's shapes in a cell; empty unless one or two parameters, and nothing else, vary among its trials.

        UBA's is phi where nothing varies.

        Args:
            family: Its label.
            schedules: Those of its trials, as `Schedule.to_dict` gives them.
            ranges: The ranges searched, by parameter or, of one family alone, by `label.parameter`; by default those of
                the trials.
        """
        if not schedules:
            return ()
        name = str(schedules[0]["family"])
        try:
            searchable, own = family_class(name).searchable(), family_class(name).parameters
        except InputError:
            return ()
        varying = varied(schedules) or (("phi",) if name == "uba" else ())
        known = {each: found for each in varying if (found := _range(family, each, ranges or {}))}
        # Warmup and floor vary among runs that were gathered from several studies, too.
        many = {each for each in searchable.keys() & varying if len({s.get(each) for s in schedules}) >= MANY}
        searched = {*own, *(searchable.keys() & known.keys()), *many}
        # A warmup in iterations is not on the scale of shares.
        in_steps = "warmup" in varying and any(s.get("warmup", 0) >= 1 for s in schedules)
        told = searched.issuperset(varying) and not in_steps
        if not told or len(varying) > MOST_PARAMETERS or any(not s.get(each) for s in schedules for each in varying):
            return ()
        shapes = []
        for each in varying:
            values = [float(s[each]) for s in schedules]
            low, high = known.get(each) or (min(values), max(values))
            rest = {k: v for k, v in schedules[0].items() if k != each}
            shapes.append(cls(family, each, min(low, *values), max(high, *values), json.dumps(rest)))
        return tuple(shapes)

    def beside(self, values: Mapping[str, float]) -> "Shape":
        """The shape with other parameters at these values."""
        rest = {name: value for name, value in values.items() if name != self.parameter}
        return replace(self, template=json.dumps({**json.loads(self.template), **rest})) if rest else self

    @property
    def usual(self) -> tuple[str, float] | None:
        """The value that is chosen without a search, after what the schedule is there called; None if there is none."""
        cls = family_class(str(json.loads(self.template)["family"]))
        default = cls.__dataclass_fields__[self.parameter].default
        if isinstance(default, int | float):
            # None is not a point of a log scale.
            return ("default", float(default)) if default > 0 else None
        return USUAL.get(cls.family)

    def log_mean(self, log_value: Array) -> Array:
        """Log of the profile's mean over the budget at log parameters, without warmup and floor: same shape."""
        at, mean = _means(self)
        return np.interp(log_value, at, mean)

    def schedule(self, value: float) -> dict[str, Any]:
        """The schedule at a value of the parameter, as `trainables.schedules.from_dict` reads it."""
        return {**json.loads(self.template), self.parameter: value}


def _range(family: str, parameter: str, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    return ranges.get(f"{family}.{parameter}", ranges.get(parameter))


def varied(schedules: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the fields that vary among schedules, as `Schedule.to_dict` gives them; warmup, floor and words too."""
    keys = dict.fromkeys(key for each in schedules for key in each)
    return tuple(key for key in keys if len({json.dumps(each.get(key)) for each in schedules}) > 1)


@lru_cache(maxsize=256)
def _means(shape: Shape) -> tuple[Array, Array]:
    """Log of the parameter and of the profile's mean on a table over the range."""
    at = np.linspace(np.log(shape.low), np.log(shape.high), TABLE)
    inside = np.clip(np.exp(at), shape.low, shape.high)
    first = from_dict(shape.schedule(float(inside[0])))
    return at, np.log([replace(first, **{shape.parameter: float(v)}).profile_mean for v in inside])
