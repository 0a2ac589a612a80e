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
        cls, family: str, schedules: Sequence[Mapping[str, Any]], searched: tuple[float, float] | None = None
    ) -> "Shape | None":
        """A family's shape in a cell; None unless exactly one of its parameters varies among its trials.

        UBA's is phi, whether or not it varies.

        Args:
            family: Its label.
            schedules: Those of its trials, as `Schedule.to_dict` gives them.
            searched: The range searched; by default the range of the trials.
        """
        if not schedules:
            return None
        name = str(schedules[0]["family"])
        try:
            parameters = family_class(name).parameters
        except InputError:
            return None
        varying = [key for key in parameters if len({json.dumps(s.get(key)) for s in schedules}) > 1]
        if name == "uba":
            varying = ["phi"]
        if len(varying) != 1:
            return None
        values = [float(s[varying[0]]) for s in schedules]
        low, high = searched or (min(values), max(values))
        rest = {k: v for k, v in schedules[0].items() if k != varying[0]}
        return cls(family, varying[0], min(low, *values), max(high, *values), json.dumps(rest))

    def log_mean(self, log_value: Array) -> Array:
        """Log of the profile's mean over the budget at log parameters, without warmup and floor: same shape."""
        at, mean = _means(self)
        return np.interp(log_value, at, mean)

    def schedule(self, value: float) -> dict[str, Any]:
        """The schedule at a value of the parameter, as `trainables.schedules.from_dict` reads it."""
        return {**json.loads(self.template), self.parameter: value}


@lru_cache(maxsize=256)
def _means(shape: Shape) -> tuple[Array, Array]:
    """Log of the parameter and of the profile's mean on a table over the range."""
    at = np.linspace(np.log(shape.low), np.log(shape.high), TABLE)
    inside = np.clip(np.exp(at), shape.low, shape.high)
    first = from_dict(shape.schedule(float(inside[0])))
    return at, np.log([replace(first, **{shape.parameter: float(v)}).profile_mean for v in inside])
