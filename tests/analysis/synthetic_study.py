"""A study in a real MLflow, as `search` writes it; its trials are the exact noisy quadratic."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from tests.analysis.quadratic_twin import expected_loss, local_trials, mean_u, sobol_trials

PHI_RANGE = (0.05, 50.0)
LR_RANGE = (0.003, 1.9)
MEANS = {"cosine": 0.5, "linear": 0.5, "rex": 0.6137, "step": 0.5475}
SEED_NOISE = 0.01
REPLICATES = 3


@dataclass(frozen=True)
class Recipe:
    """Recipe of one cell: the quadratic's kappa and noise, the budget, and what the search would have run.

    Attributes:
        kappa, c: Of the quadratic.
        budget, full_budget: In iterations.
        uba: Number of UBA's explore trials.
        others: Number of explore trials of each other family.
        stop: Whether the worse half is stopped at a quarter of the budget.
        families: The other families.
        noise: Standard deviation of log loss between seeds; 0 for a deterministic workload.
        replicates: Of each family's best trial.
        optimizer: The optimizer's name.
        lr_range: Range of base LR searched.
    """

    kappa: float
    c: float
    budget: int
    uba: int = 40
    others: int = 8
    stop: bool = True
    families: tuple[str, ...] = ("linear", "cosine", "step")
    noise: float = SEED_NOISE
    full_budget: int = 800
    replicates: int = REPLICATES
    optimizer: str = "sgd"
    lr_range: tuple[float, float] = field(default=LR_RANGE)

    @property
    def label(self) -> str:
        return f"quadratic(kappa={self.kappa:g},noise={self.c:g})"

    @property
    def cell(self) -> str:
        return f"{self.label} {self.optimizer} {self.budget}"


def table(recipe: Recipe, seed: int = 0) -> pd.DataFrame:
    """The cell's rows as `analysis.results.load` gives them."""
    from phitune.analysis.results import tidy

    rows = [_flat(trial, recipe) for trial in trials(recipe, seed)]
    return tidy(pd.DataFrame(rows)).sort_values("trial_id", ignore_index=True)


def trials(recipe: Recipe, seed: int = 0) -> list[dict[str, Any]]:
    """Explore trials (half quasi-random, half near the best; the worse half stopped at a quarter), then replicates."""
    rng = np.random.default_rng(seed)
    out: list[dict[str, Any]] = []
    half = recipe.uba // 2
    phi, lr = sobol_trials(half, PHI_RANGE, recipe.lr_range, seed)
    first = _run(recipe, "uba", phi, lr, rng)
    best = min(first, key=lambda t: t["objective"])
    out += first + _run(
        recipe,
        "uba",
        *local_trials((best["phi"], best["base_lr"]), recipe.uba - half, PHI_RANGE, recipe.lr_range, seed),
        rng,
    )
    for family in recipe.families:
        lrs = np.exp(rng.uniform(*np.log(recipe.lr_range), recipe.others))
        out += _run(recipe, family, np.full(recipe.others, np.nan), lrs, rng)
    for i, trial in enumerate(out):
        trial |= {"trial_id": f"{recipe.cell.replace(' ', '.')}/explore-{i:04d}", "phase": "explore", "finalist": None}
    if recipe.stop:
        for family in {t["family"] for t in out}:
            mine = [t for t in out if t["family"] == family and t["status"] == "completed"]
            cut = float(np.median([t["rung_1"] for t in mine]))
            for trial in mine:
                if trial["rung_1"] > cut:
                    trial |= {"status": "stopped", "objective": trial["rung_1"], "steps": trial["rung_step"]}
    return out + _replicates(recipe, out, rng)


def _run(
    recipe: Recipe, family: str, phi: np.ndarray, lr: np.ndarray, rng: np.random.Generator
) -> list[dict[str, Any]]:
    rung = max(recipe.budget // 4, 1)
    cell = (recipe.kappa, recipe.c, recipe.budget)
    loss = expected_loss(*cell, phi, lr, family)
    early = expected_loss(*cell, phi, lr, family, stop=rung, averaged=True)
    mean = lr * (mean_u(phi) if family == "uba" else MEANS[family])
    noise = np.exp(recipe.noise * rng.standard_normal((2, len(lr))))
    return [
        {
            "family": family,
            "phi": float(phi[i]),
            "base_lr": float(lr[i]),
            "mean_lr": float(mean[i]),
            "seed": 0,
            "status": "completed" if np.isfinite(loss[i]) and loss[i] < 1e2 else "diverged",
            "objective": float(loss[i] * noise[0, i]),
            "rung_1": float(early[i] * noise[1, i]),
            "rung_step": rung,
            "steps": recipe.budget,
        }
        for i in range(len(lr))
    ]


def _replicates(recipe: Recipe, explore: list[dict[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    completed = [t for t in explore if t["status"] == "completed"]
    out = []
    # Seeds are shared between finalists: part of a replicate's noise belongs to the seed.
    seed_noise = rng.standard_normal(recipe.replicates)
    for family in dict.fromkeys(t["family"] for t in completed):
        best = min((t for t in completed if t["family"] == family), key=lambda t: t["objective"])
        phi, lr = np.array([best["phi"]]), np.array([best["base_lr"]])
        loss = float(expected_loss(recipe.kappa, recipe.c, recipe.budget, phi, lr, family)[0])
        for k in range(recipe.replicates if recipe.noise else min(recipe.replicates, 1)):
            noise = 0.8 * seed_noise[k] + 0.6 * rng.standard_normal()
            value = loss * float(np.exp(recipe.noise * noise))
            trial_id = best["trial_id"].replace("explore", "replicate") + f"-{k}"
            out.append(
                best
                | {
                    "trial_id": trial_id,
                    "phase": "replicate",
                    "finalist": best["trial_id"],
                    "seed": 100 + k,
                    "objective": value,
                }
            )
    return out


def _flat(trial: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    schedule = {"family": trial["family"]} | ({"phi": trial["phi"]} if trial["family"] == "uba" else {})
    completed = trial["status"] == "completed"
    row = trial | {
        "study": "made", "run_id": trial["trial_id"], "cell": recipe.cell, "workload": recipe.label,
        "optimizer": recipe.optimizer, "budget": recipe.budget, "full_budget": recipe.full_budget,
        "schedule": json.dumps(schedule), "deterministic": recipe.noise == 0,
        "objective_name": "val_loss", "mode": "min",
        "metric_name": "score", "metric_mode": "max", "objective": trial["objective"] if completed else float("nan"),
        "val_loss": trial["objective"], "val_metric": 1.0 / (1.0 + trial["objective"]), "seconds": 0.1,
    }  # fmt: skip
    row.pop("rung_step")
    if trial["phase"] == "replicate":
        row |= {"test_loss": trial["objective"], "test_metric": row["val_metric"]}
    return row


def write_study(uri: str, name: str, recipes: list[Recipe], running: int = 1) -> None:
    """Write the recipes' trials to MLflow as `search` would, with some trials still in flight."""
    parent = add_trials(uri, name, *recipes)
    client = MlflowClient(tracking_uri=uri)
    for i in range(running):
        tags = {"mlflow.parentRunId": parent, "phitune.kind": "trial", "phitune.trial_id": f"running-{i}"}
        client.create_run(client.get_run(parent).info.experiment_id, tags=tags)
    client.set_terminated(parent)


def add_trials(uri: str, name: str, *recipes: Recipe) -> str:
    """Write the recipes' trials to a new or existing study; returns the id of its parent run."""
    client = MlflowClient(tracking_uri=uri)
    existing = client.get_experiment_by_name(name)
    experiment = existing.experiment_id if existing else client.create_experiment(name)
    parents = client.search_runs([experiment], "tags.`phitune.kind` = 'study'")
    study = {"phitune.kind": "study", "mlflow.runName": name}
    parent = str((parents[0] if parents else client.create_run(experiment, tags=study)).info.run_id)
    for recipe in recipes:
        for trial in trials(recipe):
            _write_trial(client, experiment, parent, trial, recipe)
    return parent


def _write_trial(client: MlflowClient, experiment: str, parent: str, trial: dict[str, Any], recipe: Recipe) -> None:
    row = _flat(trial, recipe)
    tags = {
        "trial_id": row["trial_id"], "kind": "trial", "cell": row["cell"], "phase": row["phase"],
        "status": row["status"],
        "objective": "val_loss", "mode": "min", "metric_name": "score", "metric_mode": "max",
        "full_budget": str(recipe.full_budget), "deterministic": str(row["deterministic"]).lower(),
    }  # fmt: skip
    if row["finalist"]:
        tags["finalist"] = row["finalist"]
    tags = {f"phitune.{key}": value for key, value in tags.items()} | {"mlflow.parentRunId": parent}
    run = client.create_run(experiment, tags=tags).info.run_id
    names = ("workload", "optimizer", "budget", "family", "base_lr", "mean_lr", "seed", "schedule")
    params = {key: row[key] for key in names} | ({"phi": row["phi"]} if row["family"] == "uba" else {})
    finals = {key: row[key] for key in ("val_loss", "val_metric", "steps", "seconds")}
    # The store refuses infinities in some versions; search logs what is finite.
    finals |= {"objective": trial["objective"]} | {k: row[k] for k in ("test_loss", "test_metric") if k in row}
    metrics = [Metric(f"final/{key}", float(value), 0, row["steps"]) for key, value in finals.items()]
    metrics += [Metric("rung/1", trial["rung_1"], 0, trial["rung_step"]), Metric("lr", row["base_lr"], 0, 0)]
    client.log_batch(
        run,
        metrics=[m for m in metrics if np.isfinite(m.value)],
        params=[Param(key, str(value)) for key, value in params.items()],
        tags=[RunTag("phitune.kind", "trial")],
    )
    client.set_terminated(run)
