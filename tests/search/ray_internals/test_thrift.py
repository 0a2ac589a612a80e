"""What a trial costs on Tune's part: one search on a real Ray, in which every process but the first starts late."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from phitune.search.cluster.connect import quiet
from phitune.search.cluster.slots import Slots, bundle
from phitune.search.proposing.cell import proposers
from phitune.search.ray_internals.thrift import silence
from phitune.search.records.record import Record
from phitune.search.study.model import parse_study
from phitune.search.tune.scheduler import Scheduler
from phitune.search.tune.searcher import Proposer
from phitune.trainables.training.checkpoint import CheckpointFolder
from phitune.trainables.trial.actor import TrialActor
from tests.conftest import environment, surroundings

SLOTS = 3
TRIALS = 110
# Seconds: how much longer a process takes to start than the first one, a trial, and the last explore trial.
LATE, SHORT, LONG = 1.0, 0.08, 2.0


@dataclass
class Seen:
    """What was seen of the search.

    Attributes:
        started: Processes that began to start.
        trained: Process and trial, in order.
        kept: Processes that had trained and were there near the end of the long trial, while nothing else ran.
        listed: Most trials on Tune's list.
        remembered: Of Tune's trials those still in memory at the end.
        ended: Trials that were handed on.
    """

    started: list[str]
    trained: list[tuple[str, str]]
    kept: int
    listed: int
    remembered: int
    ended: list[str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with surroundings(environment(TUNE_MAX_PENDING_TRIALS_PG=str(SLOTS))):
        quiet(False)
        # A trial in this process, as another test has it, starts a Ray of its own.
        ray.shutdown()
        ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            yield search(tmp_path_factory.mktemp("thrift"))
        finally:
            ray.shutdown()


class Listed(tune.Callback):
    """Notes how long Tune's list of trials ever was."""

    most = 0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.most = max(self.most, len(trials))


def search(folder: Path) -> Seen:
    keys = {"budgets": [16], "families": ["uba", "rex"], "early_stopping": "none", "trials": TRIALS}
    study = parse_study({"name": "s", "workloads": ["quadratic"], **keys})
    cells = proposers(study, optuna.storages.InMemoryStorage())
    ended: list[Record] = []
    proposer = Proposer(cells, study, ended.append, CheckpointFolder(folder))
    slots = proposer.slots = Slots([study.resources])
    scheduler = Scheduler({}, lambda verdict: None, proposer.note_failure, slots.warm)
    listed = Listed()
    tune.Tuner(
        tune.with_resources(noting(folder), tune.PlacementGroupFactory([bundle(study.resources)])),
        tune_config=tune.TuneConfig(search_alg=proposer, scheduler=scheduler, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            callbacks=[listed, *silence()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()
    assert cells[0].finished, {record.reason for record in ended}
    gc.collect()
    remembered = sum(isinstance(thing, TuneTrial) for thing in gc.get_objects())
    trained = [(process, trial) for process, trial in map(str.split, noted(folder / "trained"))]
    kept = int(noted(folder / "kept")[0])
    return Seen(
        noted(folder / "started"), trained, kept, listed.most, remembered, [record.trial.trial_id for record in ended]
    )


def noting(folder: Path) -> type[TrialActor]:
    """A trial's process that notes in the folder what it does; made here, so that Ray sends it whole."""

    class Noting(TrialActor):
        def setup(self, config: dict[str, Any]) -> None:
            first = not (folder / "started").exists()
            note(folder / "started", str(os.getpid()))
            time.sleep(0 if first else LATE)
            super().setup(config)

        def step(self) -> dict[str, Any]:
            trial_id = self.config["trial_id"]
            last = trial_id.endswith(f"explore-{TRIALS - 1:04d}")
            note(folder / "trained", f"{os.getpid()} {trial_id}")
            time.sleep(LONG if last else SHORT)
            if last:
                processes = {int(line.split()[0]) for line in noted(folder / "trained")}
                note(folder / "kept", str(sum(map(psutil.pid_exists, processes))))
            return super().step()

    return Noting


def note(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def noted(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_processes_that_start_late_are_waited_for_while_others_train(seen: Seen) -> None:
    explored = {process for process, trial in seen.trained[: TRIALS - SLOTS]}
    assert explored == set(seen.started[:SLOTS])


def test_processes_are_kept_while_there_is_nothing_for_them_to_do(seen: Seen) -> None:
    assert seen.kept == SLOTS
    assert len(seen.started) == SLOTS


def test_tunes_list_of_trials_stays_short_and_no_trial_is_lost(seen: Seen) -> None:
    assert seen.listed < TRIALS
    assert seen.remembered < TRIALS
    assert sorted(seen.ended) == sorted(trial for _, trial in seen.trained)
    assert len(seen.ended) > TRIALS
