"""The truth behind the simulator: recording, and expected losses from what was recorded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.check import disagreement, expected
from benchmarks.quality.curves import AVERAGES, SHARES, Curves, Floats, Setting, points, schedule_of
from benchmarks.quality.record import blank, record, scattered, train
from benchmarks.quality.smooth import places, squeeze
from benchmarks.quality.table import recorded_table
from phitune.search.study.cell import Cell
from phitune.trainables.population.population import Population
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

SETTING = Setting("small", "logreg/digits", "sgd", 16, rows=8, evaluated=3, sweep=16, repeats=4)
NOISE = 0.1


def _log_loss(cell: Cell, labels: list[str], phi: Floats, base_lr: Floats) -> Floats:
    """A made truth, smooth in schedules as functions: best near the middle of their range, 0.05."""
    at = places(cell, labels, phi, base_lr).where
    value: Floats = math.log(0.05) + 0.3 * (at[:, 0] + 3.5) ** 2 + 0.4 * (at[:, 1] + 1.2) ** 2
    return value


def _curves(runs: int, repeats: int, noise: float) -> Curves:
    """Runs with the made truth, quasi-random, with a log-normal noise."""
    cell = SETTING.cell()
    problem = workload(cell.workload)
    assert isinstance(problem, TorchWorkload)
    chosen = [each for each in scattered(cell, 0, runs // repeats) for _ in range(repeats)]
    labels, phi, base_lr = (list(each) for each in zip(*chosen, strict=True))
    logs = _log_loss(cell, labels, np.array(phi), np.array(base_lr))
    seen = logs[:, None, None] + noise * np.random.default_rng(0).standard_normal((len(logs), 1, 1))
    loss = np.exp(np.broadcast_to(seen, (len(logs), len(SHARES), len(AVERAGES))))
    return blank(cell, problem).extended(chosen, loss, [0] * len(logs))


def test_cosine_is_uba_with_phi_2() -> None:
    cell = replace(SETTING, budget=600).cell()
    one, other = (places(cell, [label], np.array([2.0]), np.array([0.1])) for label in ("cosine", "uba"))
    assert one.where == pytest.approx(other.where, abs=1e-3)
    assert one.family != other.family


def test_the_surface_is_the_truth_within_a_third_of_the_noise_of_a_run() -> None:
    cell = SETTING.cell()
    surface = expected(SETTING, _curves(512, 2, NOISE))
    labels, phi, base_lr = (list(each) for each in zip(*scattered(cell, 1, 256), strict=True))
    truth = _log_loss(cell, labels, np.array(phi), np.array(base_lr))
    found = surface(places(cell, labels, np.array(phi), np.array(base_lr)))[:, 0]
    near = truth < truth.min() + 0.3
    assert np.sqrt(np.mean((found - truth)[near] ** 2)) < NOISE / 3


def test_the_level_of_the_surface_near_the_optimum_has_no_bias() -> None:
    """Noise of squeezed losses falls with the loss: configurations with bad runs must not weigh more for that."""
    cell = SETTING.cell()
    curves = _curves(2048, 8, 4 * NOISE)
    at = places(cell, curves.family, curves.phi, curves.base_lr)
    surface = expected(SETTING, curves)
    level = surface.squeezed(at)[:, 0]
    seen = squeeze(curves.log_loss()[:, -1, 0] - surface.base[0], SETTING.scale)
    near = level < level.min() + 0.2
    assert abs(np.mean((seen - level)[near])) < 2 * np.std((seen - level)[near]) / math.sqrt(near.sum())


def test_halves_disagree_by_the_noise() -> None:
    exact = disagreement(SETTING, _curves(512, 2, 1e-4))
    noisy = disagreement(SETTING, _curves(512, 2, 3 * NOISE))
    assert exact.choice < 1e-3 and exact.surface < 1e-2
    assert noisy.surface > 3 * exact.surface


def test_runs_of_a_table_scatter_round_the_surface() -> None:
    table = recorded_table(SETTING, _curves(512, 4, NOISE))
    rng = np.random.default_rng(0)
    for place in (("uba", 1.0, 0.2), ("linear", math.nan, 0.3)):
        truth = table.families[place[0]].at(*place[1:])[-1, 0]
        drawn = np.array([table.run(*place, rng).loss[-1, 0] for _ in range(2000)])
        assert drawn.mean() == pytest.approx(truth, abs=0.02)
        assert drawn.std() == pytest.approx(NOISE, rel=0.5)


def test_runs_trained_together_are_those_trained_alone() -> None:
    cell = SETTING.cell()
    problem = workload(cell.workload)
    assert isinstance(problem, TorchWorkload)
    chosen = [("uba", 0.3, 0.05), ("rex", math.nan, 0.1), ("uba", 5.0, 0.02), ("linear", math.nan, 0.01)]
    together, diverged = train(Population(problem, cell.optimizer, 4), cell, chosen, 7, evaluated=3)
    assert diverged == [0] * 4
    for i, (label, phi, base_lr) in enumerate(chosen):
        config = TrialConfig("sgd", cell.budget, schedule_of(cell, label, phi), base_lr, 7 + i)
        training = Training(problem, config, points=1)
        for point, step in enumerate(points(cell.budget)):
            training.advance(step)
            last = training.curve[-1]
            assert together[i, point] == pytest.approx([last["val_loss"], last["ema_val_loss"]], rel=1e-4)


def test_recording_goes_on_with_fresh_seeds(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    for _ in range(3):
        # Time for one round only.
        record(SETTING, path, minutes=1e-9)
    curves = Curves.load(path)
    assert len(curves) == 24
    pairs = curves.base_lr[:16].reshape(-1, 2)
    assert (pairs[:, 0] == pairs[:, 1]).all() and len(np.unique(pairs)) == 8
    near = curves.base_lr[16:].reshape(-1, 4)
    assert (near == near[:, :1]).all() and len(np.unique(near)) == 2
    assert (curves.loss[0] != curves.loss[1]).all(), "another seed, another loss"
