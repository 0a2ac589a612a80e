"""The noisy quadratic's exact recursion (docs/method/quadratic.md): a few-line reference with a known optimum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

Array = NDArray[np.float64]
EXPLODED = 1e3


def profile(family: str, phi: Array, x: float) -> Array:
    """u(x) for each trial; `phi` is read by uba alone."""
    if family == "uba":
        return 1.0 / (1.0 + phi / 2.0 * np.tan(np.pi * x / 2.0) ** 2)
    shape = {
        "cosine": (1.0 + np.cos(np.pi * x)) / 2.0,
        "linear": 1.0 - x,
        "rex": (1.0 - x) / (0.5 + 0.5 * (1.0 - x)),
        "step": 1.0 if x < 0.5 else 0.1 if x < 0.75 else 0.01,
    }[family]
    return np.full_like(phi, shape)


def expected_loss(
    kappa: float,
    c: float,
    horizon: int,
    phi: Array,
    base_lr: Array,
    family: str = "uba",
    stop: int | None = None,
    averaged: bool = False,
) -> Array:
    """E[loss] of plain SGD after `stop` steps (default: the horizon), for trials in parallel: shape (n,).

    With `averaged`, of the exponential average of the weights with weight min(1, 10 / (t + 1)), as trials are judged.
    """
    n = 60
    h = np.logspace(-np.log10(kappa), 0.0, n)
    s = c * h / n
    v = np.full((len(phi), n), 1.0 / n)
    mixed, mean = v, v  # E[w * average], E[average^2]
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(horizon if stop is None else stop):
            lr = (base_lr * profile(family, phi, t / horizon))[:, None]
            v = (1.0 - lr * h) ** 2 * v + lr**2 * s
            if averaged:
                b = min(1.0, 10.0 / (t + 1))
                carried = (1.0 - lr * h) * mixed
                mean = (1.0 - b) ** 2 * mean + 2.0 * b * (1.0 - b) * carried + b**2 * v
                mixed = (1.0 - b) * carried + b * v
        return 0.5 * (h * (mean if averaged else v)).sum(axis=1)


def mean_u(phi: Array) -> Array:
    return 1.0 / (1.0 + np.sqrt(phi / 2.0))


@dataclass(frozen=True)
class Truth:
    """The true profile over phi: best loss and base LR at each phi of a grid."""

    log_phi: Array
    log_loss: Array
    log_base_lr: Array

    @property
    def phi(self) -> float:
        return float(np.exp(self.log_phi[self.log_loss.argmin()]))

    @property
    def loss(self) -> float:
        return float(np.exp(self.log_loss.min()))


def truth(kappa: float, c: float, horizon: int, phi_range: tuple[float, float], lr_range: tuple[float, float]) -> Truth:
    """Dense optimisation over phi and base LR: a grid, and a finer one around each phi's best LR."""
    log_phi = np.linspace(*np.log(phi_range), 47)
    centre, half = np.full(47, np.mean(np.log(lr_range))), np.ptp(np.log(lr_range)) / 2
    for _ in range(3):
        log_lr = np.clip(centre[:, None] + half * np.linspace(-1, 1, 21), *np.log(lr_range))
        loss = expected_loss(kappa, c, horizon, np.exp(np.repeat(log_phi, 21)), np.exp(log_lr.ravel())).reshape(47, 21)
        best = np.nan_to_num(loss, nan=np.inf).argmin(axis=1)
        centre, half = log_lr[np.arange(47), best], half / 8
    return Truth(log_phi, np.log(np.nanmin(loss, axis=1)), centre)


def sobol_trials(
    n: int, phi_range: tuple[float, float], lr_range: tuple[float, float], seed: int
) -> tuple[Array, Array]:
    """phi and base LR of quasi-random trials, log-uniform in phi and mean LR."""
    u = qmc.Sobol(2, seed=seed).random_base2(int(np.ceil(np.log2(n))))[:n]
    phi = np.exp(np.log(phi_range[0]) + u[:, 0] * np.log(phi_range[1] / phi_range[0]))
    lo, hi = np.log(lr_range[0]), np.log(lr_range[1])
    return phi, np.clip(np.exp(lo + u[:, 1] * (hi - lo)) * 0.5 / mean_u(phi), *lr_range)


def local_trials(
    best: tuple[float, float], n: int, phi_range: tuple[float, float], lr_range: tuple[float, float], seed: int
) -> tuple[Array, Array]:
    """phi and base LR scattered around the best trial so far, in log phi and log mean LR."""
    rng = np.random.default_rng(seed)
    phi = np.clip(best[0] * np.exp(0.9 * rng.standard_normal(n)), *phi_range)
    mean = best[1] * mean_u(np.array([best[0]]))[0] * np.exp(0.35 * rng.standard_normal(n))
    return phi, np.clip(mean / mean_u(phi), *lr_range)
