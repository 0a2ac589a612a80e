"""Several studies and files joined into one table."""

import json
from pathlib import Path

import pandas as pd
import pytest

from phitune.analysis.results import COLUMNS, StudyRef, gather, load, tidy, write_parquet
from phitune.trainables.errors import InputError
from tests.analysis.results.test_csv_file import HEADER, ROWS, write_csv
from tests.analysis.synthetic_study import Recipe, add_trials


def test_studies_are_joined_and_their_equal_cells_are_one(study: StudyRef) -> None:
    add_trials(study.tracking_uri, "more", Recipe(10, 1.0, 60, uba=4, others=1, full_budget=240))
    one, both = load(study), gather([study.name, "more"], study.tracking_uri)
    assert both.name == "made+more" and both.out_dir == Path("runs/made+more")
    cell = both.table[both.table["cell"] == "quadratic(kappa=10,noise=1) sgd 60"]
    assert set(cell["study"]) == {"made", "more"} and both.table["trial_id"].is_unique
    assert len(both.table) == len(one) + (both.table["study"] == "more").sum()
    of = both.table[both.table["study"] == "more"]
    assert set(of["finalist"].dropna()) <= set(of["trial_id"]) and of["finalist"].notna().any()


def test_a_training_that_two_sources_have_counts_once(study: StudyRef, tmp_path: Path) -> None:
    """A copy of a study, as its file of results, that has gone on by itself."""
    one = load(study)
    copied = one.assign(study="copy", run_id=pd.NA, steps=one["steps"].mask(one["status"] == "completed"))
    copied["schedule"] = [json.dumps(dict(reversed(json.loads(text).items())), indent=1) for text in one["schedule"]]
    replicates = copied[copied["phase"] == "replicate"]
    others = replicates.assign(seed=replicates["seed"] + 50, trial_id=replicates["trial_id"] + "-more")
    worse = copied.iloc[:1].assign(objective=9.0, status="completed", trial_id="worse")
    write_parquet(pd.concat([copied, others, worse]), tmp_path / "copy.parquet")
    both = gather([study.name, str(tmp_path / "copy.parquet")], study.tracking_uri)
    assert both.notes == (
        f"{len(one)} trials are left out, as several of made and copy have them; each training counts once",
    )
    table = both.table
    assert table["study"].value_counts().to_dict() == {"made": len(one), "copy": len(others) + 1}
    of_made = table[(table["study"] == "made") & table["finalist"].notna()]
    assert len(of_made) and set(table.loc[table["study"] == "copy", "finalist"].dropna()) <= set(of_made["finalist"])
    assert set(table["finalist"].dropna()) <= set(table["trial_id"])
    for column, kind in COLUMNS.items():
        assert str(table[column].dtype) == kind, column


def test_the_same_trainings_change_nothing_that_is_said(study: StudyRef, tmp_path: Path) -> None:
    one = load(study)
    write_parquet(one.assign(study="copy"), tmp_path / "copy.parquet")
    both = gather([study.name, str(tmp_path / "copy.parquet")], study.tracking_uri).table
    plain = both.assign(
        study="made",
        trial_id=both["trial_id"].str.removeprefix("made:"),
        finalist=both["finalist"].str.removeprefix("made:"),
    )
    pd.testing.assert_frame_equal(tidy(plain), one)


def test_a_study_joins_a_file(study: StudyRef, tmp_path: Path) -> None:
    gathered = gather([study.name, str(write_csv(tmp_path, *ROWS))], study.tracking_uri)
    assert set(gathered.table["study"]) == {"made", "own"} and len(gathered.studies) == 1
    assert gathered.sources == (study.public_uri, str(tmp_path / "own.csv"))


@pytest.mark.parametrize(("column", "value"), [("mode", "max"), ("objective_name", "error"), ("full_budget", "900")])
def test_a_cell_of_two_objectives_is_refused(study: StudyRef, tmp_path: Path, column: str, value: str) -> None:
    row = ROWS[0].replace("my-net", '"quadratic(kappa=100,noise=1)"')
    header = f"{HEADER},{column}" if column == "objective_name" else f"{HEADER},objective_name,{column}"
    path = write_csv(
        tmp_path, f"{row},{value}" if column == "objective_name" else f"{row},val_loss,{value}", header=header
    )
    with pytest.raises(InputError, match=rf"{column}: the cell 'quadratic\(.*\) sgd 100' has .* in 'made' and"):
        gather([study.name, str(path)], study.tracking_uri)


def test_mixed_directions_in_a_file_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path, f"{ROWS[0]},min", f"{ROWS[3]},max", header=HEADER + ",mode")
    with pytest.raises(InputError, match=r"mode: the cell 'my-net sgd 100' has min in 'own' and max in 'own'"):
        gather([str(path)])


def test_the_same_twice_is_refused(study: StudyRef) -> None:
    with pytest.raises(InputError, match="'made' is given twice"):
        gather([study.name, str(study.out_dir)], study.tracking_uri)


def test_completed_trials_without_an_objective_are_left_out_and_counted(tmp_path: Path, study: StudyRef) -> None:
    table = load(study)
    table.loc[table.index[table["status"] == "completed"][:2], "objective"] = float("nan")
    write_parquet(table, tmp_path / "some.parquet")
    gathered = gather([str(tmp_path / "some.parquet")])
    assert gathered.notes == ("2 completed trials have no finite objective and are left out",)
    assert len(gathered.table) == len(table) - 2 and gathered.table["run_id"].is_unique


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no file"), (b"x", "not a Parquet file"), ("other", "lacks the")]
)
def test_a_parquet_file_that_is_no_results_table_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "t.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(InputError, match=message):
        gather([str(path)])
