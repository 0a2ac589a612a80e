"""A finished study with more trials and budgets goes on in the same run; another study starts warm from it."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from phitune.analysis.results import find_study, load
from phitune.search.records.journal import Journal
from phitune.search.records.record import Record
from tests.conftest import PATIENCE, Run
from tests.system.harness.searching import ended, family, kill, start, wait_for
from tests.system.harness.wholeness import check_runs, check_whole

STUDY = """
name: s
workloads: [quadratic]
budgets: [100]
families: [uba]
trials: 10
replicates: 1
"""


@pytest.mark.full
def test_a_study_grows_and_another_starts_warm(tmp_path: Path, phitune_on_one_ray: Run) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    search = phitune_on_one_ray("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    assert (tmp_path / "runs/s/ladder.json").is_file()
    before = Journal(tmp_path / "runs/s/trials.jsonl").records
    notes = tmp_path / "runs/s/study.json"
    held = notes.read_bytes()
    notes.write_bytes(held[:100])
    again = phitune_on_one_ray("search", "study.yaml", cwd=tmp_path)
    assert again.returncode == 0
    assert "finished" in again.stdout and "runs/s/study.json was damaged and is written anew" in again.stdout
    assert notes.read_bytes() == held and notes.with_name("study.json.damaged").read_bytes() == held[:100]

    refused = phitune_on_one_ray("search", "study.yaml", "--set", "seed=1", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "seed: 1 is not what the study" in refused.stderr

    grown = phitune_on_one_ray(
        "search", "study.yaml", "--set", "trials=16", "--set", "budgets=[100, 200]", cwd=tmp_path
    )
    assert grown.returncode == 0, grown.stdout + grown.stderr
    assert "study changed: trials: 10 → 16" in grown.stdout
    after = Journal(tmp_path / "runs/s/trials.jsonl").records
    assert after[: len(before)] == before
    explored = Counter(r.trial.cell for r in after if r.trial.phase == "explore")
    assert explored == {"quadratic sgd 100": 16, "quadratic sgd 200": 16}
    assert origins(after, "quadratic sgd 200") == ["quasi-random"] + ["surrogate"] * 15

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/runs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=1000)
    check_runs(runs, after)
    parent = next(run for run in runs if run.data.tags["phitune.kind"] == "study")
    assert "200" in (tmp_path / "runs/s/study.yaml").read_text(encoding="utf-8")
    logged = Path(client.download_artifacts(parent.info.run_id, "study.yaml", str(tmp_path)))
    assert "trials: 16" in logged.read_text(encoding="utf-8")

    fewer = ("--set", "trials=18", "--set", "budgets=[200]")
    narrowed = phitune_on_one_ray("search", "study.yaml", *fewer, cwd=tmp_path)
    assert narrowed.returncode == 0, narrowed.stdout + narrowed.stderr
    assert "study changed: cells: quadratic sgd 100 left out\n" in narrowed.stdout
    all_of_them = Journal(tmp_path / "runs/s/trials.jsonl").records
    assert all_of_them[: len(after)] == after
    assert {r.trial.cell for r in all_of_them[len(after) :]} == {"quadratic sgd 200"}
    # Another tracking store gets everything, from the records alone.
    line = ("search", "study.yaml", *fewer, "--tracking-uri", "sqlite:///other.db")
    assert "finished" in phitune_on_one_ray(*line, cwd=tmp_path).stdout
    table = load(find_study(str(tmp_path / "runs/s")))
    assert set(table["trial_id"]) == {r.trial.trial_id for r in all_of_them} and table["run_id"].notna().all()
    widened = phitune_on_one_ray("search", "study.yaml", "--set", "budgets=[100, 200]", "--dry-run", cwd=tmp_path)
    assert "study changed: budgets: [200] → [100, 200]\n" in widened.stdout

    (tmp_path / "next.yaml").write_text(STUDY.replace("name: s", "name: next\nwarm_start: s"), encoding="utf-8")
    warm = phitune_on_one_ray("search", "next.yaml", "--set", "budgets=[150]", cwd=tmp_path)
    assert warm.returncode == 0, warm.stdout + warm.stderr
    next_records = Journal(tmp_path / "runs/next/trials.jsonl").records
    assert origins(next_records, "quadratic sgd 150") == ["quasi-random"] + ["surrogate"] * 9


NARROW = """
name: s
workloads: [quadratic]
budgets: [1000]
families: [uba]
baselines: [linear]
space: {phi: [5, 10], base_lr: [0.01, 0.1]}
trials: 8
replicates: 1
"""


@pytest.mark.full
def test_a_study_follows_the_advice_to_search_more_widely(tmp_path: Path, phitune_on_one_ray: Run) -> None:
    """First while it is unfinished, then when it has ended; what was done stays in all its records."""
    path = tmp_path / "study.yaml"
    path.write_text(NARROW.replace("[1000]", "[20000]"), encoding="utf-8")
    process = start(tmp_path)
    wait_for(lambda: ended(tmp_path) >= 3, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130, process.communicate()
    before = Journal(tmp_path / "runs/s/trials.jsonl").records
    assert len(before) < 8
    wide = NARROW.replace("[1000]", "[20000]").replace("[5, 10]", "[0.05, 50]").replace("0.1]", "2]")
    path.write_text(wide, encoding="utf-8")
    search = phitune_on_one_ray("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    assert "study changed: space.phi: [5, 10] → [0.05, 50]\n" in search.stdout
    records = check_whole(tmp_path, retrain_every=20)
    assert records[: len(before)] == before
    assert any(record.trial.base_lr > 0.1 for record in records)

    more = wide.replace("[uba]", "[uba, rex]").replace("[linear]", "[cosine]").replace("trials: 8", "trials: 12")
    path.write_text(more, encoding="utf-8")
    search = phitune_on_one_ray("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    for line in ("trials: 8 → 12", "families: rex, cosine added; linear left out", "baselines: cosine added; linear"):
        assert f"study changed: {line}" in search.stdout
    grown = check_whole(tmp_path, retrain_every=20)
    assert grown[: len(records)] == records
    new = [record.trial for record in grown[len(records) :]]
    assert "linear" not in {trial.family for trial in new}
    assert any(trial.family == "cosine" and trial.phase == "replicate" for trial in new)

    path.write_text(more.replace("trials: 12", "trials: 4").replace("[0.05, 50]", "[0.01, 90]"), encoding="utf-8")
    search = phitune_on_one_ray("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0 and "finished already" in search.stdout
    assert "with more of them, such as --set trials=8" in search.stdout
    assert Journal(tmp_path / "runs/s/trials.jsonl").records == grown


DAMAGE: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "garbage inside": lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\n\ngarbage\n", 5)),
}


@pytest.mark.full
@pytest.mark.parametrize(
    "damage", [pytest.param(each, marks=[] if each == "cut in half" else pytest.mark.slow) for each in DAMAGE]
)
def test_a_search_that_was_killed_and_lost_optunas_log_goes_on(tmp_path: Path, phitune: Run, damage: str) -> None:
    (tmp_path / "study.yaml").write_text(NARROW.replace("[1000]", "[4000, 8000]"), encoding="utf-8")
    process = start(tmp_path)
    wait_for(lambda: ended(tmp_path) >= 5, process)
    kill(*family(process))
    held = Journal(tmp_path / "runs/s/trials.jsonl").records
    DAMAGE[damage](tmp_path / "runs/s/optuna.log")
    search = phitune("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    assert check_whole(tmp_path, retrain_every=20)[: len(held)] == held


def origins(records: list[Record], cell: str) -> list[str]:
    """Where a cell's explore trials came from, in the order of their numbers."""
    explored = [record.trial for record in records if (record.trial.cell, record.trial.phase) == (cell, "explore")]
    return [trial.origin for trial in sorted(explored, key=lambda trial: trial.number)]
