"""A study of made-up trials in an MLflow database: the schema is MLflow's own, the rows are put in as SQL.

What a run has (tags, params, last metrics, lengths of texts) is what `phitune search` leaves; the curves' points
(table `metrics`), which no analysis reads, are left out.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from phitune.trainables.uri import database_uri

_FAMILIES = ("uba", "uba", "uba", "uba", "linear", "cosine", "rex")
_BUDGETS = (100, 200, 400, 800, 1600)
_REPLICATES = 3
_CURVE = ("lr", "train_loss", "val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "grad_norm", "weight_norm")
_NOTE = "**uba** at base LR 0.123: trained to its end. " * 12


def make_database(path: Path, study: str, trials: int, cells: int) -> str:
    """Makes a database with one study; the id of its parent run.

    Args:
        path: Of the file; it must not be there.
        study: Its name.
        trials: Their number, replicates included.
        cells: Their number; every cell has about equally many trials.
    """
    client = MlflowClient(tracking_uri=database_uri(path))
    experiment = client.create_experiment(study)
    parent = client.create_run(experiment, tags={"phitune.kind": "study"}).info.run_id
    client.set_terminated(parent)
    generator = np.random.default_rng(0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for number in range(cells):
            share = trials * (number + 1) // cells - trials * number // cells
            batch = list(_cell(number, share, generator))
            first = batch[0]
            tags = {"mlflow.parentRunId": parent, "phitune.study_run": parent, "phitune.kind": "cell"}
            tags |= {"phitune.cell": first["tags"]["cell"], "phitune.order": f"{number:04d}"}
            cell = client.create_run(experiment, tags=tags, run_name=first["tags"]["cell"]).info.run_id
            params = [Param(key, str(first["params"][key])) for key in ("workload", "optimizer", "budget")]
            client.log_batch(cell, [Metric("best/objective", first["metrics"]["final/objective"], 0, 1)], params)
            client.set_terminated(cell)
            _insert(connection, experiment, {"phitune.study_run": parent, "mlflow.parentRunId": cell}, batch)
            connection.commit()
    return str(parent)


def _insert(
    connection: sqlite3.Connection, experiment: str, place: dict[str, str], batch: list[dict[str, Any]]
) -> None:
    runs, tags, params, metrics = [], [], [], []
    for trial in batch:
        run = uuid.uuid4().hex
        start = 1_700_000_000_000 + int(trial["tags"].pop("order"))
        ended = {"completed": "FINISHED", "stopped": "KILLED", "diverged": "FAILED"}[trial["tags"]["status"]]
        runs.append((run, trial["tags"]["trial_id"], "LOCAL", "", "", "user", ended, start, start + 900, "active",
                     f"file:///runs/artifacts/{run}/artifacts", experiment))  # fmt: skip
        own = {f"phitune.{key}": value for key, value in trial["tags"].items()}
        own |= {**place, "mlflow.note.content": _NOTE, "mlflow.runName": trial["tags"]["trial_id"]}
        own |= {"mlflow.user": "user", "mlflow.source.name": "phitune", "mlflow.source.type": "LOCAL"}
        tags += [(key, value, run) for key, value in own.items()]
        params += [(key, str(value), run) for key, value in trial["params"].items()]
        metrics += [(key, value, start, 0, 0, run) for key, value in trial["metrics"].items()]
    connection.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, lifecycle_stage, artifact_uri, experiment_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        runs,
    )
    connection.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?,?,?)", tags)
    connection.executemany("INSERT INTO params (key, value, run_uuid) VALUES (?,?,?)", params)
    connection.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?,?,?,?,?,?)", metrics
    )


def _cell(number: int, trials: int, generator: np.random.Generator) -> Iterator[dict[str, Any]]:
    """A cell's explore trials on a made surface, the worse half stopped; then each family's best again, fresh seeds."""
    budget = _BUDGETS[number % len(_BUDGETS)]
    workload = f"quadratic(kappa={100 + number // len(_BUDGETS)})"
    explored: list[dict[str, Any]] = []
    explore = max(trials - _REPLICATES * len(set(_FAMILIES)), 1)
    for i in range(explore):
        family = _FAMILIES[i % len(_FAMILIES)]
        phi = float(np.exp(generator.uniform(-3, 4))) if family == "uba" else 2.0
        lr = float(np.exp(generator.uniform(-5, 0)))
        best = 0.3 * np.log(budget / 100) + 0.5
        away = 0.05 * (np.log(phi) - best) ** 2 + 0.2 * (np.log(lr) + 2) ** 2 + (0 if family == "uba" else 0.02)
        loss = float(np.exp(away - 0.4 * np.log(budget)))
        explored.append({"family": family, "phi": phi, "lr": lr, "loss": loss, "number": i})
    cut = float(np.median([trial["loss"] for trial in explored]))
    for trial in explored:
        noisy = trial["loss"] * float(np.exp(0.02 * generator.standard_normal()))
        status = "completed" if trial["loss"] <= cut else "diverged" if trial["lr"] > 0.8 else "stopped"
        yield _trial(workload, budget, trial, f"explore-{trial['number']:04d}", "explore", status, noisy, 0)
    for family in dict.fromkeys(_FAMILIES):
        mine = [trial for trial in explored if trial["family"] == family]
        if not mine:
            continue
        winner = min(mine, key=lambda trial: trial["loss"])
        for k in range(1, _REPLICATES + 1):
            noisy = winner["loss"] * float(np.exp(0.02 * generator.standard_normal()))
            name = f"replicate-{winner['number']:04d}.{k}"
            yield _trial(workload, budget, winner, name, "replicate", "completed", noisy, k)


def _trial(
    workload: str,
    budget: int,
    explored: dict[str, Any],
    name: str,
    phase: str,
    status: str,
    loss: float,
    seed: int,
) -> dict[str, Any]:
    cell = f"{workload} sgd {budget}"
    slug = cell.replace(" ", "-")
    tags = {
        "kind": "trial", "trial_id": f"{slug}/{name}", "cell": cell, "phase": phase, "status": status,
        "objective": "val_loss", "mode": "min", "metric_name": "accuracy", "metric_mode": "max",
        "full_budget": "1600", "deterministic": "false", "order": str(1000 * explored["number"] + seed),
    }  # fmt: skip
    if phase == "replicate":
        tags["finalist"] = f"{slug}/explore-{explored['number']:04d}"
    else:
        tags["origin"] = "quasi-random" if explored["number"] % 4 == 0 else "tpe"
    shape = {"phi": explored["phi"]} if explored["family"] == "uba" else {}
    mean = explored["lr"] * (1 / (1 + (explored["phi"] / 2) ** 0.5) if shape else 0.5)
    params = {"workload": workload, "optimizer": "sgd", "budget": budget, "family": explored["family"], **shape}
    params |= {"base_lr": explored["lr"], "mean_lr": mean, "seed": seed}
    params["schedule"] = json.dumps({"family": explored["family"], **shape})
    metrics = dict.fromkeys(_CURVE, loss) | {"rung/1": 1.5 * loss, "rung/2": 1.2 * loss}
    metrics |= {"final/objective": loss, "final/val_loss": loss, "final/val_metric": 1 / (1 + loss)}
    metrics |= {"final/ema_val_loss": loss, "final/ema_val_metric": 1 / (1 + loss), "final/seconds": 0.9}
    metrics["final/steps"] = float(budget if status == "completed" else budget // 4)
    if phase == "replicate":
        metrics |= {"final/test_loss": loss, "final/test_metric": 1 / (1 + loss)}
    return {"tags": tags, "params": params, "metrics": metrics}
