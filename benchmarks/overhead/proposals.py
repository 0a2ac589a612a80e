"""What a proposal costs as a cell's history grows: the real proposer and ladder on a journal file, without Ray."""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks import machine
from benchmarks.overhead.contenders.phitune_search import one_cell
from phitune.search.proposing.cell import proposers
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import Ladder, rungs
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study, parse_study
from phitune.trainables.schedules import from_dict
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload

_STRIDE = 100


def proposals(trials: int, out: Path) -> None:
    """Proposes, trains and ends a cell's trials one by one; prints and writes ms by the length of the history.

    The first few trials are a Sobol sequence, which costs next to nothing; the rest is the surrogate's.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    propose_wall, propose_cpu, end_wall = measure(trials)
    rows = []
    print(f"{'history':>12} {'propose, ms':>12} {'95 %':>7} {'CPU, ms':>8} {'end, ms':>8}")
    for low in range(0, trials, _STRIDE):
        part = slice(low, low + _STRIDE)
        row = {
            "from": low,
            "to": min(low + _STRIDE, trials),
            "propose_ms": float(np.median(propose_wall[part])),
            "propose_p95_ms": float(np.quantile(propose_wall[part], 0.95)),
            "propose_cpu_ms": float(np.median(propose_cpu[part])),
            "end_ms": float(np.median(end_wall[part])),
        }
        rows.append(row)
        print(
            f"{row['from']:5.0f}–{row['to']:6.0f} {row['propose_ms']:12.1f} {row['propose_p95_ms']:7.1f} "
            f"{row['propose_cpu_ms']:8.1f} {row['end_ms']:8.1f}"
        )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "overhead-proposals.json"
    path.write_text(json.dumps({**machine.header(), "trials": trials, "medians": rows}, indent=1) + "\n", "utf-8")
    print(path)


def measure(trials: int) -> tuple[list[float], list[float], list[float]]:
    """Wall and CPU ms of each `propose`, wall ms of each `end`."""
    study = parse_study(one_cell(trials))
    [cell] = study.cells
    wall, cpu, end = [], [], []
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        storage = JournalStorage(JournalFileBackend(str(Path(folder, "optuna.log"))))
        [proposer] = proposers(study, storage)
        ladder = Ladder(len(rungs(cell, study)), cell.mode, study.ladder)
        for _ in range(trials):
            start, start_cpu = time.perf_counter(), time.process_time()
            trial = proposer.propose()
            wall.append(1e3 * (time.perf_counter() - start))
            cpu.append(1e3 * (time.process_time() - start_cpu))
            assert trial is not None
            record = run(trial, study, cell, ladder)
            start = time.perf_counter()
            proposer.end(record)
            end.append(1e3 * (time.perf_counter() - start))
    return wall, cpu, end


def run(trial: Trial, study: Study, cell: Cell, ladder: Ladder) -> Record:
    """Trains a trial as the engine does, judged at the rungs, without Ray."""
    config = TrialConfig(cell.optimizer.label, cell.budget, from_dict(trial.schedule), trial.base_lr, trial.seed)
    training = Training(workload(cell.workload), config, points=1)
    judged: list[tuple[int, float]] = []
    for rung, step in enumerate(rungs(cell, study) if trial.phase == "explore" else (), start=1):
        training.advance(step)
        if training.diverged:
            break
        judged.append((step, training.curve[-1]["ema_val_loss"]))
        if not ladder.judge(trial.trial_id, trial.family, rung, judged[-1][1]):
            return Record(trial, "stopped", training.step, judged, [], {"objective": judged[-1][1]}, 0.0, 0.0)
    training.advance(cell.budget)
    if training.diverged:
        ladder.note_diverged(trial.trial_id, trial.family)
        return Record(trial, "diverged", training.step, judged, [], {}, 0.0, 0.0)
    final = {"objective": training.curve[-1]["val_loss"]}
    return Record(trial, "completed", training.step, judged, [], final, 0.0, 0.0)
