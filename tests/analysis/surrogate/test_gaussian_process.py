"""The Gaussian process against scikit-learn's, its reference twin: levels, seeds' noise, the sparse process."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern

from phitune.analysis.surrogate import gaussian_process as gp
from phitune.analysis.surrogate.belief import Belief, Points

H = gp.Hyperparameters(lengths=np.array([1.3, 0.6]), signal=0.7, noise=0.1, shared=0.15)
N = 40


class WithLevels(Kernel):
    """A Matern over the first two columns, levels (two more) and what a seed (the last) shares; no parameters."""

    def __init__(self) -> None:
        """Without parameters."""

    def __call__(self, X, Y=None, eval_gradient=False):  # type: ignore[no-untyped-def]
        Y = X if Y is None else Y
        smooth = ConstantKernel(H.signal**2, "fixed") * Matern(H.lengths, "fixed", nu=2.5)
        value = smooth(X[:, :2], Y[:, :2]) + X[:, 2:4] @ Y[:, 2:4].T
        value += H.shared**2 * (X[:, 4:] == Y[:, 4:].T)
        return (value, np.empty((*value.shape, 0))) if eval_gradient else value

    def diag(self, X):  # type: ignore[no-untyped-def]
        return H.signal**2 + (X[:, 2:4] ** 2).sum(axis=1) + H.shared**2

    def is_stationary(self) -> bool:
        return False


@pytest.fixture
def data() -> gp.Data:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (N, 2))
    y = np.sin(x[:, 0]) + 0.3 * x[:, 1] ** 2 + 0.1 * rng.standard_normal(N)
    levels = np.array([0.5, 0.2]) * (np.arange(2) == (np.arange(N) % 2)[:, None])
    return gp.Data(x, levels, y, np.where(np.arange(N) < 5, 0.25, 0.0), np.arange(N) // 4)


@pytest.fixture
def twin(data: gp.Data) -> GaussianProcessRegressor:
    noise = H.own_variance + data.extra
    model = GaussianProcessRegressor(WithLevels(), alpha=noise, optimizer=None)
    return model.fit(np.column_stack([data.x, data.levels, data.seed]), data.y)


@pytest.fixture
def at() -> Points:
    rng = np.random.default_rng(1)
    return Points(rng.uniform(-2, 2, (15, 2)), np.tile([0.5, 0.0], (15, 1)))


def test_mean_variance_and_likelihood_equal_the_twins(
    data: gp.Data, twin: GaussianProcessRegressor, at: Points
) -> None:
    # New seeds: what they share with each other alone is no part of f.
    fresh = np.column_stack([at.x, at.levels, -1.0 - np.arange(len(at))])
    mean, covariance = twin.predict(fresh, return_cov=True)
    posterior = Belief(data, H)
    np.testing.assert_allclose(posterior.mean(at), mean, atol=1e-8)
    np.testing.assert_allclose(posterior.covariance(at, at), covariance - H.shared**2 * np.eye(len(at)), atol=1e-8)
    np.testing.assert_allclose(posterior.variance(at), covariance.diagonal() - H.shared**2, atol=1e-8)
    log_likelihood = -0.5 * data.y @ np.linalg.solve(gp.covariance(data, H), data.y)
    log_likelihood -= 0.5 * np.linalg.slogdet(2.0 * np.pi * gp.covariance(data, H))[1]
    assert log_likelihood == pytest.approx(twin.log_marginal_likelihood_value_, abs=1e-8)


def test_the_likelihoods_slope_is_its_derivative(data: gp.Data) -> None:
    priors = gp.Priors(lengths=((1.0, 0.7), (1.0, 0.7)), shared=(0.1, 1.0))
    theta = priors.centre_and_spread()[0] + 0.1
    value, slope = gp.log_marginal_slope(data, priors, theta)
    assert gp.log_marginal(data, priors, theta) == pytest.approx(value, abs=1e-10)
    moved = [
        (gp.log_marginal(data, priors, theta + 1e-5 * e) - gp.log_marginal(data, priors, theta - 1e-5 * e)) / 2e-5
        for e in np.eye(len(theta))
    ]
    np.testing.assert_allclose(slope, moved, rtol=1e-4, atol=1e-5)


def test_draws_have_the_posteriors_mean_and_spread(data: gp.Data, at: Points) -> None:
    posterior, rng = Belief(data, H), np.random.default_rng(3)
    drawn = np.concatenate([posterior.draw(at, 200, rng) for _ in range(20)])
    np.testing.assert_allclose(drawn.mean(axis=0), posterior.mean(at), atol=0.04)
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(posterior.variance(at)), rtol=0.15)


def test_the_sparse_process_is_the_exact_one_where_every_point_is_an_inducing_one(data: gp.Data, at: Points) -> None:
    # What a seed shares counts as noise of each trial there.
    alone = replace(data, seed=np.arange(N))
    exact = Belief(alone, H)
    sparse = Belief(alone, H, most=N - 1, inducing=N)
    assert (sparse.mean(at) != exact.mean(at)).any()
    np.testing.assert_allclose(sparse.mean(at), exact.mean(at), atol=1e-4)
    np.testing.assert_allclose(sparse.variance(at), exact.variance(at), atol=1e-4)
    np.testing.assert_allclose(sparse.covariance(at, at), exact.covariance(at, at), atol=1e-4)


def test_hyperparameter_draws_spread_around_the_mode(data: gp.Data) -> None:
    priors = gp.Priors(lengths=((1.0, 0.7), (1.0, 0.7)))
    posterior = gp.settings(data, priors, np.random.default_rng(0), draws=20)
    noises = [h.noise for h in posterior.draws]
    assert len(set(noises)) > 5 and min(noises) < posterior.mode.noise < max(noises)


@pytest.fixture
def budgets(data: gp.Data) -> gp.Data:
    """The points at three budgets, which are the last input."""
    return replace(data, x=np.column_stack([data.x, np.arange(N) % 3]))


def test_the_slope_by_the_share_of_each_budget_is_right(budgets: gp.Data) -> None:
    priors = gp.Priors(lengths=((1.0, 0.7), (1.0, 0.7), (8.0, 0.7)), shared=(0.1, 1.0), budget=2)
    theta = priors.centre_and_spread()[0]
    theta[-1] = np.log(0.2)
    moves = 1e-5 * np.eye(len(theta))
    rises = [gp.log_marginal(budgets, priors, theta + e) - gp.log_marginal(budgets, priors, theta - e) for e in moves]
    value, slope = gp.log_marginal_slope(budgets, priors, theta)
    assert value == pytest.approx(gp.log_marginal(budgets, priors, theta))
    np.testing.assert_allclose(slope, np.array(rises) / 2e-5, rtol=1e-4, atol=1e-4)


def test_functions_drawn_at_several_budgets_have_the_posteriors_mean_and_spread(budgets: gp.Data, at: Points) -> None:
    h = replace(H, lengths=np.array([1.3, 0.6, 8.0]), budget=2, own=0.4)
    there = Points(np.column_stack([at.x, np.arange(len(at)) % 4]), at.levels)
    posterior, rng = Belief(budgets, h), np.random.default_rng(4)
    drawn = np.concatenate([posterior.draw(there, 200, rng) for _ in range(20)])
    np.testing.assert_allclose(drawn.mean(axis=0), posterior.mean(there), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(posterior.variance(there)), rtol=0.15)
    # Without a share of its own a budget is told by the others.
    assert (Belief(budgets, replace(h, own=0.0)).variance(there) < posterior.variance(there)).mean() > 0.9
