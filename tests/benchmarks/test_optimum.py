"""The best schedule of all: gradients, optimality, and families and theory against it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.optimum.best import optimum
from benchmarks.optimum.families import CONTENDERS, best
from benchmarks.optimum.recursion import Floats, log_loss, log_losses
from benchmarks.optimum.theory import exponent, kernel_schedule
from phitune.trainables.schedules import Refined, schedule
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads.exact import ExactWorkload, PowerLaw, Problem, Quadratic, Regression

EXACT = (Quadratic(kappa=100, noise=1.0, dim=20), Regression(dim=20, batch=2), PowerLaw(2.0, 1.0, 0.1, dim=30))
CAP = 2.0


def linear(budget: int, base_lr: float = 0.3) -> Floats:
    return base_lr * schedule("linear").u(np.arange(budget), budget)


@pytest.mark.parametrize("exact", EXACT, ids=lambda exact: exact.name)
def test_loss_is_the_workload_s_and_the_gradient_its_derivative(exact: ExactWorkload) -> None:
    lrs = linear(40)
    training = Training(exact, TrialConfig("sgd", 40, schedule("linear"), 0.3, seed=0), points=1)
    training.advance(40)
    loss, gradient = log_loss(exact.problem, lrs)
    assert math.exp(loss) == pytest.approx(training.curve[-1]["val_loss"], rel=1e-12)
    assert log_losses(exact.problem, np.stack([lrs, 2 * lrs], axis=1))[0] == pytest.approx(loss, rel=1e-12)
    for t, move in enumerate(1e-5 * np.eye(40)):
        ahead, behind = (log_loss(exact.problem, lrs + sign * move)[0] for sign in (1, -1))
        assert gradient[t] == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.full
@pytest.mark.parametrize("exact", EXACT[:2], ids=lambda exact: exact.name)
def test_the_optimum_is_one_and_no_family_is_better(exact: ExactWorkload) -> None:
    budget = 20
    free = optimum(exact.problem, CAP, [linear(budget), np.full(budget, 0.1), np.full(budget, 0.5)])
    assert free.spread < 1e-9
    assert free.margin > 0
    costs = {}
    for name in ("linear", "cosine", "polynomial", "uba", "uba, floor", "spline"):
        found = best(exact.problem, budget, CAP, CONTENDERS[name], float(free.lrs.mean()))
        assert log_loss(exact.problem, found.lrs(budget))[0] == pytest.approx(found.log_loss, abs=1e-12)
        costs[name] = found.log_loss - free.log_loss
    assert min(costs.values()) > 0
    # What holds another family costs no more than it.
    for wide, narrow in (("polynomial", "linear"), ("spline", "linear"), ("uba", "cosine"), ("uba, floor", "uba")):
        assert costs[wide] <= costs[narrow] + 1e-6


def test_a_family_s_best_is_that_of_a_grid() -> None:
    problem = EXACT[0].problem
    found = best(problem, 30, CAP, CONTENDERS["uba"], 0.1)
    phis, lrs = np.geomspace(0.05, 50, 25), np.geomspace(0.05, CAP, 25)
    profiles = [schedule("uba", phi=float(phi)).u(np.arange(30), 30) for phi in phis]
    grid = min(log_loss(problem, lr * u)[0] for u in profiles for lr in lrs)
    assert grid - 0.02 < found.log_loss <= grid


def test_one_step_has_a_formula() -> None:
    """After one step of one coordinate: (1 − ηh)² v + η² s is least at η = h v / (h² v + s)."""
    problem = Problem(np.array([0.5]), np.array([1.0]), np.array([0.3]))
    free = optimum(problem, CAP, [np.array([0.1])])
    assert free.lrs[0] == pytest.approx(0.5 / (0.25 + 0.3), rel=1e-6)


@pytest.mark.parametrize("exact", [EXACT[0], EXACT[2]], ids=lambda exact: exact.name)
def test_scaling_laws_know_the_optimum(exact: ExactWorkload) -> None:
    """Expected from arXiv 2602.06797 with the kernel as it is, not as a power law: within 0.1 % of the optimum."""
    free = optimum(exact.problem, CAP, [linear(60)])
    lrs, loss = kernel_schedule(exact.problem, 60, CAP)
    assert free.log_loss <= loss < free.log_loss + 1e-3
    assert exponent(lrs) == pytest.approx(exponent(free.lrs), abs=0.05)


def test_the_exponent_of_a_power_is_itself() -> None:
    assert exponent((1 - np.arange(200) / 200) ** 2.5) == pytest.approx(2.5)


def test_the_optimum_trains_as_foretold() -> None:
    """The optimum as a study would train it: a refined schedule through its LRs."""
    exact, budget = EXACT[0], 30
    free = optimum(exact.problem, CAP, [linear(budget)])
    # x of step t is t / T: one more value for the end of the last step.
    values = np.append(free.lrs, free.lrs[-1]) / free.lrs.max()
    config = TrialConfig("sgd", budget, Refined(tuple(values.tolist())), float(free.lrs.max()), seed=0)
    training = Training(exact, config, points=1)
    training.advance(budget)
    assert math.log(training.curve[-1]["val_loss"]) == pytest.approx(free.log_loss, abs=1e-9)
