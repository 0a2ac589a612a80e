"""The writer to MLflow without a search around it: a real database, made-up trials."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from phitune.search.tracking import facts_of
from tests.search.tracking.made import STUDY, made, opened, runs


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def writer() -> psutil.Process:
    (process,) = [p for p in psutil.Process().children() if "phitune.search.tracking.writer" in " ".join(p.cmdline())]
    return process


def test_a_writer_that_dies_is_replaced_and_writes_nothing_twice(tmp_path: Path) -> None:
    cell = STUDY.cells[0]
    journal = Journal(tmp_path / "trials.jsonl")
    tracker = opened(tmp_path)
    statuses = ["completed", "stopped", "diverged", "failed"]
    for number in range(40):
        record = made(number, cell, statuses[number % 4])
        tracker.started(record.trial, record.started)
        journal.append(record)
        tracker.ended(record.trial.trial_id)
    wait_for(lambda: tracker.waiting < 40)
    writer().kill()
    assert tracker.close("FINISHED", 60.0) == 0
    written = runs(tmp_path)
    assert Counter(run.data.tags["phitune.trial_id"] for run in written) == Counter(
        record.trial.trial_id for record in journal.records
    )
    assert Counter(run.info.status for run in written) == {"FINISHED": 10, "KILLED": 10, "FAILED": 20}
    for run in written:
        assert run.data.metrics["val_loss"] == 0.01
        assert run.data.params["phi"] == "2.125"
        assert run.info.run_name == "uba φ=2.1 lr=0.14 seed 0 · T=100"


def test_a_long_trial_runs_in_mlflow_too_and_is_killed_with_the_study(tmp_path: Path) -> None:
    ended, broken_off = (made(number, STUDY.cells[1]) for number in (0, 1))
    journal = Journal(tmp_path / "trials.jsonl")
    tracker = opened(tmp_path)
    for record in (ended, broken_off):
        tracker.started(record.trial, time.time() - 60)
    wait_for(lambda: [run.info.status for run in runs(tmp_path)] == ["RUNNING", "RUNNING"])
    journal.append(replace(ended, steps=200))
    tracker.ended(ended.trial.trial_id)
    assert tracker.close("KILLED", 60.0) == 0
    statuses = {run.data.tags["phitune.trial_id"]: run.info.status for run in runs(tmp_path)}
    assert statuses == {ended.trial.trial_id: "FINISHED", broken_off.trial.trial_id: "KILLED"}

    # The study goes on: the trial that was broken off starts again, and ends in the run that it has.
    tracker = opened(tmp_path)
    journal.append(broken_off)
    tracker.ended(ended.trial.trial_id, broken_off.trial.trial_id)
    process = writer()
    assert tracker.close("FINISHED", 60.0) == 0
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED", "FINISHED"]
    assert not process.is_running()


@pytest.mark.parametrize("how", ["alone", "with its trials", "while it is open", "for good"])
def test_a_deleted_parent_run_does_not_double_the_trials(tmp_path: Path, how: str) -> None:
    journal = Journal(tmp_path / "trials.jsonl")
    for number in range(3):
        journal.append(made(number, STUDY.cells[0]))
    tracker = opened(tmp_path)
    assert tracker.close("KILLED", 60.0) == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    (parent,) = {run.data.tags["phitune.study_run"] for run in runs(tmp_path)}
    before = {run.data.tags["phitune.trial_id"]: run.info.run_id for run in runs(tmp_path)}
    if how != "while it is open":
        client.delete_run(parent)
    for run_id in before.values() if how == "with its trials" else ():
        client.delete_run(run_id)
    if how == "for good":
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        collect = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
        subprocess.run(collect, check=True)

    tracker = opened(tmp_path, parent)
    if how == "while it is open":
        client.delete_run(parent)
    journal.append(made(3, STUDY.cells[0]))
    assert tracker.close("FINISHED", 60.0) == 0
    after = {run.data.tags["phitune.trial_id"]: run.info.run_id for run in runs(tmp_path)}
    assert before.items() <= after.items()
    assert Counter(run.data.tags["phitune.trial_id"] for run in runs(tmp_path)) == dict.fromkeys(after, 1)
    (now,) = {run.data.tags["phitune.study_run"] for run in [*runs(tmp_path), *runs(tmp_path, "cell")]}
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(tmp_path, "cell")} == {now}
    assert len(runs(tmp_path, "cell")) == 2
    assert (now == parent) == (how != "for good")
    info = client.get_run(now).info
    assert (info.status, info.lifecycle_stage) == ("FINISHED", "active")


def test_a_path_with_letters_that_mean_something_in_uris_is_written_to_like_any_other(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c?d#e"
    folder.mkdir()
    record = made(0, STUDY.cells[0])
    journal = Journal(folder / "trials.jsonl")
    tracker = opened(folder)
    journal.append(record)
    tracker.ended(record.trial.trial_id)
    assert tracker.close("FINISHED", 60.0) == 0
    assert [run.data.tags["phitune.trial_id"] for run in runs(folder)] == [record.trial.trial_id]
    assert list(tmp_path.iterdir()) == [folder]
    assert {file.name for file in folder.iterdir()} >= {"mlflow.db", "artifacts"}


def test_the_writer_does_not_outlive_the_search(tmp_path: Path) -> None:
    tracker = opened(tmp_path)
    process = writer()
    assert tracker._process.stdin is not None
    tracker._process.stdin.close()
    process.wait(timeout=30)
    tracker.abandon()


def test_the_study_s_description_quotes_its_directory_for_the_shell() -> None:
    assert "- Answers: `phitune analyze 'my runs/x'`;" in facts_of(STUDY, "0", "my runs/x").note
