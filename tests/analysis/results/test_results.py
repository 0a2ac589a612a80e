"""The results table of a study in MLflow, and how a study is located."""

import http.server
import shutil
import sqlite3
import threading
from pathlib import Path

import pandas as pd
import pytest

from phitune.analysis import results
from phitune.analysis.results import StudyRef, find_study, study_ref
from phitune.analysis.results.load import load_with_notes
from phitune.trainables.errors import InputError
from phitune.trainables.uri import database_uri
from tests.analysis.conftest import RECIPES
from tests.analysis.synthetic_study import table


@pytest.fixture(scope="module")
def loaded(study: StudyRef) -> pd.DataFrame:
    return results.load(study)


def test_rows_are_the_trials_that_were_written(loaded: pd.DataFrame) -> None:
    written = pd.concat([table(r) for r in RECIPES]).sort_values("trial_id", ignore_index=True)
    shared = [c for c in loaded.columns if c not in ("study", "run_id", "started")]
    pd.testing.assert_frame_equal(loaded[shared], written[shared], check_dtype=False)


def test_types_are_fixed(loaded: pd.DataFrame) -> None:
    for column, kind in results.COLUMNS.items():
        assert str(loaded[column].dtype) == kind, column
    assert str(loaded["rung_1"].dtype) == "float64"


def test_only_completed_trials_have_an_objective(loaded: pd.DataFrame) -> None:
    assert {"completed", "stopped"} <= set(loaded["status"])
    assert loaded.loc[loaded["status"] != "completed", "objective"].isna().all()
    assert loaded.loc[loaded["status"] == "completed", "objective"].notna().all()


def test_trials_in_flight_are_left_out(loaded: pd.DataFrame) -> None:
    assert not loaded["trial_id"].str.startswith("running").any()


def test_parquet_round_trip(loaded: pd.DataFrame, tmp_path: Path) -> None:
    results.write_parquet(loaded, tmp_path / "r.parquet")
    pd.testing.assert_frame_equal(results.read_parquet(tmp_path / "r.parquet"), loaded)


def test_curves_come_in_long_form(study: StudyRef, loaded: pd.DataFrame) -> None:
    trial = str(loaded["trial_id"].iloc[0])
    curve = results.curves(study, [trial], ("lr",))
    assert list(curve.columns) == ["trial_id", "metric", "step", "value"]
    assert curve["value"].tolist() == [loaded["base_lr"].iloc[0]]


def test_a_study_resolves_by_directory_and_by_name(study: StudyRef, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study.out_dir is not None
    assert find_study(str(study.out_dir)) == study
    assert find_study(study.name, study.tracking_uri).out_dir is None
    monkeypatch.chdir(study.out_dir.parent.parent)
    ref = find_study(study.name)
    assert ref.tracking_uri == study.tracking_uri and ref.out_dir == Path("runs") / study.name


def test_a_misspelt_study_names_the_one_there_is(study: StudyRef) -> None:
    with pytest.raises(InputError, match=r"no study 'maade'.*made"):
        find_study("maade", study.tracking_uri)


def test_a_look_up_creates_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no MLflow database"):
        find_study("anything")
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_letters_that_mean_something_in_uris_is_read_like_any_other(
    study: StudyRef, loaded: pd.DataFrame, tmp_path: Path
) -> None:
    database = tmp_path / "a b%20c?d#e" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(study.tracking_uri.removeprefix("sqlite:///"), database)
    ref = find_study(study.name, database_uri(database))
    pd.testing.assert_frame_equal(results.load(ref), loaded)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [database]


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("create table t (a)")
    before = (tmp_path / "x.db").read_bytes()
    with pytest.raises(InputError, match="not an MLflow database"):
        find_study("s", f"sqlite:///{tmp_path / 'x.db'}")
    assert (tmp_path / "x.db").read_bytes() == before


def test_a_directory_without_study_json_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"study\.json"):
        find_study(str(tmp_path))


@pytest.mark.parametrize("content", ["{", None])
def test_a_study_whose_study_json_is_damaged_or_lost_is_read_all_the_same(
    study: StudyRef, loaded: pd.DataFrame, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "trials.jsonl").touch()
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(InputError, match=r"STUDY: .*study\.json is (damaged|missing).* writes it anew"):
        find_study(str(tmp_path), study.tracking_uri)
    (tmp_path / "study.yaml").write_text(f"# study_id: abc\nname: {study.name}\n")
    ref = find_study(str(tmp_path), study.tracking_uri)
    assert (ref.name, ref.study_id, ref.out_dir) == (study.name, "abc", tmp_path)
    table, notes = load_with_notes(ref)
    pd.testing.assert_frame_equal(table, loaded)
    assert notes == [ref.trouble] and "the command that searched the study writes it anew" in ref.trouble
    with pytest.raises(InputError, match=r"no MLflow database at .*; .*study\.json is"):
        find_study(str(tmp_path), f"sqlite:///{tmp_path}/none.db")


def test_a_missing_server_is_reported_at_once() -> None:
    with pytest.raises(InputError, match="no MLflow server answers"):
        find_study("s", "http://127.0.0.1:9")


def test_a_hanging_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Hanging(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            release.wait(20)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hanging)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The server and the wait are real; only the ten seconds of patience are shortened.
    monkeypatch.setattr(study_ref, "ANSWER_WITHIN_SECONDS", 0.5)
    try:
        with pytest.raises(InputError, match="no MLflow server answers"):
            find_study("s", f"http://user:secret@127.0.0.1:{server.server_port}")
    finally:
        release.set()
        server.shutdown()
        server.server_close()


def test_the_public_uri_has_no_credentials() -> None:
    assert StudyRef("s", "https://user:secret@host:5000/x").public_uri == "https://host:5000/x"
    assert StudyRef("s", "postgresql://u:p@db/mlflow").public_uri == "postgresql://db/mlflow"
