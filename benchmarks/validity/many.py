"""More trials are never worse: error and interval of φ* against the number of trials, where φ* is known."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd

from phitune.analysis.results import tidy
from phitune.analysis.surface import fit_cell
from phitune.trainables.schedules import Uba

LOG_PHI = 1.0
LOG_LR = math.log(0.1)
NOISE = 0.01
PHI_RANGE = (0.05, 50.0)
LR_RANGE = (0.005, 2.0)
SIZES = (20, 50, 200, 666, 2000, 20_000)


def cell(trials: int, seed: int) -> pd.DataFrame:
    """Random trials of UBA on a known surface: 0.3 + 0.05 (ln LR - ln 0.1)² + 0.01 (ln φ - 1)² and noise."""
    rng = np.random.default_rng([trials, seed])
    log_phi = rng.uniform(math.log(PHI_RANGE[0]), math.log(PHI_RANGE[1]), trials)
    log_lr = rng.uniform(math.log(LR_RANGE[0]), math.log(LR_RANGE[1]), trials)
    loss = 0.3 + 0.05 * (log_lr - LOG_LR) ** 2 + 0.01 * (log_phi - LOG_PHI) ** 2 + NOISE * rng.standard_normal(trials)
    phi, base_lr = np.exp(log_phi), np.exp(log_lr)
    rows = pd.DataFrame({"phi": phi, "base_lr": base_lr, "objective": loss, "seed": np.arange(trials)})
    rows["mean_lr"] = base_lr * [Uba(float(p)).profile_mean for p in phi]
    rows["schedule"] = [json.dumps({"family": "uba", "phi": float(p)}) for p in phi]
    rows["trial_id"] = [f"t{i}" for i in range(trials)]
    fixed: dict[str, Any] = {
        "study": "known",
        "workload": "known",
        "optimizer": "sgd",
        "budget": 100,
        "family": "uba",
        "mode": "min",
        "phase": "explore",
        "status": "completed",
        "deterministic": False,
        "objective_name": "val_loss",
    }
    return tidy(rows.assign(**fixed))


def error_and_width(trials: int, seed: int) -> tuple[float, float, float]:
    """Error of log φ*, width of its 90 % interval, and seconds."""
    rows = cell(trials, seed)
    began = time.perf_counter()
    surface = fit_cell(rows, {"phi": PHI_RANGE}, seed).uba
    seconds = time.perf_counter() - began
    assert surface.phi is not None and surface.phi_interval is not None
    low, high = surface.phi_interval
    return abs(math.log(surface.phi) - LOG_PHI), math.log(high / low), seconds


def summary(seeds: int) -> dict[str, dict[str, float]]:
    """Root mean square error of log φ*, mean width of its interval and seconds a fit, by number of trials."""
    out = {}
    for trials in SIZES:
        errors, widths, seconds = np.array([error_and_width(trials, seed) for seed in range(seeds)]).T
        out[str(trials)] = {
            "error": float(np.sqrt(np.mean(errors**2))),
            "width": float(widths.mean()),
            "seconds": float(seconds.mean()),
        }
        print(trials, out[str(trials)], flush=True)
    return out
