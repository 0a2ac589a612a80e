"""A study on a thousand slots without Ray: everything the driver does for a trial but Tune's own part.

Durations are drawn, losses made up; proposals, early stopping, journal, Optuna's history and slots are the real ones.
"""

from __future__ import annotations

import gc
import heapq
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.overhead.scale import study_of
from phitune.search.cluster.slots import Slots
from phitune.search.proposing.cell import proposers
from phitune.search.records.journal import Journal
from phitune.search.stopping.ladder import Ladder, rungs
from phitune.search.study.model import parse_study
from phitune.search.tune.searcher import Live, Proposer
from phitune.trainables.training.checkpoint import CheckpointFolder

# Trials' mean duration in seconds, of simulated time; only their spread matters.
_MEAN, _SPREAD = 100.0, 0.5
_NODE = {"CPU": 8.0}


def simulate(trials: int, cells: int, slots: int, windows: int = 5) -> list[dict[str, float]]:
    """The driver's cost along a study; a row for each of so many stretches of trials.

    Raises:
        ValueError: The cells are not a multiple of ten.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        return _Simulation(Path(name), trials, cells, slots).run(windows)


class _Simulation:
    def __init__(self, folder: Path, trials: int, cells: int, slots: int) -> None:
        self._trials = trials
        study = parse_study(study_of(trials, cells))
        storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
        cells_of_study = proposers(study, storage)
        self._journal = Journal(folder / "trials.jsonl")
        self._proposer = Proposer(cells_of_study, study, self._journal.append, CheckpointFolder(folder / "checkpoints"))
        nodes = [_NODE] * math.ceil(slots / _NODE["CPU"])
        self._slots = self._proposer.slots = Slots([study.resources], lambda: nodes, lambda: 0)
        self._ladders = {
            proposer.cell.key: Ladder(len(rungs(proposer.cell, study)), "min", study.ladder)
            for proposer in cells_of_study
        }
        self._rungs = {proposer.cell.key: rungs(proposer.cell, study) for proposer in cells_of_study}
        self._random = np.random.default_rng(0)
        self._events: list[tuple[float, str, int]] = []
        self._ended = 0

    def run(self, windows: int) -> list[dict[str, float]]:
        rows = []
        now, number = 0.0, 0
        process = psutil.Process()
        began, cpu, wall = 0, time.process_time(), time.perf_counter()
        while True:
            self._slots.look()
            while isinstance(config := self._proposer.suggest(f"t{number}"), dict):
                self._plan(f"t{number}", config, now)
                number += 1
            if not self._events:
                break
            now, trial_id, rung = heapq.heappop(self._events)
            self._report(trial_id, rung)
            if self._ended - began >= self._trials / windows or self._ended == self._trials:
                spent, passed = time.process_time() - cpu, time.perf_counter() - wall
                gc.collect()
                rows.append(
                    {
                        "trials": self._ended,
                        "driver_cpu_ms": round(1e3 * spent / (self._ended - began), 2),
                        "driver_wall_ms": round(1e3 * passed / (self._ended - began), 2),
                        "in_flight": len(self._proposer.live),
                        "mib": round(process.memory_info().rss / 2**20, 1),
                    }
                )
                print(rows[-1], flush=True)
                if self._ended == self._trials:
                    break
                began, cpu, wall = self._ended, time.process_time(), time.perf_counter()
        return rows

    def _plan(self, trial_id: str, config: dict[str, Any], now: float) -> None:
        """The times at which a trial reports: at its rungs, numbered from 1, and at its end, 0."""
        length = float(self._random.lognormal(math.log(_MEAN), _SPREAD))
        steps = self._rungs[config["cell"]]
        budget = self._proposer.live[trial_id].cell.budget
        for rung, step in enumerate(steps, start=1):
            heapq.heappush(self._events, (now + length * step / budget, trial_id, rung))
        heapq.heappush(self._events, (now + length, trial_id, 0))

    def _report(self, trial_id: str, rung: int) -> None:
        live = self._proposer.live.get(trial_id)
        if live is None:
            return
        loss = self._loss(live)
        result = {"account": json.dumps(self._account(live, rung, loss))}
        self._proposer.on_trial_result(trial_id, result)
        trial = live.trial
        if not rung or not self._ladders[trial.cell].judge(trial.trial_id, trial.family, rung, loss):
            self._proposer.on_trial_complete(trial_id, result)
            self._ended += 1

    def _loss(self, live: Live) -> float:
        """Least at a mean LR of 0.1; its noise is a hundredth."""
        return 1.0 + 0.1 * math.log(live.trial.mean_lr / 0.1) ** 2 + 0.01 * float(self._random.standard_normal())

    def _account(self, live: Live, rung: int, loss: float) -> dict[str, Any]:
        steps = [*self._rungs[live.cell.key], live.cell.budget]
        seen = steps[: rung or len(steps)]
        keys = ("lr", "train_loss", "val_loss", "val_metric", "ema_val_loss", "ema_val_metric")
        return {
            "status": "running" if rung else "completed",
            "steps": seen[-1],
            "rungs": [(step, loss) for step in seen[: rung or -1]],
            "curve": [{"step": step, **dict.fromkeys(keys, loss)} for step in seen],
            "final": {"objective": loss, "val_loss": loss, "val_metric": loss},
        }
