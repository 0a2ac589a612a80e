"""Trains configurations of a setting, densest near its optimum, many at once and each run with a fresh seed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import qmc

from benchmarks.quality.check import disagreement, expected
from benchmarks.quality.curves import AVERAGES, SHARES, Configuration, Curves, Floats, Setting, points, schedule_of
from benchmarks.quality.smooth import Smooth, places
from phitune.search.study.cell import Cell
from phitune.trainables.population.population import Member, Population, value_of
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.training.requests import Evaluate, Request
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

# Runs of each configuration of the sweep: two tell the noise everywhere.
_SWEEP_REPEATS = 2
# A family with φ gets so many times the configurations of one without.
_PLANE = 4
# Candidates near the optimum.
_CANDIDATES = 4096
# The surface from which configurations are drawn is fitted anew when there are so many times the runs.
_REFIT = 1.25
# Seconds between two looks at the disagreement.
_CHECK_EVERY = 150.0


def record(setting: Setting, path: Path, minutes: float) -> None:
    """Records until two halves of the runs agree or the time is up, one round at least; goes on where it was killed."""
    torch.set_num_threads(1)
    cell = setting.cell()
    problem = workload(cell.workload)
    assert isinstance(problem, TorchWorkload)
    curves = Curves.load(path) if path.exists() else blank(cell, problem)
    population = Population(problem, cell.optimizer, setting.rows)
    begun = checked = time.perf_counter()
    surface, known = None, 0
    halves = None
    while halves is None or not halves.within(setting.goal):
        if len(curves) >= max(setting.sweep, _REFIT * known):
            surface, known = expected(setting, curves), len(curves)
        started = time.perf_counter()
        configurations = design(cell, setting, surface, len(curves))
        loss, diverged = train(population, cell, configurations, len(curves), setting.evaluated)
        curves = curves.extended(configurations, loss, diverged)
        curves.about["seconds"] += time.perf_counter() - started
        curves.save(path)
        if len(curves) >= 2 * setting.sweep and time.perf_counter() - checked > _CHECK_EVERY:
            halves = disagreement(setting, curves)
            print(f"{setting.name}: {len(curves)} runs in {curves.about['seconds']:.0f} s; {halves}", flush=True)
            checked = time.perf_counter()
        if time.perf_counter() - begun > 60 * minutes:
            break


def blank(cell: Cell, problem: TorchWorkload) -> Curves:
    """No runs yet."""
    about = {
        "workload": cell.workload.label,
        "optimizer": cell.optimizer.label,
        "budget": cell.budget,
        "shares": SHARES,
        "averages": AVERAGES,
        "seconds": 0.0,
    }
    initial = problem.learner(cell.optimizer, 0, cell.budget).evaluate("val").loss
    nothing, losses = np.empty(0), np.empty((0, len(SHARES), len(AVERAGES)))
    return Curves(np.empty(0, dtype=str), nothing, nothing, losses, np.empty(0, dtype=np.int64), initial, about)


def design(cell: Cell, setting: Setting, surface: Smooth | None, done: int) -> list[Configuration]:
    """The configurations of the next runs, after ``done``: first the sweep's, quasi-random over the whole range.

    Then, with a surface of expected losses, they are drawn with weights that fall by e⁶ up to a loss of ``near`` times
    the best.
    """
    if surface is None:
        count = setting.rows // _SWEEP_REPEATS
        start = done // _SWEEP_REPEATS
        chosen = scattered(cell, 0, start + count)[start:]
        return [each for each in chosen for _ in range(_SWEEP_REPEATS)]
    candidates = scattered(cell, 1 + done, _CANDIDATES)
    labels, phis, lrs = zip(*candidates, strict=True)
    losses = surface(places(cell, labels, np.array(phis), np.array(lrs)))[:, 0]
    weights = np.exp(-6.0 * (losses - losses.min()) / math.log(setting.near))
    count = setting.rows // setting.repeats
    rng = np.random.default_rng(done)
    numbers = rng.choice(len(candidates), count, replace=False, p=weights / weights.sum())
    return [candidates[i] for i in numbers for _ in range(setting.repeats)]


def scattered(cell: Cell, seed: int, count: int) -> list[Configuration]:
    """The first configurations of a scrambled Sobol sequence over families, log φ and log base LR."""
    unit = qmc.Sobol(3, scramble=True, rng=seed).random_base2(math.ceil(math.log2(count)))[:count]
    shares = np.cumsum([_PLANE if space.searched else 1 for space in cell.families], dtype=float)
    base_lrs = np.exp(np.interp(unit[:, 2], [0, 1], np.log(cell.base_lr)))
    configurations: list[Configuration] = []
    for (number, at, _), base_lr in zip(unit, base_lrs, strict=True):
        space = cell.families[int(np.searchsorted(shares, number * shares[-1], side="right"))]
        phi = math.nan
        if space.searched:
            phi = math.exp(np.interp(at, [0, 1], np.log([space.searched["phi"].low, space.searched["phi"].high])))
        configurations.append((space.label, phi, float(base_lr)))
    return configurations


def train(
    population: Population, cell: Cell, configurations: Sequence[Configuration], seed: int, evaluated: int
) -> tuple[Floats, list[int]]:
    """Trains runs together, with seeds from ``seed`` on.

    Returns:
        Losses [n, points, averages], NaN where a run has diverged; and where that was (0: nowhere).
    """
    members = [population.enter(seed + i) for i in range(len(configurations))]
    trainings = [
        Training(
            population.workload,
            TrialConfig(cell.optimizer.label, cell.budget, schedule_of(cell, label, phi), base_lr, seed + i),
            points=1,
            learner=members[i],
        )
        for i, (label, phi, base_lr) in enumerate(configurations)
    ]
    at_points: list[list[list[float]]] = []
    for step in points(cell.budget):
        _advance(population, dict(zip(members, trainings, strict=True)), step, evaluated)
        nothing = [math.nan] * len(AVERAGES)
        at_points.append(
            [
                nothing if each.diverged else [each.curve[-1]["val_loss"], each.curve[-1]["ema_val_loss"]]
                for each in trainings
            ]
        )
    for member in members:
        population.leave(member)
    return np.array(at_points).transpose(1, 0, 2), [each.step if each.diverged else 0 for each in trainings]


def _advance(population: Population, trainings: dict[Member, Training], until: int, evaluated: int) -> None:
    """Trains runs up to an iteration, all of them in step."""
    generators = {member: training.requests(until) for member, training in trainings.items()}
    waiting = {member: request for member, each in generators.items() if (request := next(each, None)) is not None}
    while waiting:
        members = list(waiting)
        following: dict[Member, Request] = {}
        for member, answer in zip(members, _answers(population, waiting, evaluated), strict=True):
            with suppress(StopIteration):
                following[member] = generators[member].send(value_of(answer))
        waiting = following


def _answers(population: Population, waiting: dict[Member, Request], evaluated: int) -> list[Any]:
    """Answers to requests that are all steps or all the same evaluation."""
    members = list(waiting)
    first = waiting[members[0]]
    if not isinstance(first, Evaluate):
        return list(population.step(waiting))  # type: ignore[arg-type]
    parts = [members[i : i + evaluated] for i in range(0, len(members), evaluated)]
    return [answer for part in parts for answer in population.evaluate(part, *first)]
