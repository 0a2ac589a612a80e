"""Cells whose best φ is known, searched as real ones are: sampled like TPE, cut like ASHA, with the noise of seeds."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import qmc

from phitune.analysis.results import tidy

Floats = NDArray[np.float64]

PHI_RANGE = (0.05, 50.0)
LR_RANGE = (1e-3, 5.0)
TRIALS = 34
COSINES = 5
REPLICATES = 3
RUNGS = (0.25, 0.5)
KEPT = 1 / 3
LEAST_SEEN = 4
QUASI_RANDOM = 0.25
CANDIDATES = 24


@dataclass(frozen=True)
class Landscape:
    """Log loss over log φ and log mean LR.

    Attributes:
        log_phi, log_lr: Where it is lowest.
        rise: Of the loss on either side of φ*, per square of log φ near it; two zeros for a flat one.
        drift: How much the best log mean LR grows with log φ.
        bowl: Rise of the loss with the square of log LR.
        limit: Log base LR beyond which a trial diverges.
        noise: Standard deviation of a trial's log loss.
        late: How much worse a slow decay looks at a rung, per log φ and rung.
    """

    log_phi: float
    log_lr: float
    rise: tuple[float, float]
    drift: float
    bowl: float
    limit: float
    noise: float
    late: float

    @classmethod
    def random(cls, rng: np.random.Generator, flat: bool = False) -> Landscape:
        log_phi = float(rng.uniform(np.log(0.1), np.log(25.0)))
        log_lr = float(np.log(0.03) + 0.5 * rng.standard_normal())
        rise = 0.0 if flat else float(np.exp(rng.uniform(np.log(0.01), np.log(0.2))))
        lean = float(np.exp(rng.uniform(-0.5, 0.5)))
        drift = float(rng.uniform(0.0, 0.2))
        ends = np.log(np.array(PHI_RANGE))
        # The best LR can be had at every φ; how far beyond trials diverge varies.
        highest = max(log_lr + drift * (end - log_phi) - log_mean(end) for end in ends)
        return cls(
            log_phi=log_phi,
            log_lr=log_lr,
            rise=(rise * lean, rise / lean),
            drift=drift,
            bowl=float(rng.uniform(0.1, 0.6)),
            limit=highest + float(rng.uniform(0.2, 1.2)),
            noise=float(np.exp(rng.uniform(np.log(0.003), np.log(0.1)))),
            late=float(rng.uniform(0.0, 0.1)),
        )

    def profile(self, log_phi: Floats) -> Floats:
        """Log loss with the LR at its best; 0 at φ*."""
        z = log_phi - self.log_phi
        return np.asarray(np.where(z < 0, *self.rise) * z**2 / (1.0 + np.abs(z) / 3.0), dtype=np.float64)

    def best_log_lr(self, log_phi: float) -> float:
        return self.log_lr + self.drift * (log_phi - self.log_phi)

    def loss(self, log_phi: float, log_mean_lr: float) -> float:
        d = log_mean_lr - self.best_log_lr(log_phi)
        return float(self.profile(np.array([log_phi]))[0]) + self.bowl * d * d * (1.0 + 0.4 * math.tanh(d))


def log_mean(log_phi: float) -> float:
    """Log of the mean of UBA's profile."""
    return -math.log1p(math.sqrt(math.exp(log_phi) / 2.0))


def search(land: Landscape, rng: np.random.Generator) -> pd.DataFrame:
    """A cell's results table: explore trials one after another, then replicates of the best UBA and cosine trial."""
    start = qmc.Sobol(2, seed=rng).random_base2(6)
    trials: list[dict[str, object]] = []
    seen: list[list[float]] = [[] for _ in RUNGS]
    for number in range(TRIALS):
        family = "cosine" if number % (TRIALS // COSINES) == 1 else "uba"
        comparable = [t for t in trials if t["status"] == "completed"]
        if number < QUASI_RANDOM * TRIALS or len(comparable) < LEAST_SEEN:
            unit = start[number]
            log_phi = float(np.log(PHI_RANGE[0]) + unit[0] * np.log(PHI_RANGE[1] / PHI_RANGE[0]))
            log_base = float(np.log(LR_RANGE[0]) + unit[1] * np.log(LR_RANGE[1] / LR_RANGE[0]))
            log_lr = log_base + log_mean(log_phi)
        else:
            log_phi, log_lr = _like_tpe(trials, rng)
        if family == "cosine":
            log_phi = math.log(2.0)
        trials.append(_run(land, family, log_phi, log_lr, seen, rng))
    for number, trial in enumerate(trials):
        trial |= {"trial_id": f"explore-{number:03d}", "phase": "explore", "seed": 0, "finalist": None}
    return _table(trials + _replicates(land, trials, rng))


def _like_tpe(trials: list[dict[str, object]], rng: np.random.Generator) -> tuple[float, float]:
    """The best of some candidates by the ratio of densities of good and other trials (Bergstra et al. 2011)."""
    rated = sorted((t for t in trials if t["status"] != "diverged"), key=_rating)
    where = np.array([[t["log_phi"], t["log_lr"]] for t in rated], dtype=np.float64)
    cut = max(3, len(rated) // 5)
    good, other = where[:cut], where[cut:]
    width = np.array([0.8, 0.35])
    candidates = good[rng.integers(0, len(good), CANDIDATES)] + width * rng.standard_normal((CANDIDATES, 2))
    candidates[:, 0] = np.clip(candidates[:, 0], *np.log(PHI_RANGE))

    def density(points: Floats) -> Floats:
        squares = (((candidates[:, None] - points[None]) / (1.5 * width)) ** 2).sum(axis=2)
        return np.asarray(np.exp(-0.5 * squares).mean(axis=1) + 1e-9, dtype=np.float64)

    best = candidates[int(np.argmax(density(good) / density(other)))]
    return float(best[0]), float(best[1])


def _rating(trial: dict[str, object]) -> float:
    """Completed trials by their loss; stopped ones come after, by where they were stopped."""
    rungs = [trial.get(f"rung_{i}") for i in (1, 2)]
    last = [float(str(r)) for r in rungs if r is not None]
    return float(str(trial["objective"])) if trial["status"] == "completed" else 100.0 - len(last) + last[-1]


def _run(
    land: Landscape, family: str, log_phi: float, log_lr: float, seen: list[list[float]], rng: np.random.Generator
) -> dict[str, object]:
    log_base = float(np.clip(log_lr - log_mean(log_phi), *np.log(LR_RANGE)))
    log_lr = log_base + log_mean(log_phi)
    trial: dict[str, object] = {"family": family, "log_phi": log_phi, "log_lr": log_lr, "log_base": log_base}
    if log_base > land.limit:
        return trial | {"status": "diverged", "objective": math.nan}
    final = land.loss(log_phi, log_lr)
    luck = land.noise * float(rng.standard_normal())
    for rung, others in enumerate(seen, start=1):
        ahead = (len(RUNGS) + 1 - rung) * (0.15 - land.late * log_phi)
        value = math.exp(final + ahead + 0.5 * luck + land.noise * float(rng.standard_normal()))
        trial[f"rung_{rung}"] = value
        others.append(value)
        if len(others) >= LEAST_SEEN and value > np.quantile(others, KEPT):
            return trial | {"status": "stopped", "objective": math.nan}
    return trial | {"status": "completed", "objective": math.exp(final + luck)}


def _replicates(land: Landscape, trials: list[dict[str, object]], rng: np.random.Generator) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    for family in ("uba", "cosine"):
        comparable = [t for t in trials if t["family"] == family and t["status"] == "completed"]
        if not comparable:
            continue
        best = min(comparable, key=_rating)
        value = land.loss(float(str(best["log_phi"])), float(str(best["log_lr"])))
        for k in range(REPLICATES):
            objective = math.exp(value + land.noise * float(rng.standard_normal()))
            name = f"{best['trial_id']}-{k}"
            own = {"trial_id": name, "phase": "replicate", "finalist": best["trial_id"], "seed": 1 + k}
            out.append(best | own | {"objective": objective})
    return out


def _table(trials: list[dict[str, object]]) -> pd.DataFrame:
    rows = pd.DataFrame(trials)
    phi = np.exp(rows["log_phi"])
    rows["phi"] = phi.where(rows["family"] == "uba")
    rows["schedule"] = [
        json.dumps({"family": f} | ({"phi": p} if f == "uba" else {})) for f, p in zip(rows["family"], phi, strict=True)
    ]
    rows["base_lr"], rows["mean_lr"] = np.exp(rows["log_base"]), np.exp(rows["log_lr"])
    fixed: dict[str, Any] = {
        "study": "simulated",
        "workload": "simulated",
        "optimizer": "sgd",
        "budget": 100,
        "full_budget": 100,
    }
    kept: dict[str, Any] = {"deterministic": False, "objective_name": "val_loss", "mode": "min", "metric_name": "loss"}
    rows = rows.assign(**fixed, **kept, metric_mode="min", val_metric=rows["objective"], run_id=rows["trial_id"])
    return tidy(rows)
