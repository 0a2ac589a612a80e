"""The Gaussian process against scikit-learn's, its reference twin."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern

from phitune.analysis.surrogate import gaussian_process as gp
from phitune.analysis.surrogate.function_draws import draw_functions

H = gp.Hyperparameters(signal=0.7, lengths=np.array([1.3, 0.6]), noise=0.1)
THETA = np.log([H.signal, *H.lengths, H.noise])


class Trend(Kernel):
    """The trend's covariance, as a kernel without parameters."""

    def __init__(self, data: gp.Data) -> None:
        self.data = data

    def __call__(self, X, Y=None, eval_gradient=False):  # type: ignore[no-untyped-def]
        value = self.data.trend(X) @ self.data.trend(X if Y is None else Y).T
        return (value, np.empty((*value.shape, 0))) if eval_gradient else value

    def diag(self, X):  # type: ignore[no-untyped-def]
        return (self.data.trend(X) ** 2).sum(axis=1)

    def is_stationary(self) -> bool:
        return False


@pytest.fixture
def data() -> gp.Data:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (25, 2))
    y = np.sin(x[:, 0]) + 0.3 * x[:, 1] ** 2 + 0.1 * rng.standard_normal(25)
    return gp.Data(x, y, np.where(np.arange(25) < 5, 0.5, 0.0), np.full(2, -2.0), np.full(2, 2.0), np.array([0.5, 3.0]))


@pytest.fixture
def twin(data: gp.Data) -> GaussianProcessRegressor:
    kernel = ConstantKernel(H.signal**2, "fixed") * Matern(H.lengths, "fixed", nu=2.5) + Trend(data)
    model = GaussianProcessRegressor(kernel, alpha=H.noise**2 + data.extra**2, optimizer=None)
    return model.fit(data.x, data.y - data.y.mean())


def test_prediction_and_likelihood_equal_the_twins(data: gp.Data, twin: GaussianProcessRegressor) -> None:
    at = np.random.default_rng(1).uniform(-2, 2, (40, 2))
    mean, sd = gp.predict(data, H, at)
    expected_mean, expected_sd = twin.predict(at, return_std=True)
    np.testing.assert_allclose(mean, expected_mean + data.y.mean(), atol=1e-8)
    np.testing.assert_allclose(sd, expected_sd, atol=1e-6)
    priors = gp.Priors(noise_floor=0.0)
    value, slope = gp.log_marginal_slope(data, priors, THETA)
    assert gp.log_marginal(data, priors, THETA) == pytest.approx(value, abs=1e-10)
    assert value == pytest.approx(twin.log_marginal_likelihood_value_, abs=1e-8)
    moved = [gp.log_marginal(data, priors, THETA + 1e-5 * e) for e in np.eye(4)]
    np.testing.assert_allclose(slope, (np.array(moved) - value) / 1e-5, rtol=1e-3)


def test_draws_have_the_predictions_mean_and_spread(data: gp.Data) -> None:
    at = np.random.default_rng(2).uniform(-2, 2, (15, 2))
    mean, sd = gp.predict(data, H, at)
    rng = np.random.default_rng(3)
    drawn = np.concatenate([draw_functions(data, H, at, 200, rng) for _ in range(20)])
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=0.15)


def test_hyperparameter_draws_spread_around_the_mode(data: gp.Data) -> None:
    priors = gp.Priors()
    posterior = gp.settings(data, priors, np.random.default_rng(0), draws=20)
    noises = [h.noise for h in posterior.draws]
    assert len(set(noises)) > 5 and min(noises) < posterior.mode.noise < max(noises)
