"""Made-up trials of a small study, and its runs in a real database."""

from __future__ import annotations

import time
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from phitune.search.records.record import Record, Trial
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study
from phitune.search.tracking import Tracker, facts_of
from phitune.trainables.uri import database_uri

STUDY = Study(name="made", workloads=["quadratic"], budgets=[100, 200], families=["uba", "linear"])


def made(number: int, cell: Cell, status: str = "completed", objective: float = 0.01, finalist: str = "") -> Record:
    phase = "replicate" if finalist else "explore"
    trial = Trial(
        trial_id=f"{cell.slug}/{phase}-{number:04d}",
        cell=cell.key,
        phase=phase,  # type: ignore[arg-type]
        number=number,
        family="uba",
        schedule={"family": "uba", "phi": 2.125},
        base_lr=0.1372,
        mean_lr=0.05,
        seed=number,
        finalist=finalist or None,
    )
    curve = [{"step": float(step), "lr": 0.1, "val_loss": 1 / step} for step in (25, 50, 75, 100)]
    final = {"val_loss": objective, "objective": objective}
    return Record(trial, status, 100, [(25, 0.04)], curve, final, time.time(), 0.5)  # type: ignore[arg-type]


def client(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=database_uri(folder / "mlflow.db"))


def runs(folder: Path, kind: str = "trial") -> list[Run]:
    experiment = client(folder).get_experiment_by_name("made")
    query = f"tags.`phitune.kind` = '{kind}'"
    return list(client(folder).search_runs([experiment.experiment_id], query, max_results=1000))


def opened(folder: Path, former: str | None = None) -> Tracker:
    tracker = Tracker()
    tracker.open(database_uri(folder / "mlflow.db"), facts_of(STUDY, "0", str(folder)), folder, former)
    return tracker
