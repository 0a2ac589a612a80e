"""Trains quasi-random configurations to their end, with several averages of the weights at once."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from benchmarks.quality.curves import AVERAGES, SHARES, UNTRAINED, Curves, Setting, points, schedule_of
from phitune.search.study.model import Cell
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

# The average that a learner keeps itself.
_OWN = 10
_SAVE_EVERY = 10


class Averages:
    """Running averages of a learner's parameters, beside its own."""

    def __init__(self, learner: TorchLearner, rates: tuple[int, ...]) -> None:
        self._learner = learner
        self._live: list[Tensor] = [p for group in learner.optimizer.param_groups for p in group["params"]]
        self._averaged = {rate: [p.detach().clone() for p in self._live] for rate in rates}
        self._steps = 0
        learner.optimizer.register_step_post_hook(self._update)

    def _update(self, *_: Any) -> None:
        self._steps += 1
        with torch.no_grad():
            for rate, averaged in self._averaged.items():
                torch._foreach_lerp_(averaged, self._live, min(1.0, rate / self._steps))

    @torch.no_grad()
    def loss(self, rate: int) -> float:
        """Validation loss of one of the averages."""
        kept = [p.detach().clone() for p in self._live]
        torch._foreach_copy_(self._live, self._averaged[rate])
        try:
            return self._learner.evaluate("val").loss
        finally:
            torch._foreach_copy_(self._live, kept)


def configurations(cell: Cell, setting: Setting) -> tuple[list[str], list[float], list[float]]:
    """Labels, φ and base LRs: a scrambled Sobol sequence a family, uniform in (log φ, log base LR)."""
    labels: list[str] = []
    phis: list[float] = []
    lrs: list[float] = []
    for number, space in enumerate(cell.families):
        count = setting.plane if space.searched else setting.line
        unit = qmc.Sobol(2, scramble=True, rng=number).random(256)[:count]
        bounds = [space.searched["phi"].low, space.searched["phi"].high] if space.searched else [math.nan, math.nan]
        labels += [space.label] * count
        phis += np.exp(np.interp(unit[:, 0], [0, 1], np.log(bounds))).tolist()
        lrs += np.exp(np.interp(unit[:, 1], [0, 1], np.log(cell.base_lr))).tolist()
    return labels, phis, lrs


def record(setting: Setting, path: Path, seeds: int | None = None) -> None:
    """Records seed after seed, each in an order in which all families move on together; goes on where it was killed."""
    torch.set_num_threads(1)
    cell = setting.cell()
    problem = workload(cell.workload)
    assert isinstance(problem, TorchWorkload)
    curves = Curves.load(path) if path.exists() else blank(cell, setting, problem)
    order = np.random.default_rng(0).permutation(len(curves.family))
    for seed in range(setting.seeds if seeds is None else seeds):
        curves = curves.with_seed(seed)
        waiting = [int(i) for i in order if curves.diverged[seed, i] == UNTRAINED]
        for number, i in enumerate(waiting, start=1):
            begun = time.perf_counter()
            curves.loss[seed, i], curves.diverged[seed, i] = run(
                problem, cell, curves.family[i], float(curves.phi[i]), float(curves.base_lr[i]), seed
            )
            curves.about["seconds"] += time.perf_counter() - begun
            if number % _SAVE_EVERY == 0 or number == len(waiting):
                curves.save(path)
                print(f"{setting.name}: seed {seed}, {number} of {len(waiting)}", flush=True)


def blank(cell: Cell, setting: Setting, problem: TorchWorkload) -> Curves:
    """The configurations, not trained yet."""
    labels, phis, lrs = configurations(cell, setting)
    about = {
        "workload": cell.workload.label,
        "optimizer": cell.optimizer.label,
        "budget": cell.budget,
        "shares": SHARES,
        "averages": AVERAGES,
        "seconds": 0.0,
    }
    initial = problem.learner(Spec.parse(cell.optimizer.label), 0, cell.budget).evaluate("val").loss
    shape = (0, len(labels), len(SHARES), len(AVERAGES))
    nothing = np.empty(shape[:2], dtype=np.int64)
    return Curves(labels, np.array(phis), np.array(lrs), np.empty(shape), nothing, initial, about)


def run(
    problem: TorchWorkload, cell: Cell, label: str, phi: float, base_lr: float, seed: int
) -> tuple[list[list[float]], int]:
    """One trial: losses [points, averages], NaN where it has diverged, and where that was (0: nowhere)."""
    config = TrialConfig(cell.optimizer.label, cell.budget, schedule_of(cell, label, phi), base_lr, seed)
    training = Training(problem, config, points=1)
    assert isinstance(training.learner, TorchLearner)
    averages = Averages(training.learner, tuple(rate for rate in AVERAGES if rate not in (0, _OWN)))
    losses = []
    for step in points(cell.budget):
        training.advance(step)
        if training.diverged:
            losses.append([math.nan] * len(AVERAGES))
            continue
        last = training.curve[-1]
        known = {0: last["val_loss"], _OWN: last["ema_val_loss"]}
        # At the end only the weights as they are count.
        rest = step == cell.budget
        losses.append([known[k] if k in known else math.nan if rest else averages.loss(k) for k in AVERAGES])
    return losses, training.step if training.diverged else 0
