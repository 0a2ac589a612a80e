"""One cell's rows of the results table as the surrogate takes them, and the schedules among which the best is."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.results.table import rung_columns
from phitune.analysis.surface.shapes import SAME, Shape, varied
from phitune.analysis.surrogate.coordinates import placed, shape_of
from phitune.analysis.surrogate.evidence import Outcomes
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict

Array = NDArray[np.float64]

# Values of a searched parameter, evenly spaced in its logarithm; of two together, of each.
VALUES, OF_TWO = 61, 25
# Of a family with more searched parameters, the schedules tried are the candidates: at most this many.
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
        lines: Of each family with a completed trial, its candidates: along its parameter if it has one; of two, a grid
            in which the first parameter varies slowest.
        shapes: Of each family of which one or two parameters were searched, these.
        mixed: Families whose trials differ by more than that: in more parameters, or not in the same ones.
    """

    outcomes: Outcomes
    labels: tuple[str, ...]
    family: NDArray[np.object_]
    group: dict[str, str]
    log_lr: Array
    lines: dict[str, list[Line]]
    shapes: dict[str, tuple[Shape, ...]]
    mixed: frozenset[str]

    @classmethod
    def of(cls, cell: pd.DataFrame, ranges: Mapping[str, tuple[float, float]] | None = None) -> "CellTrials":
        """The trials of a cell.

        Args:
            cell: Rows of the results table, one cell.
            ranges: The ranges searched, as of `Shape.all_of`.
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
        lines, searched, mixed = {}, {}, set[str]()
        done = (words["status"] == "completed") & np.isfinite(number["objective"])
        for label in labels:
            mine = np.flatnonzero(words["family"] == label)
            own = [schedules[i] for i in mine]
            known = all("family" in s for s in own)
            own_shapes = Shape.all_of(label, own, ranges) if known else ()
            if own_shapes and all(shape.low < shape.high for shape in own_shapes):
                searched[label] = own_shapes
                points = VALUES if len(own_shapes) == 1 else OF_TWO
                grids = [np.linspace(math.log(shape.low), math.log(shape.high), points) for shape in own_shapes]
                candidates = [line_at(own_shapes, each, budget) for each in itertools.product(*grids)]
            else:
                # The best trials' schedules: what lies between them is not known to be a schedule.
                order = mine[np.argsort(np.where(done[mine], number["objective"][mine], np.inf))]
                distinct = {words["schedule"][i]: i for i in order[::-1]}
                candidates = [Line(label, schedules[i], shapes[i]) for i in list(distinct.values())[-SCHEDULES:]]
            if known and label not in searched and len(varied(own)) > 1:
                mixed.add(label)
            if done[mine].any():
                lines[label] = candidates
        return cls(outcomes, labels, words["family"], group, log_lr, lines, searched, frozenset(mixed))

    def along(self, label: str, log_values: Array) -> list[Line]:
        """Schedules of a family at logarithms (m, k) of its searched parameters."""
        return [line_at(self.shapes[label], each, int(self.outcomes.budgets[0])) for each in log_values]

    def in_group(self, label: str) -> NDArray[np.bool_]:
        """Which trials lie on a family's surface, shape (n,)."""
        return np.asarray(self.outcomes.family == self.labels.index(self.group[label]))


def line_at(shapes: Sequence[Shape], log_values: Iterable[float], budget: int) -> Line:
    """A family's schedule at logarithms of its searched parameters, which are kept in the range searched."""
    values = {
        shape.parameter: min(max(math.exp(log), shape.low), shape.high)
        for shape, log in zip(shapes, log_values, strict=True)
    }
    schedule = {**json.loads(shapes[0].template), **values}
    return Line(shapes[0].family, schedule, _shape(schedule, budget, math.nan))


def _shape(schedule: Mapping[str, Any], budget: int, mean: float) -> tuple[float, float, float]:
    """The schedule's shape; of a family that is not to be had here, what is known: its mean."""
    try:
        return shape_of(from_dict(schedule), budget)
    except InputError:
        return (math.log(mean) if mean > 0 else 0.0, *UNKNOWN)


# Area and tail of a schedule that cannot be built: the middle of UBA's range.
UNKNOWN = (-1.25, -5.56)
