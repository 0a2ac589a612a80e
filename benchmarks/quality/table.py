"""What a search over recorded curves sees: an expected loss for any configuration, plus the noise of a recorded run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.curves import AVERAGES, QUADRATIC, SHARES, Curves, Floats, Setting, points, schedule_of
from benchmarks.quality.quadratic import EXPLOSION, first_loss, losses
from benchmarks.quality.smooth import smooth, squeeze, stretch
from phitune.search.study.model import Cell

GRID = 41
# A run's noise is that of one of so many recorded neighbours.
NEIGHBOURS = 3
# Of the quadratic, whose losses are exact: standard deviation of log loss.
SEED_NOISE = 0.03


@dataclass(frozen=True)
class Run:
    """A simulated trial before it starts.

    Attributes:
        loss: Log validation loss [points, averages]; the cap where it has diverged.
        diverged: Iteration at which it will have diverged; 0 if it never does.
    """

    loss: Floats
    diverged: int


@dataclass(frozen=True)
class FamilyTable:
    """One family of a table, over a grid in (log φ, log base LR); a family without φ has one row.

    Attributes:
        log_phi: [a].
        log_lr: [b].
        expected: Log loss [a, b, points, averages].
        noise: What runs add to it, [r, points, averages], by run; to its squeezed excess where there is a base.
        diverged: [r].
        near: Numbers of the runs whose noise a grid point shares, [a, b, m]; empty: all.
        base: As in `benchmarks.quality.smooth.Smooth`, [points, averages].
    """

    log_phi: Floats
    log_lr: Floats
    expected: Floats
    noise: Floats
    diverged: NDArray[np.int64]
    near: NDArray[np.int64]
    base: Floats | None = None

    def place(self, phi: float, base_lr: float) -> tuple[float, float]:
        """The fractional indices of a configuration."""
        row = 0.0 if self.log_phi.size == 1 else float(np.interp(math.log(phi), self.log_phi, np.arange(GRID)))
        return row, float(np.interp(math.log(base_lr), self.log_lr, np.arange(GRID)))

    def at(self, phi: float, base_lr: float) -> Floats:
        """Expected log loss, bilinear between grid points, [points, averages]."""
        row, column = self.place(phi, base_lr)
        i, j = min(int(row), max(self.log_phi.size - 2, 0)), min(int(column), self.log_lr.size - 2)
        f, g = row - i, column - j
        k = min(i + 1, self.log_phi.size - 1)
        low = (1 - g) * self.expected[i, j] + g * self.expected[i, j + 1]
        high = (1 - g) * self.expected[k, j] + g * self.expected[k, j + 1]
        value: Floats = (1 - f) * low + f * high
        return value

    def noisy(self, expected: Floats, run: int) -> Floats:
        """Log losses [points, averages] with a run's noise."""
        if self.base is None:
            added: Floats = expected + self.noise[run]
            return added
        return stretch(squeeze(expected - self.base) + self.noise[run]) + self.base


@dataclass(frozen=True)
class Table:
    """A workload's cell with its families' tables.

    Attributes:
        cap: Log loss of the network before training, which a diverged run has.
        note: Where the figures come from.
    """

    name: str
    cell: Cell
    families: dict[str, FamilyTable]
    cap: float
    note: str

    @property
    def points(self) -> list[int]:
        return points(self.cell.budget)

    @cached_property
    def best(self) -> float:
        """The least expected final log loss anywhere."""
        return float(min(family.expected[:, :, -1, 0].min() for family in self.families.values()))

    def regret(self, label: str, phi: float, base_lr: float) -> float:
        """Expected final loss of a configuration ÷ the best there is − 1."""
        return math.exp(float(self.families[label].at(phi, base_lr)[-1, 0]) - self.best) - 1

    def run(self, label: str, phi: float, base_lr: float, rng: np.random.Generator) -> Run:
        """A trial with a fresh seed: the expected losses times what a recorded run nearby had beside them."""
        family = self.families[label]
        row, column = family.place(phi, base_lr)
        near = family.near[round(row), round(column)] if family.near.size else np.arange(len(family.noise))
        chosen = int(rng.choice(near))
        loss = family.noisy(family.at(phi, base_lr), chosen)
        end = int(family.diverged[chosen])
        if end:
            loss[[step >= end for step in self.points]] = self.cap
        elif loss[0, 0] > self.cap + math.log(EXPLOSION) - 1e-9:
            end = self.points[0]
        return Run(loss, end)


def grids(cell: Cell, label: str) -> tuple[Floats, Floats]:
    """The grid of a family: log φ [61] or [1], log base LR [61]."""
    space = next(space for space in cell.families if space.label == label)
    phi = space.searched.get("phi")
    log_phi = np.zeros(1) if phi is None else np.linspace(math.log(phi.low), math.log(phi.high), GRID)
    return log_phi, np.linspace(math.log(cell.base_lr[0]), math.log(cell.base_lr[1]), GRID)


def quadratic_table(setting: Setting = QUADRATIC) -> Table:
    """Exact losses, and a log-normal noise of 3 %, independent at every point and the same for all averages."""
    cell = setting.cell()
    # The noise makes it a workload with seeds.
    cell = Cell(**{**vars(cell), "deterministic": False})
    rng = np.random.default_rng(0)
    families = {}
    for space in cell.families:
        log_phi, log_lr = grids(cell, space.label)
        phis, lrs = (each.ravel() for each in np.meshgrid(log_phi, log_lr, indexing="ij"))
        schedules = [schedule_of(cell, space.label, math.exp(phi)) for phi in phis]
        exact = np.log(losses(cell, schedules, np.exp(lrs))).reshape(log_phi.size, log_lr.size, len(SHARES), -1)
        noise = np.repeat(SEED_NOISE * rng.standard_normal((512, len(SHARES), 1)), len(AVERAGES), axis=2)
        nothing = np.empty((0, 0, 0), dtype=np.int64)
        families[space.label] = FamilyTable(log_phi, log_lr, exact, noise, np.zeros(512, dtype=np.int64), nothing)
    return Table("quadratic", cell, families, math.log(first_loss(cell)), "exact, with a made log-normal noise of 3 %")


def recorded_table(setting: Setting, curves: Curves) -> Table:
    """Gaussian processes through the seeds' mean log losses; noise is what the recorded runs had beside them."""
    cell = setting.cell()
    cap = math.log(curves.initial)
    logs = np.minimum(np.nan_to_num(np.log(curves.loss), nan=cap), cap)
    # At the end averages are not recorded beyond the learner's own.
    logs[:, :, -1, 1:] = logs[:, :, -1, :1]
    families = {}
    for space in cell.families:
        chosen = np.array([label == space.label for label in curves.family])
        log_phi, log_lr = grids(cell, space.label)
        where = coordinates(cell, space.label, np.log(curves.phi[chosen]), np.log(curves.base_lr[chosen]))
        phis, lrs = (each.ravel() for each in np.meshgrid(log_phi, log_lr, indexing="ij"))
        grid = coordinates(cell, space.label, phis, lrs)
        means = logs[:, chosen].mean(axis=0)
        fits = [smooth(where, means[:, point], grid) for point in range(len(SHARES))]
        expected = np.minimum(np.stack([fit.grid for fit in fits], axis=1), cap)
        base = np.stack([fit.base for fit in fits])
        fitted = np.stack([fit.squeezed for fit in fits], axis=1)
        seeds = len(logs)
        # Nearest in the coordinates of the fit, scaled to the ranges; run number = configuration × seeds + seed.
        spread = np.ptp(grid, axis=0)
        distance = (((grid[:, None] - where[None]) / np.where(spread > 0, spread, 1)) ** 2).sum(axis=2)
        nearest = np.argsort(distance, axis=1)[:, :NEIGHBOURS]
        near = (nearest[:, :, None] * seeds + np.arange(seeds)).reshape(log_phi.size, log_lr.size, -1)
        noise = (squeeze(logs[:, chosen] - base) - fitted).transpose(1, 0, 2, 3).reshape(-1, len(SHARES), len(AVERAGES))
        families[space.label] = FamilyTable(
            log_phi,
            log_lr,
            expected.reshape(log_phi.size, log_lr.size, len(SHARES), len(AVERAGES)),
            noise,
            curves.diverged[:, chosen].T.ravel(),
            near,
            base,
        )
    note = f"{len(curves.family)} configurations × {len(logs)} seeds trained in {curves.about['seconds']:.0f} s"
    return Table(setting.name, cell, families, cap, note)


def coordinates(cell: Cell, label: str, log_phi: Floats, log_lr: Floats) -> Floats:
    """(log φ, log mean LR), [n, 2], or log mean LR, [n, 1], where a family has no φ."""
    space = next(space for space in cell.families if space.label == label)
    if not space.searched:
        return (log_lr + math.log(schedule_of(cell, label, 1.0).mean(cell.budget)))[:, None]
    means = [schedule_of(cell, label, math.exp(phi)).mean(cell.budget) for phi in log_phi]
    return np.stack([log_phi, log_lr + np.log(means)], axis=1)
