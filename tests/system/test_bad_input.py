"""Bad input gets one clear line and exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from phitune.cli.ui import pages
from phitune.search.records.directory import describe
from phitune.search.study.file import read_study
from tests.conftest import Run

STUDY = "name: s\nworkloads: [quadratic]\nbudgets: [20]\ntrials: 5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Ray in this process, as the first search that comes that far starts it; the others find it running."""
    yield
    ray.shutdown()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("search none.yaml", "study file: cannot read 'none.yaml'"),
        ("search study.yaml --set trails=3", "trails: unknown key; did you mean 'trials'?"),
        ("search study.yaml --set families=[ubba]", "did you mean 'uba'?"),
        ("search study.yaml --set space.phi=[3,1]", "space.phi: [3, 1] is not allowed"),
        ("search study.yaml --out file/below", "--out: 'file/below' cannot be written"),
        ("search study.yaml --dry-run --set warm_start=none", "warm_start: 'none' is not allowed"),
        ("search study.yaml --address=", "--address: '' is not allowed; write auto, or HOST:PORT"),
        ("submit study.yaml --out ../x", "--out: '../x' is not allowed; it must be absolute"),
        ("search study.yaml --address 127.0.0.1:9", "--address: no Ray cluster at '127.0.0.1:9'"),
        (
            "search study.yaml --address http://127.0.0.1:8265",
            "--address: 'http://127.0.0.1:8265' is not allowed; write",
        ),
        ("analyze none", "no MLflow database at"),
        ("analyze none another --watch", "--watch: 2 studies are not allowed; it takes one"),
        ("show none", "STUDY: no study 'none' here; phitune search searches one"),
        ("recommend --workload mlp/digits --budget 100", "guidelines"),
        ("ui", "has no database yet"),
        ("search study.yaml --tracking-uri postgresql://me:h:secret", "tracking URI: 'postgresql://me' is not allowed"),
        ("submit study.yaml --tracking-uri postgresql://h:secret/d", "tracking URI: 'postgresql://h/d' is not allowed"),
        ("analyze s --tracking-uri postgresql://me@h:secret/d", "tracking URI: 'postgresql://h/d' is not allowed"),
        ("ui --tracking-uri http://me:secret@h:secret", "tracking URI: 'http://h' is not allowed"),
        (
            "analyze s --tracking-uri postgresql://u:secret@127.0.0.1:9/d",
            "no database answers at postgresql://127.0.0.",
        ),
    ],
)
def test_one_line_and_exit_code_2(folder: Path, phitune_in_process: Run, arguments: str, message: str) -> None:
    check(folder, phitune_in_process, arguments, message)


def test_one_line_and_exit_code_2_from_the_shell(folder: Path, phitune: Run) -> None:
    check(folder, phitune, "search none.yaml", "study file: cannot read 'none.yaml'")


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("search study.yaml --set resources.gpu=1", "resources.gpu: 1 is not allowed; the cluster has 0 GPUs"),
        ("search study.yaml --set resources.cpu=4096", "resources.cpu: 4096 is not allowed; the cluster has"),
        ("search study.yaml --tracking-uri http://127.0.0.1:9", "tracking URI: 'http://127.0.0.1:9' cannot be used"),
        ("search study.yaml --tracking-uri http://user:pw@127.0.0.1:9", "tracking URI: 'http://127.0.0.1:9' cannot be"),
        ("search study.yaml --tracking-uri sqlite:///file/x.db", "tracking URI: 'sqlite:///file/x.db' cannot be used"),
        ("search study.yaml --tracking-uri postgresql://u:pw@127.0.0.1:9/d", "cannot be used (connection failed"),
    ],
)
def test_one_line_and_exit_code_2_after_rays_start(
    folder: Path, phitune_in_process: Run, ray_here: None, arguments: str, message: str
) -> None:
    check(folder, phitune_in_process, arguments, message)


def check(folder: Path, run: Run, arguments: str, message: str) -> None:
    """Asserts that a command ends in one line with a message and exit code 2, and writes no file of a study."""
    result = run(*arguments.split(), cwd=folder)
    assert result.returncode == 2, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert message in lines[0]
    assert "Traceback" not in result.stdout
    assert "user:pw" not in result.stdout + result.stderr and "secret" not in result.stdout + result.stderr
    files = {path.name for path in folder.rglob("*") if path.is_file()} - {"study.yaml", "file"}
    assert files <= {"mlflow.db"}


def test_a_dry_run_shows_the_plan_and_leaves_nothing(folder: Path, phitune_in_process: Run) -> None:
    before = set(folder.rglob("*"))
    plan = phitune_in_process("search", "study.yaml", "--dry-run", cwd=folder)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.splitlines() == [
        "quadratic sgd 20: 5 trials, base LR 0.005 to 2, judged at 5, 10",
        "families: uba (phi 0.05 to 50), rex, linear, cosine, step",
        f"1 cell, 5 trials and the replicates of their finalists, to {Path('runs', 's')}",
    ]
    assert set(folder.rglob("*")) == before


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_no_recommendation_without_evidence(
    analysed: Path, phitune_in_process: Run, arguments: str, message: str
) -> None:
    refusal = phitune_in_process("recommend", *arguments.split(), cwd=analysed)
    assert refusal.returncode == 2
    assert len(refusal.stderr.strip().splitlines()) == 1
    assert message in refusal.stderr


@pytest.mark.parametrize("content", ["", "{", "[]", "17", '{"name": "b"}', "\udcff"])
def test_a_damaged_study_json_costs_the_ui_that_study_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    for name in ("a", "b", "c"):
        (folder / "runs" / name).mkdir(parents=True)
        notes = {"name": name, "tracking_uri": uri, "experiment_id": "7"}
        (folder / "runs" / name / "study.json").write_text(json.dumps(notes), encoding="utf-8")
    (folder / "runs/b/study.json").write_bytes(content.encode(errors="surrogateescape"))
    monkeypatch.chdir(folder)
    assert [name for name, _ in pages(uri, "http://127.0.0.1:1")] == ["a", "c"]
    assert capsys.readouterr().err == "runs/b/study.json is damaged, so its study is not listed; MLflow has it\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("trials.jsonl", "\ngarbage\n", "runs/s/trials.jsonl: line 2 is damaged: 'garbage'"),
        (
            "study.yaml",
            "name: s\nworkloads: [quadratic]\ngarbage\nseed: 0\n",
            "runs/s/study.yaml': line 3 is no YAML",
        ),
    ],
)
def test_a_damaged_record_of_a_study_is_named(
    folder: Path, phitune_in_process: Run, name: str, content: str, message: str
) -> None:
    out = folder / "runs/s"
    out.mkdir(parents=True)
    describe(out, read_study(folder / "study.yaml"), "0", "sqlite:///runs/mlflow.db", {})
    (out / name).write_text(content, encoding="utf-8")
    before = {path: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}
    result = phitune_in_process("search", "study.yaml", cwd=folder)
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in result.stderr and result.stderr.count("\n") == 1 and "Traceback" not in result.stdout
    assert {path: path.read_bytes() for path in out.iterdir() if path.name != ".lock"} == before
