"""What a trial's way into MLflow costs: `python -m benchmarks.tracking_speed [--uri URI] [--records 500]`.

Journals made-up trials as a search does and reports them to the tracker. Printed, in ms a trial: the search's own
time, the CPU time of the process that writes, and how long it takes until MLflow has everything. For a server (whose
CPU time is not in it) start one and give its URI.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from phitune.search.records.journal import Journal
from phitune.search.records.record import Record, Trial
from phitune.search.study.model import Study
from phitune.search.tracking import Tracker, facts_of

METRICS = ["lr", "train_loss", "val_loss", "val_metric", "ema_val_loss", "ema_val_metric", "grad_norm", "weight_norm"]
METRICS += ["train_metric"]
FINAL = [*METRICS[2:6], "objective"]


def record(cell: str, number: int, points: int, generator: np.random.Generator) -> Record:
    values = generator.uniform(size=(points, len(METRICS)))
    curve = [
        {"step": 100.0 * (k + 1), **dict(zip(METRICS, map(float, row), strict=True))} for k, row in enumerate(values)
    ]
    schedule = {"family": "uba", "phi": float(values[0, 0])}
    trial = Trial(f"bench/explore-{number:04d}", cell, "explore", number, "uba", schedule, 0.1, 0.05, number)
    final = {key: curve[-1].get(key, 0.5) for key in FINAL}
    return Record(trial, "completed", 100 * points, [(200, 0.4), (400, 0.3)], curve, final, time.time(), 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uri", help="MLflow server; by default a fresh embedded database.")
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--points", type=int, default=8, help="Points of a training curve.")
    arguments = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    study = Study(name=f"speed-{os.getpid()}", workloads=["quadratic"], budgets=[800], families=["uba"])
    cell = study.cells[0].key
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        tracker = Tracker()
        tracker.open(arguments.uri or f"sqlite:///{folder}/mlflow.db", facts_of(study, "0", folder), Path(folder))
        opened = time.perf_counter() - began
        journal = Journal(Path(folder) / "trials.jsonl")
        records = [record(cell, number, arguments.points, generator) for number in range(arguments.records)]
        journaling = 0.0
        began, own = time.perf_counter(), time.process_time()
        for each in records:
            tracker.started(each.trial, each.started)
            before = time.process_time()
            journal.append(each)
            journaling += time.process_time() - before
            tracker.ended(each.trial.trial_id)
        unwritten = tracker.close("FINISHED", 60.0)
        wall, own = time.perf_counter() - began, time.process_time() - own
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1000 / arguments.records
    print(f"{arguments.records} trials of {arguments.points} points with {len(METRICS)} metrics; {unwritten} unwritten")
    print(f"opened after {opened:.1f} s")
    print(f"the search: {scale * (own - journaling):.2f} ms, its journal {scale * journaling:.2f} ms")
    cpu = spent.ru_utime + spent.ru_stime
    print(f"the writer: {scale * cpu:.1f} ms of CPU, its start included; {scale * wall:.1f} ms until written")


if __name__ == "__main__":
    main()
