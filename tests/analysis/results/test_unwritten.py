"""Trials that MLflow lacks are read from the study's journal, as MLflow would have them, or counted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from phitune.analysis.results import StudyRef, find_study, gather, load
from phitune.search.records.directory import describe
from phitune.search.records.journal import Journal
from phitune.search.records.record import Phase, Record, Status, Trial
from phitune.search.study.model import Study
from phitune.search.tracking import Tracker, facts_of
from phitune.trainables.errors import InputError

STUDY = Study(name="made", workloads=["mlp/digits"], budgets=[100, 200], families=["uba", "step"])
STATUSES: tuple[Status, ...] = ("completed", "stopped", "diverged", "failed")


def made(number: int) -> Record:
    """An ended trial, of one of the two cells; every fifth one is a replicate."""
    cell = STUDY.cells[number % 2]
    phase: Phase = "replicate" if number % 5 == 4 else "explore"
    family = ("uba", "step")[number // 2 % 2]
    trial = Trial(
        trial_id=f"{cell.slug}/{phase}-{number:04d}",
        cell=cell.key,
        phase=phase,
        number=number,
        family=family,
        schedule={"family": "uba", "phi": 1 / 3} if family == "uba" else {"family": "step", "factor": 0.1},
        base_lr=0.1 + number / 7,
        mean_lr=0.05 + number / 7,
        seed=number,
        finalist=f"{cell.slug}/finalist-0010-{family}" if phase == "replicate" else None,
        origin="" if phase == "replicate" else "surrogate",
    )
    status: Status = "completed" if phase == "replicate" else STATUSES[number % 4]
    loss = math.inf if status == "diverged" else math.nan if number == 6 else 0.1 + number
    final = {"objective": loss, "val_loss": loss, "val_metric": 0.5} | ({"test_loss": 0.3} if trial.finalist else {})
    diagnosed = [{"step": 50.0, "hessian_max": 3.0 + number}, {"step": 10.0, "hessian_max": 9.0}]
    rungs = [(25, 0.4 + number), (50, 0.3 + number)][: number % 3]
    curve = [{"step": 100.0, "lr": 0.1}]
    return Record(trial, status, 100, rungs, curve, final, time.time() - number, 1 / 3, diagnosed, "why")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a study of twenty trials, all in MLflow."""
    out = tmp_path_factory.mktemp("whole") / "made"
    journal = Journal(out / "trials.jsonl")
    out.mkdir()
    uri = f"sqlite:///{out.parent}/mlflow.db"
    facts = facts_of(STUDY, "0", str(out))
    tracker = Tracker()
    opened = tracker.open(uri, facts, out)
    describe(out, STUDY, "0", uri, {**opened, "cells": asdict(facts)["cells"]})
    for number in range(20):
        journal.append(made(number))
        tracker.ended(journal.records[-1].trial.trial_id)
    assert tracker.close("FINISHED", 60.0) == 0
    yield out


@pytest.fixture
def expected(whole: Path) -> pd.DataFrame:
    """The table of the whole study."""
    return load(find_study(str(whole)))


@pytest.fixture
def deleted(whole: Path, expected: pd.DataFrame) -> Iterator[list[str]]:
    """Trial ids whose runs MLflow lacks for the time of a test."""
    gone = expected.iloc[::2]
    ref = find_study(str(whole))
    client = MlflowClient(tracking_uri=ref.tracking_uri)
    for run_id in gone["run_id"]:
        client.delete_run(run_id)
    yield list(gone["trial_id"])
    for run_id in gone["run_id"]:
        client.restore_run(run_id)


def test_rows_of_the_journal_are_those_of_mlflow(whole: Path, expected: pd.DataFrame, deleted: list[str]) -> None:
    assert set(expected["status"]) == set(STATUSES) and len(expected) == 20
    table = load(find_study(str(whole)))
    pd.testing.assert_frame_equal(table.drop(columns="run_id"), expected.drop(columns="run_id"))
    assert set(table.loc[table["run_id"].isna(), "trial_id"]) == set(deleted)
    [note] = gather([str(whole)]).notes
    assert note.startswith(f"10 of 20 trials are not in MLflow and were read from {whole}/trials.jsonl")


def test_without_mlflow_at_hand_the_missing_are_counted(whole: Path, deleted: list[str]) -> None:
    uri = find_study(str(whole)).tracking_uri
    gathered = gather(["made"], uri)
    assert len(gathered.table) == 10
    assert gathered.notes == ("10 of the 20 trials that were searched are not in MLflow and are left out",)


def test_a_whole_study_has_nothing_to_note(whole: Path) -> None:
    assert gather([str(whole)]).notes == ()


def test_a_journal_of_another_store_is_not_read(whole: Path, deleted: list[str]) -> None:
    ref = replace(find_study(str(whole)), run_id=None)
    assert len(load(ref)) == 10


@pytest.mark.parametrize("garbage", ["garbage", "{}", '{"trial": {"trial_id": "x", "cell": "none"}}', "[]", "\0"])
def test_damaged_lines_are_named_and_left_out(
    whole: Path, expected: pd.DataFrame, deleted: list[str], garbage: str
) -> None:
    path = whole / "trials.jsonl"
    content = path.read_text(encoding="utf-8")
    lines = content.splitlines()
    try:
        path.write_text("\n".join([lines[0], "", garbage, *lines[1:], '{"trial": {"torn']), encoding="utf-8")
        gathered = gather([str(whole)])
    finally:
        path.write_text(content, encoding="utf-8")
    assert len(gathered.table) == 20
    assert gathered.notes[1] == f"{path}: 1 lines (3) cannot be read and are left out"


def test_a_study_of_which_mlflow_has_no_trial_is_read_whole(whole: Path, expected: pd.DataFrame) -> None:
    ref = find_study(str(whole))
    client = MlflowClient(tracking_uri=ref.tracking_uri)
    try:
        for run_id in expected["run_id"]:
            client.delete_run(run_id)
        table = load(ref)
        assert len(table) == 20 and table["run_id"].isna().all()
        with pytest.raises(InputError, match="no finished trial yet"):
            load(StudyRef("made", ref.tracking_uri))
    finally:
        for run_id in expected["run_id"]:
            client.restore_run(run_id)


def test_a_directory_of_an_older_version_is_counted_as_unreadable(whole: Path, deleted: list[str]) -> None:
    path = whole / "study.json"
    content = path.read_text(encoding="utf-8")
    try:
        path.write_text(json.dumps({**json.loads(content), "cells": {}}), encoding="utf-8")
        gathered = gather([str(whole)])
    finally:
        path.write_text(content, encoding="utf-8")
    assert len(gathered.table) == 10 and "10 lines" in gathered.notes[0]


def test_with_study_json_damaged_the_run_with_the_study_s_id_is_read(whole: Path, expected: pd.DataFrame) -> None:
    path, uri = whole / "study.json", find_study(str(whole)).tracking_uri
    content = path.read_text(encoding="utf-8")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("made").experiment_id
    tags = {"phitune.kind": "study", "phitune.study_id": "1"}
    other = client.create_run(experiment, tags=tags, start_time=int(1000 * time.time()) + 10**6)
    try:
        path.write_text(content[: len(content) // 2], encoding="utf-8")
        pd.testing.assert_frame_equal(load(find_study(str(whole), uri)), expected)
    finally:
        client.delete_run(other.info.run_id)
        path.write_text(content, encoding="utf-8")
