"""Input of the hierarchical model: the cells' likelihoods and levels, and the forms the model can take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.trends.likelihood import Likelihoods

Array = NDArray[np.float64]

GROUP = "workload"


@dataclass(frozen=True)
class Observations:
    """The model's data: n cells.

    Attributes:
        t: Log budget less that of a reference budget, shape (n,).
        levels: For each factor (workload, and optimizer or data set where they vary) each cell's level.
        likelihoods: The cells' likelihoods of theta.
        covariates: Standardised predictors, shape (n, q).
    """

    t: Array
    levels: Mapping[str, tuple[str, ...]]
    likelihoods: Likelihoods
    covariates: Array = field(default_factory=lambda: np.empty((0, 0)))

    def take(self, rows: NDArray[np.bool_]) -> "Observations":
        """The subset of the cells that a mask (n,) selects."""
        levels = {f: tuple(v for v, keep in zip(all_, rows, strict=True) if keep) for f, all_ in self.levels.items()}
        covariates = self.covariates[rows] if self.covariates.size else self.covariates
        return Observations(self.t[rows], levels, self.likelihoods.take(rows), covariates)

    def at_level(self, factor: str, level: str | None) -> Array:
        """1 for the cells at a level of a factor, 0 for the others, shape (n,)."""
        return np.asarray(self._arrays[factor] == level, dtype=np.float64)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.object_]]:
        return {f: np.array(levels, dtype=object) for f, levels in self.levels.items()}


@dataclass(frozen=True)
class Form:
    """Which model: with a slope or without; partially pooled, or a separate intercept and slope for each group."""

    slope: bool
    pooled: bool = True
