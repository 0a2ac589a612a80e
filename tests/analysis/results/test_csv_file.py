"""A user's results from a CSV: what is accepted, and the message where it is not."""

import json
from pathlib import Path

import numpy as np
import pytest

from phitune.analysis.families.compare import compare_cell
from phitune.analysis.results import COLUMNS, read_csv
from phitune.analysis.surface.fit import fit_cell
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict
from tests.analysis.quadratic_twin import mean_u

HEADER = "workload,optimizer,budget,family,base_lr,objective,phi,seed"
ROWS = [
    "my-net,sgd,100,uba,0.1,0.50,2.5,0",
    "my-net,sgd,100,uba,0.1,0.52,2.5,1",
    "my-net,sgd,100,uba,0.1,0.51,2.5,2",
    "my-net,sgd,100,linear,0.2,0.60,,0",
    "my-net,sgd,100,linear,0.2,0.63,,1",
    "my-net,sgd,100,linear,0.2,0.61,,2",
]


def write_csv(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "own.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8-sig")
    return path


def test_a_plain_file_becomes_the_results_table(tmp_path: Path) -> None:
    table, notes = read_csv(write_csv(tmp_path, *ROWS))
    assert {c: str(table[c].dtype) for c in COLUMNS} == COLUMNS and not notes
    assert set(table["study"]) == {"own"} and set(table["status"]) == {"completed"} and set(table["mode"]) == {"min"}
    uba = table[table["family"] == "uba"]
    assert uba["mean_lr"].to_numpy() == pytest.approx(0.1 * mean_u(np.full(3, 2.5)), rel=0.02)
    assert table.loc[table["family"] == "linear", "phi"].isna().all()
    assert from_dict({"family": "uba", "phi": 2.5}).to_dict() == json.loads(uba["schedule"].iloc[0])


def test_seeds_of_a_configuration_are_its_replicates(tmp_path: Path) -> None:
    """Chosen on the first seed, judged on the others, paired."""
    table = read_csv(write_csv(tmp_path, *ROWS))[0]
    uba = compare_cell(table, fit_cell(table)).get("uba")
    assert uba is not None and uba.replicates == 2
    # The runs say 16 %: few, so the belief keeps closer to none.
    gain = uba.gains["linear"]
    assert gain.interval is not None and gain.interval[0] < 100 * np.mean([0.11, 0.10]) / 0.62 < gain.interval[1]
    assert gain.percent > 5


def test_a_file_may_mark_its_replicates(tmp_path: Path) -> None:
    rows = [row + phase for row, phase in zip(ROWS[:3], [",explore", ",replicate", ","], strict=True)]
    table, _ = read_csv(write_csv(tmp_path, *rows, header=HEADER + ",phase"))
    assert table["phase"].tolist() == ["explore", "replicate", "explore"]
    assert table["finalist"].dropna().tolist() == ["line-2"]


def test_trials_that_did_not_complete_need_no_objective(tmp_path: Path) -> None:
    rows = [f"{ROWS[0]},completed", "my-net,sgd,100,uba,9,nan,2.5,0,diverged", "my-net,sgd,100,uba,3,0.9,2.5,0,stopped"]
    table, _ = read_csv(write_csv(tmp_path, *rows, header=HEADER + ",status"))
    assert table["objective"].notna().tolist() == [True, False, False]


def test_a_schedule_that_names_its_family_may_have_a_label(tmp_path: Path) -> None:
    rows = [
        f'n,sgd,100,{label},0.1,{loss},"{{""family"": ""cosine"", ""floor"": {floor}}}"'
        for label, loss, floor in (("cosine", 0.5, 0.0), ("cosine-to-a-tenth", 0.6, 0.1))
    ]
    table, _ = read_csv(
        write_csv(tmp_path, *rows, header="workload,optimizer,budget,family,base_lr,objective,schedule")
    )
    assert table["family"].tolist() == ["cosine", "cosine-to-a-tenth"]
    assert [from_dict(json.loads(text)).family for text in table["schedule"]] == ["cosine", "cosine"]
    assert table["mean_lr"].to_numpy() == pytest.approx([0.05, 0.055])


def test_repeated_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    table, notes = read_csv(write_csv(tmp_path, *ROWS, ROWS[0], ROWS[4], header=HEADER))
    assert len(table) == len(ROWS) and notes == ["own.csv: 2 lines repeat another and are left out"]


def test_unused_columns_are_named(tmp_path: Path) -> None:
    assert read_csv(write_csv(tmp_path, ROWS[0] + ",x", header=HEADER + ",host"))[1] == [
        "own.csv: columns not used: host"
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("n,sgd,ten,uba,0.1,0.5,2,0", r"line 3: budget: 'ten' is not allowed; it must be a positive whole number"),
        ("n,sgd,10.5,uba,0.1,0.5,2,0", r"budget: '10.5' is not allowed"),
        ("n,sgd,10,uba,-0.1,0.5,2,0", r"base_lr: '-0.1' is not allowed; it must be a positive number"),
        ("n,sgd,10,uba,inf,0.5,2,0", r"base_lr: 'inf' is not allowed"),
        ("n,sgd,10,uba,0.1,nan,2,0", r"line 3: objective: 'nan' is not allowed; .*diverged"),
        ("n,sgd,10,uba,0.1,,2,0", r"objective: '' is not allowed"),
        ("n,sgd,10,uba,0.1,best,2,0", r"objective: 'best' is not a number"),
        ("n,sgd,10,uba,0.1,0.5,,0", r"line 3: uba.phi: missing"),
        ("n,sgd,10,cosin,0.1,0.5,,0", r"line 3: family: unknown family 'cosin'; did you mean 'cosine'"),
        ("n,sgd,10,uba,0.1,0.5,2,first", r"seed: 'first' is not allowed"),
        (",sgd,10,uba,0.1,0.5,2,0", r"line 3: workload: '' is empty"),
        ("n,sgd,10,uba,0.1", r"line 3 has 5 values; the header has 8"),
        ("my-net,sgd,100,uba,0.1,0.7,2.5,0", r"lines 2 and 3 are the same trial with different results"),
    ],
)
def test_a_bad_line_is_named_with_its_value(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_csv(write_csv(tmp_path, ROWS[0], row))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("status", "done", "status: 'done' is not allowed; it must be one of: completed, stopped, diverged, failed"),
        ("mode", "lower", "mode: 'lower' is not allowed; it must be one of: min, max"),
        ("phase", "replicate", "line 2: finalist: '' is none; a replicate repeats an explore trial"),
        ("schedule", "{", "line 2: Expecting"),
        ("schedule", "[]", r"schedule: '\[\]' is not allowed; it must be a JSON object"),
        ("val_loss", "low", "val_loss: 'low' is not a number"),
        ("seed", "0", "the column 'seed' stands there twice"),
    ],
)
def test_a_bad_optional_value_is_named(tmp_path: Path, column: str, value: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_csv(write_csv(tmp_path, f"{ROWS[0]},{value}", header=f"{HEADER},{column}"))


def test_a_missing_column_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the column 'base_lr' is missing \(is it 'baselr'\?\); required: workload, "):
        read_csv(write_csv(tmp_path, ROWS[0], header=HEADER.replace("base_lr", "baselr")))


@pytest.mark.parametrize(("content", "message"), [(b"", "is missing"), (b"\xff\xfe\x00a", "cannot be read as CSV")])
def test_a_file_that_is_no_csv_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "own.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_csv(tmp_path / "own.csv")


def test_a_file_without_completed_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no completed trial"):
        read_csv(write_csv(tmp_path, f"{ROWS[0]},diverged", header=HEADER + ",status"))
    with pytest.raises(InputError, match="no finished trial"):
        read_csv(write_csv(tmp_path))
