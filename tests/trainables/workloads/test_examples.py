"""The examples of docs/workloads.md run as they stand, from their own folders, as a study would run them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import phitune
from phitune.search.study.file import read_study
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.testing.functions import FunctionConformance
from phitune.trainables.testing.workloads import WorkloadConformance
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import Workload, workload
from tests.conftest import environment

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
PLAIN = EXAMPLES / "plain_script"


class _InFolder:
    folder: Path

    @pytest.fixture(autouse=True)
    def in_its_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(self.folder)
        monkeypatch.syspath_prepend(self.folder)


class TestSpirals(_InFolder, WorkloadConformance):
    folder = EXAMPLES
    workload = "own_workload:Spirals(turns=2)"


@pytest.mark.full
class TestWaveShapes(_InFolder, WorkloadConformance):
    folder = PLAIN
    workload = "waves:WaveShapes"


@pytest.mark.parametrize(
    ("file", "optimizer", "lr", "at_least"),
    [
        pytest.param(EXAMPLES / "own_study.yaml", "adamw", 0.01, 0.9, marks=pytest.mark.full),
        (PLAIN / "waves_study.yaml", "sgd", 0.1, 0.8),
    ],
)
def test_workloads_of_the_studies_are_learnt(
    file: Path, optimizer: str, lr: float, at_least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.syspath_prepend(file.parent)
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    built: Workload = workload(Spec.of(study["workloads"][0]))
    training = Training(built, TrialConfig(optimizer, built.full_budget, schedule("linear"), lr, seed=0))
    training.advance(built.full_budget)
    assert training.evaluate("test")["test_metric"] > at_least


class TestTune(_InFolder, FunctionConformance):
    folder = PLAIN
    workload = "tuned:tune"
    base_lr = 0.1


def test_a_training_loop_of_the_guide_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PLAIN)
    monkeypatch.syspath_prepend(PLAIN)
    cells = read_study(PLAIN / "tuned_study.yaml").cells
    assert {cell.metric_name for cell in cells} == {"accuracy"}
    curve = phitune.trial(cells[0].workload.label, family="linear", base_lr=0.1, budget=cells[0].full_budget).run()
    assert curve[-1]["val_metric"] > 0.8


@pytest.mark.full
def test_the_plain_script_runs_by_itself() -> None:
    process = subprocess.run(
        [sys.executable, "train.py"],
        cwd=PLAIN,
        env=environment(),
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert "epoch 10: accuracy 0." in process.stdout


@pytest.mark.parametrize(
    ("head", "file"),
    [("class Spirals", "own_workload.py"), ("class WaveShapes", PLAIN / "waves.py"), ("def tune", PLAIN / "tuned.py")],
)
def test_the_guide_shows_the_code_that_runs(head: str, file: str | Path) -> None:
    guide = (EXAMPLES.parent / "workloads.md").read_text(encoding="utf-8")
    shown = guide[guide.index(head) :].split("```")[0].splitlines()
    assert not set(shown) - set((EXAMPLES / file).read_text(encoding="utf-8").splitlines())
