"""`phitune init`: the file that it writes is a study, and it asks on a terminal alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from phitune.search.study.file import read_study
from tests.conftest import PATIENCE, Run, command, environment

TRAINING = "def train(trial, width=64, depth=2): ...\n\ndef sized(trial, size): ...\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a training loop, from which modules are imported, and a file that is in the way."""
    (tmp_path / "init_training.py").write_text(TRAINING, encoding="utf-8")
    (tmp_path / "there.yaml").write_text("name: mine\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "init_training", raising=False)
    return tmp_path


def test_it_writes_a_study_with_its_defaults_and_comments(folder: Path, phitune_in_process: Run) -> None:
    line = "init --workload mlp/digits --workload quadratic(kappa=10,noise=1) --budget 5%,100% --budget 7 --trials 20"
    written = phitune_in_process(*line.split(), "--out", "a b.yaml", cwd=folder)
    assert written.returncode == 0, written.stderr
    study = read_study(folder / "a b.yaml")
    assert (study.name, study.trials, study.budgets) == ("a-b", 20, ["5%", "100%", 7])
    assert study.workloads == ["mlp/digits", {"name": "quadratic", "kappa": 10, "noise": 1}]
    said = [f"{key}={getattr(study, key)}" for key in ("workloads", "budgets", "trials", "name")]
    assert study == read_study(folder / "there.yaml", said)
    lines = (folder / "a b.yaml").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 120 and sum("# " in line for line in lines) > 8
    dry = phitune_in_process("search", "a b.yaml", "--dry-run", cwd=folder)
    assert dry.returncode == 0 and "6 cells, 120 trials" in dry.stdout


def test_a_function_gets_what_its_entry_needs(folder: Path, phitune_in_process: Run) -> None:
    line = "init --workload init_training:train(width=8) --budget 500,1000 --optimizer adamw"
    assert phitune_in_process(*line.split(), cwd=folder).returncode == 0
    (short, long) = read_study(folder / "my-study.yaml").cells
    assert (short.budget, long.budget, long.full_budget) == (500, 1000, 1000)
    assert (long.base_lr, long.objective, long.workload.params) == ((1e-4, 0.1), "val_loss", {"width": 8})
    assert "# depth: 2" in (folder / "my-study.yaml").read_text(encoding="utf-8")

    more = "--full-budget 8000 --base-lr 0.01 3 --budget 50% --force"
    assert phitune_in_process("init", "--workload", "init_training:train", *more.split(), cwd=folder).returncode == 0
    (cell,) = read_study(folder / "my-study.yaml").cells
    assert (cell.budget, cell.base_lr) == (4000, (0.01, 3.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "--workload: missing; name one, such as mlp/digits"),
        ("--workload mlp/digist", "unknown workload 'mlp/digist'; did you mean 'mlp/digits'?"),
        ("--workload mlp/digits --budget 200%", "budgets: '200%' is not allowed"),
        ("--workload mlp/digits --trials many", "trials: 'many' is not allowed"),
        ("--workload init_training:train", "--full-budget: missing; for init_training:train it is the iterations"),
        ("--workload init_training:sized --budget 9", "workloads.init_training:sized.size: missing"),
        ("--workload mlp/digits --out there.yaml", "--out: 'there.yaml' is there already; give another file, or"),
        ("--workload mlp/digits --out none/a.yaml", "--out: 'none/a.yaml' cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    folder: Path, phitune_in_process: Run, options: str, message: str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    refused = phitune_in_process("init", *options.split(), cwd=folder)
    assert refused.returncode == 2
    assert message in refused.stderr and refused.stderr.count("\n") == 1
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert after == before


@pytest.mark.full
def test_it_asks_on_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    answers = ["init_training:train", "2000", "10%,100%", "", "12"]
    os.write(ours, ("\n".join(answers) + "\n").encode())
    asked = subprocess.run(
        command("init"), cwd=folder, env=environment(), stdin=theirs, capture_output=True, text=True, timeout=PATIENCE
    )
    os.close(ours), os.close(theirs)
    assert asked.returncode == 0, asked.stderr
    assert "Iterations of its full recipe" in asked.stdout
    study = read_study(folder / "my-study.yaml")
    assert (study.trials, [cell.budget for cell in study.cells]) == (12, [200, 2000])
