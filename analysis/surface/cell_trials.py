"""One cell's rows of the results table as the surrogate takes them, and the schedules among which the best is."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.results.table import rung_columns
from phitune.analysis.surface.shapes import SAME, Shape
from phitune.analysis.surrogate.coordinates import placed, shape_of
from phitune.analysis.surrogate.evidence import Outcomes
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]

# Values of a searched parameter, evenly spaced in its logarithm.
VALUES = 61
# Of a family with several searched parameters, the schedules tried are the candidates: at most this many.
SCHEDULES = 60


@dataclass(frozen=True)
class Line:
    """A schedule at every LR.

    Attributes:
        family: The family's label.
        schedule: As `trainables.schedules.from_dict` reads it.
        shape: Its shape, as of `surrogate.coordinates.shape_of`.
    """

    family: str
    schedule: Mapping[str, Any]
    shape: tuple[float, float, float]


@dataclass(frozen=True)
class CellTrials:
    """The trials of a cell.

    Attributes:
        outcomes: As the surrogate takes them, n of them; their families are indices of `labels`.
        labels: Families.
        family: Each trial's family, shape (n,).
        group: Of each family, the one that it is at a value of that one's parameter, or itself.
        log_lr: Log base LR, shape (n,).
        lines: Of each family with a completed trial, its candidates: along its parameter if it has one.
        shapes: The families of which exactly one parameter was searched.
    """

    outcomes: Outcomes
    labels: tuple[str, ...]
    family: NDArray[np.object_]
    group: dict[str, str]
    log_lr: Array
    lines: dict[str, list[Line]]
    shapes: dict[str, Shape]

    @classmethod
    def of(cls, cell: pd.DataFrame, ranges: Mapping[str, tuple[float, float]] | None = None) -> "CellTrials":
        """The trials of a cell.

        Args:
            cell: Rows of the results table, one cell.
            ranges: The ranges searched, as of `Shape.of`.
        """
        words = {c: cell[c].to_numpy(dtype=object, na_value="") for c in ("family", "schedule", "status")}
        number = {c: cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in ("base_lr", "mean_lr", "objective")}
        budget = int(cell["budget"].iloc[0])
        labels = tuple(sorted(set(words["family"])))
        group = {f: next((k for k in SAME.get(f, ()) if k in labels), f) for f in labels}
        schedules = [json.loads(text or "{}") for text in words["schedule"]]
        shapes = [
            _shape(s, budget, ratio) for s, ratio in zip(schedules, number["mean_lr"] / number["base_lr"], strict=True)
        ]
        log_lr = np.log(number["base_lr"])
        rungs = rung_columns(cell.columns)
        n = len(cell)
        judged = [cell[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in rungs]
        outcomes = Outcomes(
            budgets=[budget],
            cell=np.zeros(n, dtype=np.int64),
            place=placed(np.array(shapes), log_lr),
            family=np.array([labels.index(group[f]) for f in words["family"]], dtype=np.int64),
            seed=cell["seed"].to_numpy(dtype=np.int64, na_value=0),
            status=words["status"].astype(np.str_),
            objective=number["objective"],
            rungs=np.stack(judged, axis=1) if judged else np.empty((n, 0)),
            mode=str(cell["mode"].iloc[0]),
            exact=bool(cell["deterministic"].astype(bool).all()),
        )
        lines, searched = {}, {}
        done = (words["status"] == "completed") & np.isfinite(number["objective"])
        for label in labels:
            mine = np.flatnonzero(words["family"] == label)
            own = [schedules[i] for i in mine]
            known = all("family" in s for s in own)
            shape = Shape.of(label, own, ranges) if known else None
            if shape is not None and shape.low < shape.high:
                searched[label] = shape
                values = np.exp(np.linspace(math.log(shape.low), math.log(shape.high), VALUES))
                tried = [shape.schedule(float(value)) for value in np.clip(values, shape.low, shape.high)]
                candidates = [Line(label, s, _shape(s, budget, math.nan)) for s in tried]
            else:
                # The best trials' schedules: what lies between them is not known to be a schedule.
                order = mine[np.argsort(np.where(done[mine], number["objective"][mine], np.inf))]
                distinct = {words["schedule"][i]: i for i in order[::-1]}
                candidates = [Line(label, schedules[i], shapes[i]) for i in list(distinct.values())[-SCHEDULES:]]
            if done[mine].any():
                lines[label] = candidates
        return cls(outcomes, labels, words["family"], group, log_lr, lines, searched)

    def in_group(self, label: str) -> NDArray[np.bool_]:
        """Which trials lie on a family's surface, shape (n,)."""
        return np.asarray(self.outcomes.family == self.labels.index(self.group[label]))


def _shape(schedule: Mapping[str, Any], budget: int, mean: float) -> tuple[float, float, float]:
    """The schedule's shape; of a family that is not to be had here, what is known: its mean."""
    try:
        return shape_of(from_dict(schedule), budget)
    except InputError:
        return (math.log(mean) if mean > 0 else 0.0, *UNKNOWN)


# Area and tail of a schedule that cannot be built: the middle of UBA's range.
UNKNOWN = (-1.25, -5.56)
