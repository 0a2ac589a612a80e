"""Bad input gets one clear line and exit code 2, and leaves nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run

STUDY = "name: s\nworkloads: [quadratic]\nbudgets: [20]\ntrials: 5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("search none.yaml", "study file: cannot read 'none.yaml'"),
        ("search study.yaml --set trails=3", "trails: unknown key; did you mean 'trials'?"),
        ("search study.yaml --set families=[ubba]", "did you mean 'uba'?"),
        ("search study.yaml --set space.phi=[3,1]", "space.phi: [3, 1] is not allowed"),
        ("search study.yaml --set resources.gpu=1", "resources.gpu: 1 is not allowed; the cluster has 0 GPUs"),
        ("search study.yaml --set resources.cpu=4096", "resources.cpu: 4096 is not allowed; the cluster has"),
        ("search study.yaml --out file/below", "--out: 'file/below' cannot be written"),
        ("search study.yaml --tracking-uri http://127.0.0.1:9", "tracking URI: 'http://127.0.0.1:9' cannot be used"),
        ("search study.yaml --tracking-uri http://user:pw@127.0.0.1:9", "tracking URI: 'http://127.0.0.1:9' cannot be"),
        ("search study.yaml --tracking-uri sqlite:///file/x.db", "tracking URI: 'sqlite:///file/x.db' cannot be used"),
        ("search study.yaml --tracking-uri postgresql://u:pw@127.0.0.1:9/d", "cannot be used (connection failed"),
        ("search study.yaml --dry-run --set warm_start=none", "warm_start: 'none' is not allowed"),
        ("search study.yaml --address=", "--address: '' is not allowed; write auto, or HOST:PORT"),
        ("submit study.yaml --out ../x", "--out: '../x' is not allowed; it must be absolute"),
        ("search study.yaml --address 127.0.0.1:9", "--address: no Ray cluster at '127.0.0.1:9'"),
        (
            "search study.yaml --address http://127.0.0.1:8265",
            "--address: 'http://127.0.0.1:8265' is not allowed; write",
        ),
        ("analyze none", "no MLflow database at"),
        ("recommend --workload mlp/digits --budget 100", "guidelines"),
        ("ui", "has no database yet"),
    ],
)
def test_one_line_and_exit_code_2(folder: Path, phitune: Run, arguments: str, said: str) -> None:
    done = phitune(*arguments.split(), cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert said in lines[0]
    assert "Traceback" not in done.stdout and "user:pw" not in done.stdout + done.stderr
    left = {path.name for path in folder.rglob("*") if path.is_file()} - {"study.yaml", "file"}
    assert left <= {"mlflow.db"}


def test_a_dry_run_shows_the_plan_and_leaves_nothing(folder: Path, phitune: Run) -> None:
    before = set(folder.rglob("*"))
    done = phitune("search", "study.yaml", "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "quadratic sgd 20: 5 trials, base LR 0.005 to 2, judged at 5, 10",
        f"1 cells, 5 trials and the replicates of their finalists, to {Path('runs', 's')}",
    ]
    assert set(folder.rglob("*")) == before


def test_a_study_without_finished_trials_cannot_be_analysed(folder: Path, phitune: Run) -> None:
    text = STUDY.replace("[20]", "[40]") + "space: {base_lr: [400, 500]}\n"
    (folder / "hopeless.yaml").write_text(text, encoding="utf-8")
    searched = phitune("search", "hopeless.yaml", cwd=folder)
    assert searched.returncode == 0, searched.stderr
    assert "5 diverged" in searched.stdout
    done = phitune("analyze", "s", cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "has no completed trial (5 diverged)" in done.stderr
    assert not (folder / "runs/s/report").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--workload mlp/digit --budget 128", "--workload: no evidence for 'mlp/digit'"),
        ("--workload mlp/digits --budget 2", "--budget: 2 iterations lie more than 10 times outside the evidence"),
        (
            "--workload mlp/digits --budget 100000",
            "--budget: 100000 iterations lie more than 10 times",
        ),
        ("--workload mlp/digits --budget much", "--budget: 'much'"),
        ("--workload mlp/digits --budget 128 --optimizer adam", "--optimizer: no evidence for 'adam'"),
        ("--workload mlp/digits --budget 128 --guidelines none.json", "--guidelines: "),
    ],
)
def test_no_recommendation_without_evidence(searched: Path, phitune: Run, arguments: str, said: str) -> None:
    if not (searched / "runs/small/report/guidelines.json").exists():
        assert phitune("analyze", "small", cwd=searched).returncode == 0
    done = phitune("recommend", *arguments.split(), cwd=searched)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
