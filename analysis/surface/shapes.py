"""The shape parameter of a family over which a surface is fitted, such as UBA's phi."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import family as family_class
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]

COSINE_PHI = 2.0
# Families without the parameter that are the family at one of its values (docs/method/schedules.md).
SAME: dict[str, dict[str, float]] = {
    "uba": {"cosine": COSINE_PHI},
    "rex-phi": {"rex": 1.0, "linear": 2.0},
    "polynomial": {"linear": 1.0},
}
COMPOSITION = ("warmup", "floor", "sampling")
TABLE = 129


@dataclass(frozen=True)
class Shape:
    """A family and its parameter that was searched.

    Attributes:
        family: The family's label in the results table.
        parameter: The parameter's name.
        low, high: The range searched.
        template: The schedule without the parameter, warmup, floor and sampling, as JSON.
        same: Families that are this one at some value of the parameter, as (label, value).
    """

    family: str
    parameter: str
    low: float
    high: float
    template: str
    same: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, cell: pd.DataFrame, family: str = "uba", searched: tuple[float, float] | None = None) -> "Shape | None":
        """The family's shape in a cell; None unless exactly one of its parameters varies among its trials.

        UBA's is phi, whether or not it varies.

        Args:
            cell: Rows of the results table, one cell.
            family: Its label there.
            searched: The range searched; by default the range of the family's trials.
        """
        schedules = [json.loads(text) for text in cell.loc[cell["family"] == family, "schedule"]]
        if not schedules:
            return None
        name = str(schedules[0]["family"])
        try:
            parameters = family_class(name).parameters
        except InputError:
            return None
        varying = [key for key in parameters if len({s.get(key) for s in schedules}) > 1]
        if name == "uba":
            varying = ["phi"]
        if len(varying) != 1:
            return None
        values = [float(s[varying[0]]) for s in schedules]
        low, high = searched or (min(values), max(values))
        rest = {k: v for k, v in schedules[0].items() if k not in (varying[0], *COMPOSITION)}
        same = tuple(SAME.get(name, {}).items()) if family == name else ()
        return cls(family, varying[0], min(low, *values), max(high, *values), json.dumps(rest), same)

    def values(self, rows: pd.DataFrame | Mapping[str, NDArray[Any]]) -> Array:
        """The parameter of each row, shape (n,); NaN for rows that are not on the surface."""
        same = dict(self.same)
        values = [
            float(json.loads(text)[self.parameter]) if family == self.family else same.get(family, np.nan)
            for family, text in zip(rows["family"], rows["schedule"], strict=True)
        ]
        return np.array(values, dtype=np.float64)

    def log_mean(self, log_value: Array) -> Array:
        """Log of the profile's mean over the budget at log parameters, without warmup and floor: same shape."""
        at, mean = _means(self)
        return np.interp(log_value, at, mean)

    @property
    def falls(self) -> bool:
        """Whether a larger parameter has the smaller mean, as UBA's phi has."""
        mean = _means(self)[1]
        return bool(mean[-1] <= mean[0])

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
