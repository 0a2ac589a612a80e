"""What a search over recorded curves sees: an expected loss for any configuration, plus the noise of a recorded run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.quality.check import disagreement
from benchmarks.quality.curves import AVERAGES, SHARES, Curves, Floats, Setting, points, schedule_of
from benchmarks.quality.exact import EXPLOSION, losses
from benchmarks.quality.smooth import Smooth, places, squeeze, stretch
from phitune.search.study.cell import Cell
from phitune.trainables.workloads.exact import Problem

GRID = 41
# A simulated run's noise is that of one of so many recorded runs nearby.
NEIGHBOURS = 16
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
        diverged: Iterations after which runs diverged, 0 for never, [r].
        near: Numbers of the runs whose noise a grid point shares, [a, b, m]; empty: all.
        base: As in `benchmarks.quality.smooth.Smooth`, [points, averages].
        scale: Of the squeezed excess.
    """

    log_phi: Floats
    log_lr: Floats
    expected: Floats
    noise: Floats
    diverged: NDArray[np.int64]
    near: NDArray[np.int64]
    base: Floats | None = None
    scale: float = 1.0

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

    def drawn(self, phi: float, base_lr: float, rng: np.random.Generator) -> tuple[Floats, int]:
        """A run: log losses [points, averages], and the iteration at which it diverges, 0 for never.

        Its noise is that of a recorded run nearby less the mean of those it is drawn from, so that the expected loss of
        runs is what the surface says.
        """
        expected = self.at(phi, base_lr)
        row, column = self.place(phi, base_lr)
        near = self.near[round(row), round(column)] if self.near.size else np.arange(len(self.noise))
        chosen = int(rng.choice(near))
        if self.base is None:
            return expected + self.noise[chosen], int(self.diverged[chosen])
        squeezed = squeeze(expected - self.base, self.scale) + self.noise[chosen] - self.noise[near].mean(axis=0)
        return stretch(squeezed, self.scale) + self.base, int(self.diverged[chosen])


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
        """A trial with a fresh seed: what it shows at the points, and where it diverges."""
        loss, end = self.families[label].drawn(phi, base_lr, rng)
        if end:
            loss[[step >= end for step in self.points]] = self.cap
        elif loss[0, 0] > self.cap + math.log(EXPLOSION) - 1e-9:
            end = self.points[0]
        return Run(loss, end)


def grids(cell: Cell, label: str) -> tuple[Floats, Floats]:
    """The grid of a family: log φ [41] or [1], log base LR [41]."""
    space = next(space for space in cell.families if space.label == label)
    phi = space.searched.get("phi")
    log_phi = np.zeros(1) if phi is None else np.linspace(math.log(phi.low), math.log(phi.high), GRID)
    return log_phi, np.linspace(math.log(cell.base_lr[0]), math.log(cell.base_lr[1]), GRID)


def exact_table(setting: Setting, problem: Problem) -> Table:
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
        exact = np.log(losses(problem, cell.budget, schedules, np.exp(lrs)))
        exact = exact.reshape(log_phi.size, log_lr.size, len(SHARES), -1)
        noise = np.repeat(SEED_NOISE * rng.standard_normal((512, len(SHARES), 1)), len(AVERAGES), axis=2)
        nothing = np.empty((0, 0, 0), dtype=np.int64)
        families[space.label] = FamilyTable(log_phi, log_lr, exact, noise, np.zeros(512, dtype=np.int64), nothing)
    note = "exact, with a made log-normal noise of 3 %"
    return Table(setting.name, cell, families, math.log(problem.first_loss), note)


def recorded_table(setting: Setting, curves: Curves) -> Table:
    """A Gaussian process over all families for each point; noise is what the recorded runs had beside it."""
    cell = setting.cell()
    logs = curves.log_loss()
    at = places(cell, curves.family, curves.phi, curves.base_lr)
    surfaces = [Smooth(at, logs[:, point], setting.scale) for point in range(len(SHARES))]
    base = np.stack([surface.base for surface in surfaces])
    fitted = np.stack([surface.squeezed(at) for surface in surfaces], axis=1)
    noise = squeeze(logs - base, setting.scale) - fitted
    families = {}
    # Nearest in coordinates scaled to the runs' spread, whatever the family.
    spread = at.where.std(axis=0)
    tree = cKDTree(at.where / spread)
    for space in cell.families:
        log_phi, log_lr = grids(cell, space.label)
        phis, lrs = (np.exp(each.ravel()) for each in np.meshgrid(log_phi, log_lr, indexing="ij"))
        grid = places(cell, [space.label] * len(lrs), phis, lrs)
        shape = (log_phi.size, log_lr.size)
        expected = np.stack([surface(grid) for surface in surfaces], axis=1)
        _, near = tree.query(grid.where / spread, k=NEIGHBOURS)
        families[space.label] = FamilyTable(
            log_phi,
            log_lr,
            np.minimum(expected, math.log(curves.initial)).reshape(*shape, len(SHARES), len(AVERAGES)),
            noise,
            curves.diverged,
            near.reshape(*shape, -1),
            base,
            setting.scale,
        )
    note = f"{len(curves)} runs, trained in {curves.about['seconds']:.0f} s; {disagreement(setting, curves)}"
    return Table(setting.name, cell, families, math.log(curves.initial), note)
