"""Whether a finished study is whole: its journal, Optuna's history, MLflow's runs, the results table, each trial."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from phitune.analysis.results import find_study, load
from phitune.search.records.journal import Journal
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import rungs
from phitune.search.study.cell import Cell
from phitune.search.study.file import read_study
from phitune.search.study.model import Study
from phitune.trainables.schedules import from_dict
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.training.function import FunctionTraining
from phitune.trainables.training.function.link import Plan
from phitune.trainables.training.requests import serve
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.function import function
from tests.conftest import PATIENCE
from tests.trainables.training.function.local_node import local_nodes

_STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def check_whole(folder: Path, name: str = "s", retrain_every: int = 1, within: float = 0.0) -> list[Record]:
    """Asserts that the finished study in ``folder`` is as if nothing had disturbed it.

    Args:
        retrain_every: Each cell's first trial, and every so many after it, is trained again here and must agree.
        within: Relative tolerance of its numbers; by default they agree to the last bit.

    Returns:
        The journal.
    """
    study = read_study(folder / "study.yaml")
    out = folder / "runs" / name
    records = Journal(out / "trials.jsonl").records
    by_id = {record.trial.trial_id: record for record in records}
    lines = (out / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    curves = {line["trial"]["trial_id"]: line["curve"] for line in map(json.loads, lines)}
    assert len(by_id) == len(records), "a trial was run twice"
    assert "failed" not in {record.status for record in records}
    for cell in study.cells:
        of_cell = [record for record in records if record.trial.cell == cell.key]
        explored = sorted(record.trial.number for record in of_cell if record.trial.phase == "explore")
        assert explored == list(range(study.most)), cell.key
        _check_optuna(out, cell, by_id)
        for record in of_cell[::retrain_every]:
            _check_outcome(study, cell, record, curves[record.trial.trial_id], within)
    _check_mlflow(folder, name, by_id)
    table = load(find_study(str(out)))
    assert dict(zip(table["trial_id"], table["status"], strict=True)) == {k: r.status for k, r in by_id.items()}
    assert not list(out.glob("checkpoints/*"))
    return records


def _check_optuna(out: Path, cell: Cell, by_id: dict[str, Record]) -> None:
    storage = JournalStorage(JournalFileBackend(str(out / "optuna.log")))
    trials = optuna.load_study(study_name=cell.key, storage=storage).trials
    history = [(trial.number, trial.state, trial.value) for trial in trials]
    records = [by_id[f"{cell.slug}/explore-{number:04d}"] for number in range(len(trials))]
    for (number, state, value), record in zip(history, records, strict=True):
        assert (number, state) == (record.trial.number, _STATES[record.status])
        assert record.status != "completed" or value == record.final["objective"]


def _check_mlflow(folder: Path, name: str, by_id: dict[str, Record]) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/runs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id], max_results=50_000)
    check_runs(runs, by_id.values())
    for run in runs:
        record = by_id.get(run.data.tags.get("phitune.trial_id", ""))
        if record is not None:
            assert run.data.tags["phitune.status"] == record.status
            assert run.data.metrics["final/steps"] == record.steps
            assert json.loads(run.data.params["schedule"]) == record.trial.schedule


def check_runs(runs: Iterable[Run], records: Iterable[Record]) -> None:
    """Asserts that the study, each cell, finalist and trial have one run, and that none is running."""
    expected = Counter({("study", None): 1})
    for record in records:
        trial = record.trial
        expected["trial", trial.trial_id] += 1
        expected["cell", trial.cell] = 1
        if trial.finalist and record.status == "completed":
            expected["finalist", trial.finalist] = 1
    names = {"cell": "phitune.cell", "finalist": "phitune.finalist", "trial": "phitune.trial_id", "study": ""}
    tags = [run.data.tags for run in runs]
    assert Counter((each["phitune.kind"], each.get(names[each["phitune.kind"]])) for each in tags) == expected
    assert "RUNNING" not in {run.info.status for run in runs}


def _check_outcome(study: Study, cell: Cell, record: Record, curve: Any, within: float) -> None:
    trial = record.trial
    judged = rungs(cell, study) if trial.phase == "explore" else ()
    training = _training(cell, trial, judged)
    for until in [*(rung for rung in judged if rung < record.steps), record.steps]:
        serve(training.requests(until), lambda request: training.answer(request))  # type: ignore[union-attr]
    if isinstance(training, FunctionTraining):
        assert training.close(PATIENCE)
    assert [point.keys() for point in training.curve] == [point.keys() for point in curve], trial.trial_id
    for expected, point in zip(training.curve, curve, strict=True):
        assert point == pytest.approx(expected, rel=within, abs=0.0), trial.trial_id


def _training(cell: Cell, trial: Trial, judged: tuple[int, ...]) -> Training | FunctionTraining:
    """The trial as it begins."""
    schedule = from_dict(trial.schedule)
    if not cell.is_function:
        config = TrialConfig(cell.optimizer.label, cell.budget, schedule, trial.base_lr, trial.seed)
        return Training(workload(cell.workload), config)
    plan = Plan(
        budget=cell.budget,
        seed=trial.seed,
        device="cpu",
        schedule=schedule,
        base_lr=trial.base_lr,
        objective=cell.objective,
        rungs=judged,
        directory=Path(tempfile.mkdtemp()),
    )
    return FunctionTraining(function(cell.workload), plan, local_nodes(cell.resources.nodes))
