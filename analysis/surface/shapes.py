"""The shape parameter of a family whose best value is looked for, such as UBA's phi."""

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


@dataclass(frozen=True)
class Shape:
    """A family and its parameter that was searched.

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
    def of(
        cls,
        family: str,
        schedules: Sequence[Mapping[str, Any]],
        ranges: Mapping[str, tuple[float, float]] | None = None,
    ) -> "Shape | None":
        """A family's shape in a cell; None unless exactly one parameter, and nothing else, varies among its trials.

        UBA's is phi where nothing varies.

        Args:
            family: Its label.
            schedules: Those of its trials, as `Schedule.to_dict` gives them.
            ranges: The ranges searched, by parameter or, of one family alone, by `label.parameter`; by default those of
                the trials.
        """
        if not schedules:
            return None
        name = str(schedules[0]["family"])
        try:
            parameters = family_class(name).searchable()
        except InputError:
            return None
        varying = _varied(schedules) or (("phi",) if name == "uba" else ())
        if len(varying) != 1 or varying[0] not in parameters:
            return None
        values = [float(s[varying[0]]) for s in schedules]
        known = ranges or {}
        low, high = known.get(f"{family}.{varying[0]}", known.get(varying[0], (min(values), max(values))))
        rest = {k: v for k, v in schedules[0].items() if k != varying[0]}
        return cls(family, varying[0], min(low, *values), max(high, *values), json.dumps(rest))

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


def _varied(schedules: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
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
