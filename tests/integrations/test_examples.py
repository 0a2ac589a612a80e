"""The scripts of examples/ run as they stand there, by themselves and in the study beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.system.harness.requirements import require_packages

require_packages("transformers", "accelerate", extra="transformers")
require_packages("lightning", extra="lightning")

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_trains_one_schedule(folder: Path, script: str) -> None:
    run = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    losses = [
        float(line.split("loss ")[1].split(",")[0]) for line in run.stdout.splitlines() if line.startswith("step")
    ]
    assert len(losses) >= 8
    assert losses[-1] < 0.8 * losses[0]


def test_the_study_has_all_scripts() -> None:
    study = yaml.safe_load((EXAMPLES / "study.yaml").read_text())
    assert sorted(entry["name"].replace(":train", ".py") for entry in study["workloads"]) == SCRIPTS


@pytest.mark.slow
def test_the_study_searches_all_scripts(folder: Path) -> None:
    smaller = ("--set=trials=2", "--set=replicates=0", "--set=budgets=[20]", "--set=early_stopping=none")
    assert "6 trials: 6 completed" in run(folder, "-m", "phitune", "search", "study.yaml", *smaller)


def run(folder: Path, *arguments: str) -> str:
    line = [sys.executable, *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
