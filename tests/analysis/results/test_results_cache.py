"""Reading MLflow as SQL and through its client, with a cache and without: all give the same table."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from phitune.analysis.results import StudyRef, load, tidy
from phitune.analysis.results.cache import CACHE_FILE
from phitune.analysis.results.load import CLOCKS_DIFFER_MS, from_server
from phitune.analysis.results.mlflow_runs import client as mlflow_client
from phitune.analysis.results.mlflow_runs import sqlite as mlflow_sqlite
from phitune.trainables.uri import database_file
from tests.analysis.synthetic_study import Recipe, add_trials


@pytest.fixture
def copied(study: StudyRef, tmp_path: Path) -> StudyRef:
    """A copy of the study, with its database and directory, that a test may change."""
    database = tmp_path / "mlflow.db"
    shutil.copy(study.tracking_uri.removeprefix("sqlite:///"), database)
    (tmp_path / "out").mkdir()
    return StudyRef(study.name, f"sqlite:///{database}", tmp_path / "out")


def test_sql_and_mlflows_client_give_the_same_table(study: StudyRef) -> None:
    client = MlflowClient(tracking_uri=study.tracking_uri)
    parent = mlflow_client.parent_run_id(study)
    reference = mlflow_client.ended_trials(study, parent)
    odd = str(reference["run_id"].iloc[0])
    before = client.get_run(odd).data.metrics["final/val_loss"]
    client.log_metric(odd, "final/val_loss", float("nan"), step=10**6)
    for step, value in ((10, 3.0), (20, 5.0)):
        client.log_metric(odd, "hessian_max", value, step=step)
    reference = mlflow_client.ended_trials(study, parent)
    runs = mlflow_sqlite.ended_runs(study, parent)
    pd.testing.assert_frame_equal(mlflow_sqlite.trials(study, parent, runs), reference)
    assert reference["hessian_max"].dropna().tolist() == [5.0]
    assert reference["val_loss"].isna().sum() == 1 and reference["started"].gt(1e9).all()
    client.log_metric(odd, "final/val_loss", before, step=2 * 10**6)


def test_cached_rows_are_not_read_again(copied: StudyRef) -> None:
    first = load(copied)
    client = MlflowClient(tracking_uri=copied.tracking_uri)
    client.set_tag(str(first["run_id"].iloc[0]), "phitune.origin", "changed behind the cache's back")
    add_trials(copied.tracking_uri, copied.name, Recipe(10, 1.0, 240, uba=2, others=1, replicates=0))
    second = load(copied)
    assert len(second) > len(first) and set(second["budget"]) - set(first["budget"]) == {240}
    old = second[second["run_id"].isin(first["run_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(old[first.columns], first)
    uncached = load(replace(copied, out_dir=None))
    assert "changed behind the cache's back" in set(uncached["origin"].dropna())


def test_a_deleted_run_is_gone_from_a_cached_table_too(copied: StudyRef) -> None:
    first = load(copied)
    MlflowClient(tracking_uri=copied.tracking_uri).delete_run(str(first["run_id"].iloc[3]))
    assert set(first["run_id"]) - set(load(copied)["run_id"]) == {first["run_id"].iloc[3]}


def test_an_interrupted_run_counts_once_it_is_complete(copied: StudyRef) -> None:
    """A killed writer leaves a run with a status and without its metrics; MLflow may end it as KILLED."""
    before = load(copied)
    client = MlflowClient(tracking_uri=copied.tracking_uri)
    tags = client.get_run(str(before["run_id"].iloc[0])).data.tags
    shared = {key: text for key, text in tags.items() if key.startswith(("phitune.", "mlflow.parent"))}
    experiment = client.get_experiment_by_name(copied.name).experiment_id
    run = client.create_run(experiment, tags=shared | {"phitune.trial_id": "broken"}).info.run_id
    client.set_terminated(run, "KILLED")
    assert len(load(copied)) == len(before)
    client.log_metric(run, "final/seconds", 1.0)
    assert len(load(copied)) == len(before) + 1


@pytest.mark.parametrize("spoil", ["damage", "other study", "other store", "not a table"])
def test_a_cache_that_is_not_this_studys_is_ignored(copied: StudyRef, tmp_path: Path, spoil: str) -> None:
    table = load(copied)
    assert copied.out_dir is not None
    cache = copied.out_dir / CACHE_FILE
    good = cache.read_bytes()
    ref = copied
    if spoil == "damage":
        cache.write_bytes(good[: len(good) // 2])
    elif spoil == "not a table":
        pd.DataFrame({"a": [1]}).to_parquet(cache)
    elif spoil == "other study":
        add_trials(copied.tracking_uri, "another", Recipe(10, 1.0, 60, uba=2, others=1, replicates=0))
        ref = replace(copied, name="another")
        table = load(replace(ref, out_dir=None))
    else:
        shutil.copy(tmp_path / "mlflow.db", tmp_path / "moved.db")
        ref = replace(copied, tracking_uri=f"sqlite:///{tmp_path / 'moved.db'}")
    pd.testing.assert_frame_equal(load(ref), table)
    assert cache.read_bytes() != good[: len(good) // 2]
    assert [p.name for p in copied.out_dir.iterdir()] == [CACHE_FILE]


def test_from_a_server_only_runs_that_ended_after_the_study_are_read_again(copied: StudyRef) -> None:
    """As from a server: through MLflow's client with a filter on the end time."""
    parent = mlflow_client.parent_run_id(copied)
    everything = mlflow_client.ended_trials(copied, parent)
    experiment = MlflowClient(tracking_uri=copied.tracking_uri).get_run(parent).info.experiment_id
    runs = MlflowClient(tracking_uri=copied.tracking_uri).search_runs([experiment])
    last = max(run.info.end_time for run in runs if run.info.end_time)
    marked = everything.assign(origin="read before")
    later = last + 1 + CLOCKS_DIFFER_MS
    pd.testing.assert_frame_equal(from_server(copied, parent, marked, later), tidy(marked))
    pd.testing.assert_frame_equal(from_server(copied, parent, marked, last), everything)
    pd.testing.assert_frame_equal(from_server(copied, parent, marked, None), everything)
    add_trials(copied.tracking_uri, copied.name, Recipe(10, 1.0, 240, uba=2, others=1, replicates=0))
    grown = from_server(copied, parent, marked, int(marked["started"].max() * 1000))
    assert set(grown["budget"]) - set(everything["budget"]) == {240}


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param("DROP INDEX index_latest_metrics_run_uuid", id="an index is gone"),
        pytest.param("ALTER TABLE tags RENAME TO kept; CREATE VIEW tags AS SELECT * FROM kept", id="tags are a view"),
    ],
)
def test_a_database_of_another_schema_is_read_by_mlflow_itself(copied: StudyRef, altered: str) -> None:
    """Both are changes that MLflow's client reads past and the SQL does not."""
    expected = load(copied)
    with closing(sqlite3.connect(str(database_file(copied.tracking_uri)))) as connection:
        connection.executescript(altered)
    parent = mlflow_client.parent_run_id(copied)
    with pytest.raises(sqlite3.Error):
        mlflow_sqlite.trials(copied, parent, mlflow_sqlite.ended_runs(copied, parent))
    pd.testing.assert_frame_equal(load(replace(copied, out_dir=None)), expected)
    pd.testing.assert_frame_equal(load(copied), expected)
    assert copied.out_dir is not None
    (copied.out_dir / CACHE_FILE).unlink()
    pd.testing.assert_frame_equal(load(copied), expected)
