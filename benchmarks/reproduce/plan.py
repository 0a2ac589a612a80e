"""What to run next, as a pure function of the results so far: tune, then fresh seeds, then the figure's curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.reproduce.jobs import Job, Result, described
from phitune.trainables.schedules import schedule

TUNING_SEED = 0
PHIS = (0.05, 0.5, 2.0, 8.0)
REFINED = "refined"
PARENT = "linear"
FIGURE_FAMILIES = ("linear", "step", "constant", "uba")
COARSE_UP_TO = 25.0
_MOST = 20


@dataclass(frozen=True)
class Setting:
    """A workload with its optimizer; budgets are per cents of ``full`` iterations."""

    workload: str
    optimizer: str
    full: int
    base_lr: tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """A setting at one budget; refinement needs three iterations."""

    setting: Setting
    percent: float

    @property
    def horizon(self) -> int:
        return max(3, round(self.setting.full * self.percent / 100))

    def job(self, kind: Literal["trial", "refine", "curve"], shape: str, base_lr: float, seed: int) -> Job:
        return Job(kind, self.setting.workload, self.setting.optimizer, self.horizon, shape, base_lr, seed)


@dataclass(frozen=True)
class Tuned:
    """A schedule at the base LR, a power of two, that had the lowest validation loss."""

    shape: str
    exponent: int
    val_loss: float

    @property
    def base_lr(self) -> float:
        return 2.0**self.exponent


@dataclass
class Plan:
    """Settings × budgets × families, and how far the results have come.

    Attributes:
        budgets: Per cents, ascending.
        families: Rows of the tables; ``uba`` stands for all of `PHIS`.
        seeds: Fresh seeds at the tuned LR.
        missing: Jobs that were requested and have no result yet, in order.
    """

    settings: list[Setting]
    budgets: list[float]
    families: list[str]
    seeds: int
    figure_budgets: list[float]
    results: Mapping[Job, Result]
    missing: dict[Job, None] = field(default_factory=dict)
    _tuned: dict[tuple[Cell, str], Tuned] = field(default_factory=dict)

    def ready(self) -> list[Job]:
        """The jobs that can run now; none when all is done."""
        self.missing.clear()
        for setting in self.settings:
            for name in self.rows():
                for cell in self.cells(setting):
                    self.scores(cell, name)
            for _, _, job in self.curves(setting):
                self._result(job)
        if REFINED in self.families:
            for setting in self.settings:
                for cell in self.cells(setting):
                    self.child(cell)
        return list(self.missing)

    def cells(self, setting: Setting) -> list[Cell]:
        return [Cell(setting, percent) for percent in self.budgets]

    def rows(self) -> list[str]:
        """The families, UBA once for each φ."""
        return [row for name in self.families for row in (self.variants() if name == "uba" else [name])]

    def variants(self) -> list[str]:
        return [f"uba φ={phi:g}" for phi in PHIS]

    def tuned(self, cell: Cell, name: str) -> Tuned | None:
        """A family at its best base LR, ``uba`` at its best φ too; None while that is not known.

        The grid is every other power of two in the workload's range; above `COARSE_UP_TO` per cent it is the last
        budget's best. It grows until the best's neighbours at half and twice the LR are known.
        """
        if (cell, name) not in self._tuned:
            best = self._tune(cell, name)
            if best is None:
                return None
            self._tuned[cell, name] = best
        return self._tuned[cell, name]

    def _tune(self, cell: Cell, name: str) -> Tuned | None:
        if name == "uba":
            variants = [self.tuned(cell, variant) for variant in self.variants()]
            known = [variant for variant in variants if variant is not None]
            return min(known, key=lambda t: t.val_loss) if len(known) == len(variants) else None
        shape = self._shape(cell, name)
        exponents = self._first_exponents(cell, name)
        if shape is None or exponents is None:
            return None
        while True:
            losses = self._losses(cell, shape, exponents)
            if losses is None:
                return None
            best, lowest = min(losses.items(), key=lambda item: item[1])
            further = {best - 1, best + 1} - losses.keys()
            if not further or len(losses) > _MOST:
                return Tuned(shape, best, lowest)
            exponents = sorted(losses.keys() | further)

    def scores(self, cell: Cell, name: str) -> list[Result] | None:
        """The tuned family's results on fresh seeds."""
        tuned = self.tuned(cell, name)
        if tuned is None:
            return None
        seeds = range(TUNING_SEED + 1, TUNING_SEED + 1 + self.seeds)
        results = [self._result(cell.job("trial", tuned.shape, tuned.base_lr, seed)) for seed in seeds]
        return [result for result in results if result is not None] if None not in results else None

    def parent(self, cell: Cell) -> tuple[Tuned, Result] | None:
        """The real trial that is refined."""
        tuned = self.tuned(cell, PARENT)
        if tuned is None:
            return None
        return tuned, self.results[cell.job("trial", tuned.shape, tuned.base_lr, TUNING_SEED)]

    def child(self, cell: Cell) -> Result | None:
        """The refined schedule with its parent's base LR and seed."""
        parent, shape = self.parent(cell), self._shape(cell, REFINED)
        if parent is None or shape is None:
            return None
        return self._result(cell.job("trial", shape, parent[0].base_lr, TUNING_SEED))

    def curves(self, setting: Setting) -> Iterator[tuple[str, Cell, Job]]:
        """The figure's trials, as far as their base LR is known."""
        for name in FIGURE_FAMILIES:
            for cell in self.cells(setting):
                tuned = self.tuned(cell, name) if name in self.families else None
                if tuned is not None and cell.percent in self.figure_budgets:
                    yield name, cell, cell.job("curve", tuned.shape, tuned.base_lr, TUNING_SEED + 1)

    def _shape(self, cell: Cell, name: str) -> str | None:
        """A row's schedule."""
        if name == REFINED:
            parent = self.tuned(cell, PARENT)
            if parent is None:
                return None
            result = self._result(cell.job("refine", parent.shape, parent.base_lr, TUNING_SEED))
            return None if result is None else str(result["schedule"])
        if name in self.variants():
            phi = float(name.partition("=")[2])
            # φ = 2 is cosine: the same trials.
            return described(schedule("cosine") if phi == 2 else schedule("uba", phi=phi))
        return described(schedule(name))

    def _first_exponents(self, cell: Cell, name: str) -> list[int] | None:
        position = self.budgets.index(cell.percent)
        if position == 0 or cell.percent <= COARSE_UP_TO:
            low, high = (round(math.log2(lr)) for lr in cell.setting.base_lr)
            return list(range(low, high + 1, 2))
        before = self.tuned(Cell(cell.setting, self.budgets[position - 1]), name)
        return None if before is None else [before.exponent]

    def _losses(self, cell: Cell, shape: str, exponents: list[int]) -> dict[int, float] | None:
        """Validation losses by exponent, the lower LR first."""
        results = {k: self._result(cell.job("trial", shape, 2.0**k, TUNING_SEED)) for k in exponents}
        losses = {k: result["val_loss"] for k, result in results.items() if result is not None}
        return losses if len(losses) == len(exponents) else None

    def _result(self, job: Job) -> Result | None:
        if job in self.results:
            return self.results[job]
        self.missing[job] = None
        return None
