"""The runs of cells and finalists, and the views of them, in a real database."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import mean, stdev

import pandas as pd
import pytest
from mlflow.entities import Run

from phitune.analysis.results.mlflow_runs import client as through_client
from phitune.analysis.results.mlflow_runs import sqlite as through_sql
from phitune.analysis.results.study_ref import StudyRef
from phitune.search.records.journal import Journal
from phitune.search.tracking import facts_of
from phitune.search.tracking.layout.views import CELLS, FINALISTS, TRIALS, cell_view
from phitune.search.tracking.store import Store
from phitune.search.tracking.writer import Writer
from phitune.trainables.uri import database_uri
from tests.search.tracking.made import STUDY, client, made, runs

EXPLORED = [0.5, 0.7, 0.4, 0.4, 0.1, 0.3]
REPLICATED = [0.25, 0.15, 0.2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study: six explore trials in each of two cells, three replicates of a finalist in the first."""
    folder = tmp_path_factory.mktemp("finished")
    journal = Journal(folder / "trials.jsonl")
    first, second = STUDY.cells
    for number, objective in enumerate(EXPLORED):
        journal.append(made(number, first, "stopped" if number == 4 else "completed", objective))
        journal.append(made(number, second, "failed"))
    finalist = f"{first.slug}/finalist-0006-uba"
    for number, objective in enumerate(REPLICATED):
        journal.append(made(number, first, objective=objective, finalist=finalist))
    again(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, finished: Path) -> Path:
    """A copy of the finished study."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def again(folder: Path) -> None:
    """Opens the study and closes it, as the line that searched it does when it is said again."""
    uri = database_uri(folder / "mlflow.db")
    store = Store(uri, facts_of(STUDY, "0", str(folder)), folder / "artifacts")
    writer = Writer(store, uri, folder / "trials.jsonl", lambda _: None)
    writer.hear({"close": "FINISHED"})
    writer.run()


def cells(folder: Path) -> dict[str, Run]:
    return {run.data.tags["phitune.cell"]: run for run in runs(folder, "cell")}


def history(folder: Path, run: Run, metric: str) -> list[tuple[int, float]]:
    points = client(folder).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def check(folder: Path) -> None:
    """What must hold however often the study was opened."""
    (study,) = runs(folder, "study")
    first, second = (cells(folder)[cell.key] for cell in STUDY.cells)
    (finalist,) = runs(folder, "finalist")
    assert len(runs(folder, "cell")) == 2 and len(runs(folder)) == 15
    parents = {run.info.run_name: run.data.tags["mlflow.parentRunId"] for run in (first, second, finalist)}
    assert parents == {
        "T=100": study.info.run_id,
        "T=200": study.info.run_id,
        "uba φ=2.1 lr=0.14 finalist · T=100": first.info.run_id,
    }
    for trial in runs(folder):
        assert trial.data.tags["mlflow.parentRunId"] == cells(folder)[trial.data.tags["phitune.cell"]].info.run_id
        assert trial.data.tags["phitune.study_run"] == study.info.run_id
    # Of trials stopped early, one with a lower loss among them, none is the best.
    assert history(folder, first, "best/objective") == [(1, 0.5), (3, 0.4), (6, 0.3)]
    assert first.data.tags["best so far"] == "uba φ=2.1 lr=0.14"
    assert first.data.tags["trials"] == "8 completed, 1 stopped"
    assert second.data.tags["trials"] == "6 failed" and "best/objective" not in second.data.metrics
    assert first.data.params == {"workload": "quadratic", "optimizer": "sgd", "budget": "100"}
    spread = [finalist.data.metrics[f"final/objective_{name}"] for name in ("mean", "std", "n")]
    assert spread == pytest.approx([mean(REPLICATED), stdev(REPLICATED), 3])
    assert [step for step, _ in history(folder, finalist, "final/objective_n")] == [1, 2, 3]
    assert {run.info.status for run in (study, first, second, finalist)} == {"FINISHED"}


def test_a_cell_has_what_its_trials_came_to_and_is_there_once(folder: Path) -> None:
    check(folder)
    again(folder)
    check(folder)


@pytest.mark.parametrize("for_good", [False, True])
def test_deleted_runs_of_cells_are_there_again(folder: Path, for_good: bool) -> None:
    first = cells(folder)[STUDY.cells[0].key].info.run_id
    client(folder).delete_run(first)
    if for_good:
        client(folder)._tracking_client.store._hard_delete_run(first)
    client(folder).delete_run(runs(folder, "finalist")[0].info.run_id)
    again(folder)
    check(folder)
    assert (cells(folder)[STUDY.cells[0].key].info.run_id == first) != for_good


def test_a_study_of_the_earlier_layout_is_read_and_moved(folder: Path) -> None:
    (study,) = runs(folder, "study")
    ref = StudyRef("made", database_uri(folder / "mlflow.db"))

    def tables() -> list[pd.DataFrame]:
        run_ids = through_sql.ended_runs(ref, study.info.run_id)
        return [
            through_client.ended_trials(ref, study.info.run_id),
            through_sql.trials(ref, study.info.run_id, run_ids),
        ]

    now = tables()
    assert len(now[0]) == 15
    # Then, trials were children of the study's run, and there were no others.
    for group in [*runs(folder, "cell"), *runs(folder, "finalist")]:
        client(folder).delete_run(group.info.run_id)
        client(folder)._tracking_client.store._hard_delete_run(group.info.run_id)
    for trial in runs(folder):
        client(folder).set_tag(trial.info.run_id, "mlflow.parentRunId", study.info.run_id)
        client(folder).delete_tag(trial.info.run_id, "phitune.study_run")
    for table in tables():
        pd.testing.assert_frame_equal(table, now[0])
    again(folder)
    check(folder)
    for table in tables():
        pd.testing.assert_frame_equal(table, now[0])


def test_views_list_what_they_name(folder: Path) -> None:
    experiment = client(folder).get_experiment_by_name("made")
    states = {
        key.removeprefix("mlflow.sharedViewState."): json.loads(value)
        for key, value in experiment.tags.items()
        if key.startswith("mlflow.sharedViewState.")
    }
    # Only those with a name are in the menu.
    assert {key: state["name"] for key, state in states.items() if "name" in state} == {
        CELLS: "Cells",
        FINALISTS: "Finalists",
        TRIALS: "All trials",
    }
    of_cells = {cell_view(cell.key): 9 - 3 * number for number, cell in enumerate(STUDY.cells)}
    for view, expected in {CELLS: 2, FINALISTS: 1, TRIALS: 15, **of_cells}.items():
        state = json.loads(states[view]["state"]) if "state" in states[view] else states[view]
        order = [f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"] if "orderByKey" in state else None
        listed = client(folder).search_runs([experiment.experiment_id], state["searchFilter"], order_by=order)
        assert len(listed) == expected
        if view == CELLS:
            assert [run.info.run_name for run in listed] == ["T=100", "T=200"]


def test_runs_that_were_created_and_no_more_get_their_parameters(tmp_path: Path) -> None:
    uri = database_uri(tmp_path / "mlflow.db")
    study = Store(uri, facts_of(STUDY, "0", str(tmp_path)), tmp_path / "artifacts").parent_run_id
    key = STUDY.cells[0].key
    # As a writer leaves it that is killed between the two.
    tags = {"phitune.kind": "cell", "phitune.cell": key, "phitune.study_run": study, "mlflow.parentRunId": study}
    experiment = client(tmp_path).get_experiment_by_name("made").experiment_id
    bare = client(tmp_path).create_run(experiment, tags=tags)
    ref = StudyRef("made", uri)
    assert not through_client.cell_runs(ref, study)
    again(tmp_path)
    assert cells(tmp_path)[key].info.run_id == bare.info.run_id
    assert set(through_client.cell_runs(ref, study)) == {("quadratic", "sgd", 100), ("quadratic", "sgd", 200)}
