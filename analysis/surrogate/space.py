"""The configurations of a cell: families with their parameters, and base LRs; and where each lies in the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from phitune.analysis.surrogate.coordinates import placed, shape_of
from phitune.trainables.schedules import Schedule

Array = NDArray[np.float64]

# Values of a parameter whose shapes are tabulated; of several parameters together, points of a Sobol sequence.
TABLE = 97
_TABLE_BITS = 8


@dataclass(frozen=True)
class Family:
    """A family as it is searched in a cell.

    Attributes:
        label: Its name in the study.
        parameters: Number of searched parameters, k.
        build: Makes a schedule from k numbers in [0, 1], each parameter's place in its range (on a log scale).
    """

    label: str
    parameters: int
    build: Callable[[Array], Schedule]


@dataclass(frozen=True)
class Configurations:
    """Configurations of a space, m of them.

    Attributes:
        family: Index of each one's family, shape (m,).
        unit: Its parameters in [0, 1], shape (m, k) with k the most that any family has.
        log_lr: Log base LR, shape (m,).
    """

    family: NDArray[np.int64]
    unit: Array
    log_lr: Array

    def __len__(self) -> int:
        return len(self.family)

    def take(self, rows: NDArray[np.int64]) -> Configurations:
        """Some of the configurations."""
        return Configurations(self.family[rows], self.unit[rows], self.log_lr[rows])

    @classmethod
    def join(cls, *parts: Configurations) -> Configurations:
        """The configurations of all parts, in order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("family", "unit", "log_lr")))


class Space:
    """All configurations of a cell.

    Args:
        families: The families.
        budget: Iterations T.
        log_lr: Range of the log base LR.
    """

    def __init__(self, families: Sequence[Family], budget: int, log_lr: tuple[float, float]) -> None:
        self.families = tuple(families)
        self.budget = budget
        self.log_lr = log_lr
        self.parameters = max(family.parameters for family in families)
        # A plane needs more points than a line.
        weights = np.array([1.0 + 4.0 * family.parameters for family in families])
        self._weights = np.cumsum(weights / weights.sum())

    def quasi_random(self, count: int, seed: int, inner: float = 1.0) -> Configurations:
        """A scrambled Sobol sequence over families (in proportion to their dimensions), parameters and LRs.

        Args:
            count: Number of configurations.
            seed: Of the scrambling.
            inner: The share of the range of log LR that is used, its middle.
        """
        sampler = qmc.Sobol(2 + self.parameters, scramble=True, rng=seed)
        unit = sampler.random_base2(int(np.ceil(np.log2(max(count, 2)))))[:count]
        family = np.minimum(np.searchsorted(self._weights, unit[:, 0], side="right"), len(self.families) - 1)
        return Configurations(family, unit[:, 2:], self._lr(0.5 + inner * (unit[:, 1] - 0.5)))

    @cached_property
    def grid(self) -> Configurations:
        """Configurations that cover the space, the same ones always."""
        parts = []
        for index, family in enumerate(self.families):
            sampler = qmc.Sobol(1 + family.parameters, scramble=True, rng=index)
            unit = sampler.random_base2(9 if family.parameters else 6)
            whole = np.zeros((len(unit), self.parameters))
            whole[:, : family.parameters] = unit[:, 1:]
            parts.append(Configurations(np.full(len(unit), index), whole, self._lr(unit[:, 0])))
        return Configurations.join(*parts)

    def near(
        self, at: Configurations, times: int, width: tuple[float, float], rng: np.random.Generator
    ) -> Configurations:
        """Configurations round others: of each `times`, normally scattered in its parameters and log LR.

        Args:
            at: The configurations.
            times: Copies of each.
            width: Standard deviations, of the parameters in [0, 1] and of log LR.
            rng: Source of randomness.
        """
        rows = np.repeat(np.arange(len(at)), times)
        unit = at.unit[rows] + width[0] * rng.standard_normal((len(rows), self.parameters))
        log_lr = at.log_lr[rows] + width[1] * rng.standard_normal(len(rows))
        return Configurations(at.family[rows], np.clip(unit, 0.0, 1.0), np.clip(log_lr, *self.log_lr))

    def places(self, at: Configurations) -> Array:
        """Coordinates of configurations, shape (m, 3)."""
        shapes = np.empty((len(at), 3))
        for index, (family, (units, table)) in enumerate(zip(self.families, self._tables, strict=True)):
            rows = np.flatnonzero(at.family == index)
            if not len(rows):
                continue
            unit = at.unit[rows, : family.parameters]
            if family.parameters == 0:
                shapes[rows] = table[0]
            elif family.parameters == 1:
                for column in range(3):
                    shapes[rows, column] = np.interp(unit[:, 0], units[:, 0], table[:, column])
            else:
                nearest = np.square(unit[:, None] - units[None]).sum(axis=2).argmin(axis=1)
                shapes[rows] = table[nearest]
        return placed(shapes, at.log_lr)

    def schedule(self, at: Configurations, row: int) -> Schedule:
        """The schedule of one configuration."""
        family = self.families[at.family[row]]
        schedule: Schedule = family.build(at.unit[row, : family.parameters])
        return schedule

    @cached_property
    def _tables(self) -> list[tuple[Array, Array]]:
        """Of each family: parameters in [0, 1], shape (t, k), and their shapes (t, 3)."""
        tables = []
        for family in self.families:
            if family.parameters <= 1:
                units = np.linspace(0.0, 1.0, TABLE if family.parameters else 1)[:, None]
            else:
                units = qmc.Sobol(family.parameters, scramble=False).random_base2(_TABLE_BITS)
            shapes = np.array([shape_of(family.build(unit[: family.parameters]), self.budget) for unit in units])
            tables.append((units, shapes))
        return tables

    def _lr(self, unit: Array) -> Array:
        return np.asarray(self.log_lr[0] + unit * (self.log_lr[1] - self.log_lr[0]), dtype=np.float64)
