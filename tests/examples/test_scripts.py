"""The examples run as they stand there: each by itself, and in the studies beside them."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phitune.search.study.file import read_study
from tests.docs.pages import ROOT
from tests.system.harness.requirements import require_packages

EXAMPLES = ROOT / "examples"
NUMBERED = sorted(path for path in EXAMPLES.glob("[01]*.*") if path.stem != "03_own_loop" or path.suffix == ".py")
# Their libraries have processes and process-wide settings of their own.
TRAINERS = ("05_transformers", "06_lightning", "07_accelerate")
LONGEST = 60


def losses(printed: str) -> list[float]:
    return [float(line.split("loss ")[1].split(",")[0]) for line in printed.splitlines() if line.startswith("step")]


def test_there_are_ten_short_ones_and_the_index_has_them() -> None:
    assert [path.name[:2] for path in NUMBERED] == [f"{number:02}" for number in range(1, 11)]
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.[py]*"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST, path.name
        assert f"]({path.name})" in index


@pytest.mark.parametrize("script", ["01_schedules", "03_own_loop"])
def test_a_loop_learns(script: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
    seen = losses(capsys.readouterr().out)
    assert len(seen) >= 6 and seen[-1] < 0.8 * seen[0]


@pytest.mark.parametrize(("script", "said"), [("08_own_family", "step 90"), ("10_own_class", "val_metric")])
def test_a_class_is_shown(
    script: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
    assert said in capsys.readouterr().out


@pytest.mark.full
def test_what_the_first_study_recommends_trains_well(
    analysed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`analysed` is example 02, searched and analysed under another name."""
    monkeypatch.chdir(analysed)
    runpy.run_path(str(EXAMPLES / "04_recommend.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "mlp/digits with sgd for 120 iterations" in printed
    assert float(printed.rsplit("accuracy ", 1)[1]) > 0.9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require_packages("transformers", "accelerate", extra="transformers")
    require_packages("lightning", extra="lightning")
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.mark.full
@pytest.mark.parametrize("script", TRAINERS)
def test_a_trainer_trains_one_schedule(folder: Path, script: str) -> None:
    seen = losses(run(folder, f"{script}.py"))
    assert len(seen) >= 8 and seen[-1] < 0.8 * seen[0]


def test_the_studies_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    searched = {cell.workload.name for path in EXAMPLES.glob("*.yaml") for cell in read_study(path).cells}
    own = {f"{script}:train" for script in ("03_own_loop", *TRAINERS)}
    own |= {"10_own_class:Spirals", "10_own_class:MovingSpirals"}
    assert searched == own | {"mlp/digits", "quadratic"}


@pytest.mark.slow
def test_the_study_searches_all_scripts(folder: Path) -> None:
    smaller = ("--set=trials=2", "--set=replicates=0", "--set=budgets=[20]", "--set=early_stopping=none")
    assert "10 trials: 10 completed" in run(folder, "-m", "phitune", "search", "study.yaml", *smaller)


def run(folder: Path, *arguments: str) -> str:
    line = [sys.executable, *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
