"""Likelihood of one number in each cell, on a grid, so that skewed posteriors and bounds enter as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.05
# The grid goes this far beyond all draws.
MARGIN = 4.0
LEAST_WIDTH = 0.05
# Draws this close to an end of the range searched mean "there or beyond".
AT_END = 0.1
# The mass beyond an end of the range is spread evenly, with the density it would have over this length.
BEYOND = 2.0


@dataclass(frozen=True)
class Likelihoods:
    """Likelihoods of n cells.

    Attributes:
        grid: Evenly spaced values, shape (k,).
        values: Likelihood of each cell at each point of the grid, shape (n, k), up to a factor for each cell.
    """

    grid: Array
    values: Array

    @property
    def step(self) -> float:
        """Spacing of the grid."""
        return float(self.grid[1] - self.grid[0])

    @cached_property
    def powers(self) -> Array:
        """The grid to the powers 0 to 2, shape (k, 3): values @ powers are moments."""
        return np.stack([np.ones_like(self.grid), self.grid, self.grid**2], axis=1)

    def take(self, rows: NDArray[np.bool_]) -> "Likelihoods":
        """The subset of the cells that a mask (n,) selects."""
        return Likelihoods(self.grid, self.values[rows])


def likelihoods(draws: Sequence[Array], ranges: Sequence[tuple[float, float] | None]) -> Likelihoods:
    """Likelihoods from posterior draws under a flat prior.

    Inside the range, a Gaussian kernel estimate of their density. Draws at an end of the range are information on one
    side only: the optimum lies there or beyond, with the same likelihood everywhere beyond.

    Args:
        draws: Draws of each cell, shape (s,).
        ranges: The range each cell's draws are confined to; None for an unbounded one.
    """
    pooled = np.concatenate(list(draws))
    grid = np.arange(pooled.min() - MARGIN, pooled.max() + MARGIN + STEP, STEP)
    return Likelihoods(grid, np.array([_on_grid(grid, *pair) for pair in zip(draws, ranges, strict=True)]))


def _on_grid(grid: Array, draws: Array, limits: tuple[float, float] | None) -> Array:
    low, high = limits or (-np.inf, np.inf)
    below, above = draws < low + AT_END, draws > high - AT_END
    inside = draws[~below & ~above]
    value = np.where(grid <= low + AT_END, below.mean() / BEYOND, 0.0)
    value = value + np.where(grid >= high - AT_END, above.mean() / BEYOND, 0.0)
    if inside.size:
        # Silverman's width, from the quartiles so that stray draws do not blur the rest.
        spread = min(float(np.std(inside)), float(np.ptp(np.quantile(inside, [0.25, 0.75]))) / 1.35)
        width = max(0.9 * spread * inside.size**-0.2, LEAST_WIDTH)
        counts = np.histogram(inside, bins=np.append(grid - STEP / 2, grid[-1] + STEP / 2))[0]
        reach = np.arange(-int(4 * width / STEP) - 1, int(4 * width / STEP) + 2) * STEP
        kernel = np.exp(-0.5 * (reach / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
        value = value + np.convolve(counts / len(draws), kernel, mode="same" if len(kernel) <= len(grid) else "valid")
    # No cell is quite certain.
    return np.asarray(value + 1e-6, dtype=np.float64)
