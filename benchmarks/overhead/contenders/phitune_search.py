"""phitune: a real `phitune search` with everything on (TPE, ASHA, journal, MLflow on SQLite)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from benchmarks.overhead.contender import SEED, Contender, End
from benchmarks.overhead.problem import BUDGET, FAMILIES, REPORTS, WORKLOAD
from phitune.trainables.uri import database_uri

DATABASE = "mlflow.db"
JOURNAL = Path("out", "trials.jsonl")


def contender(overrides: list[str]) -> Contender:
    def command(folder: Path, trials: int) -> list[str]:
        return search_command(folder, one_cell(trials), overrides)

    says = "phitune search: one cell, TPE, ASHA, journal, MLflow on SQLite"
    return Contender("phitune", says, command, ends, database=DATABASE)


def one_cell(trials: int) -> dict[str, Any]:
    """The study, without replicates so that the number of trials is known."""
    return {
        "name": "overhead",
        "workloads": [WORKLOAD],
        "budgets": [BUDGET],
        "families": list(FAMILIES),
        "early_stopping": {"rungs": [step / BUDGET for step in REPORTS[:-1]]},
        "trials": trials,
        "replicates": 0,
        "seed": SEED,
    }


def search_command(folder: Path, study: dict[str, Any], overrides: list[str]) -> list[str]:
    """Writes the study file; the command line that searches it in the folder."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    options = [part for override in overrides for part in ("--set", override)]
    uri = database_uri(folder / DATABASE)
    command = [sys.executable, "-m", "phitune", "search", str(path), "--out", str(folder / "out")]
    return [*command, "--tracking-uri", uri, *options]


def ends(folder: Path) -> list[End]:
    """From the study's journal."""
    path = folder / JOURNAL
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return sorted((End(one["started"] + one["seconds"], one["steps"]) for one in records), key=lambda end: end.at)
