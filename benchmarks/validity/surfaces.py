"""Cells whose best φ is known, searched by phitune, with the noise of seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray

from phitune.analysis.results import tidy
from phitune.analysis.surface import COSINE_PHI
from phitune.search.proposing.cell import CellProposer
from phitune.search.proposing.group import Group
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import Stopping
from phitune.search.stopping.predict import Prediction
from phitune.search.study.model import parse_study
from phitune.search.study.sections import Asha

Floats = NDArray[np.float64]

PHI_RANGE = (0.05, 50.0)
LR_RANGE = (1e-3, 5.0)
BUDGET = 100
TRIALS = 34


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

    def at(self, rng: np.random.Generator, budgets: Sequence[int]) -> dict[int, Landscape]:
        """One for each budget: log φ* on a line over log budget and about it, the other numbers nearly the same."""
        slope, within = 0.5 * rng.standard_normal(), float(rng.uniform(0.0, 0.25))
        middle = float(np.log(budgets).mean())
        low, high = np.log(np.array([0.1, 25.0]))

        def land(budget: int) -> Landscape:
            log_phi = self.log_phi + slope * (math.log(budget) - middle) + within * float(rng.standard_normal())
            left, right, bowl = np.exp(0.1 * rng.standard_normal(3)) * np.array([*self.rise, self.bowl])
            return replace(self, log_phi=float(np.clip(log_phi, low, high)), rise=(left, right), bowl=float(bowl))

        return {budget: land(budget) for budget in budgets}

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


def search(lands: Mapping[int, Landscape], rng: np.random.Generator) -> pd.DataFrame:
    """The results table of phitune's own search, by budget, one trial at a time and cell after cell in turns."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = parse_study(
        {
            "name": "simulated",
            "workloads": ["quadratic"],
            "families": ["uba", "cosine"],
            "space": {"phi": list(PHI_RANGE), "base_lr": list(LR_RANGE)},
            "budgets": list(lands),
            "trials": TRIALS,
            "seed": int(rng.integers(2**31)),
        }
    )
    # Simulated runs have seed noise even where real ones have not.
    cells = [replace(cell, deterministic=False) for cell in study.cells]
    group, storage = Group(cells, study.seed), optuna.storages.InMemoryStorage()
    waiting = [
        (cell, CellProposer(study, cell, storage, [], group), Prediction(group, cell, Asha().shares)) for cell in cells
    ]
    rows = []
    while waiting:
        cell, proposer, stopping = turn = waiting.pop(0)
        if (trial := proposer.propose()) is None:
            continue
        waiting.append(turn)
        row = _run(lands[cell.budget], trial, stopping, rng)
        if row["status"] == "diverged":
            stopping.note_diverged(trial.trial_id, trial.family)
        final = {"objective": float(str(row["objective"]))} if row["status"] == "completed" else {}
        judged = [(0, float(str(row[name]))) for name in ("rung_1", "rung_2") if name in row]
        proposer.end(Record(trial, row["status"], cell.budget, judged, [], final, 0.0, 0.0))  # type: ignore[arg-type]
        rows.append(row | {"budget": cell.budget})
    return _table(rows)


def _run(land: Landscape, trial: Trial, stopping: Stopping, rng: np.random.Generator) -> dict[str, object]:
    log_phi = math.log(trial.schedule.get("phi", COSINE_PHI))
    row: dict[str, object] = {
        "trial_id": trial.trial_id,
        "family": trial.family,
        "phase": trial.phase,
        "finalist": trial.finalist,
        "seed": trial.seed,
        "schedule": json.dumps(trial.schedule),
        "phi": trial.schedule.get("phi", math.nan),
        "base_lr": trial.base_lr,
        "mean_lr": trial.mean_lr,
        "objective": math.nan,
    }
    if math.log(trial.base_lr) > land.limit:
        return row | {"status": "diverged"}
    final = land.loss(log_phi, math.log(trial.base_lr) + log_mean(log_phi))
    luck = land.noise * float(rng.standard_normal())
    rungs = len(Asha().shares)
    for rung in range(1, rungs + 1):
        if trial.phase == "replicate":
            break
        ahead = (rungs + 1 - rung) * (0.15 - land.late * log_phi)
        value = math.exp(final + ahead + 0.5 * luck + land.noise * float(rng.standard_normal()))
        row[f"rung_{rung}"] = value
        if not stopping.judge(trial.trial_id, trial.family, rung, value):
            return row | {"status": "stopped"}
    return row | {"status": "completed", "objective": math.exp(final + luck)}


def _table(trials: list[dict[str, object]]) -> pd.DataFrame:
    rows = pd.DataFrame(trials)
    fixed: dict[str, Any] = {
        "study": "simulated",
        "workload": "simulated",
        "optimizer": "sgd",
        "full_budget": int(rows["budget"].max()),
    }
    kept: dict[str, Any] = {"deterministic": False, "objective_name": "val_loss", "mode": "min", "metric_name": "loss"}
    rows = rows.assign(**fixed, **kept, metric_mode="min", val_metric=rows["objective"], run_id=rows["trial_id"])
    return tidy(rows)
