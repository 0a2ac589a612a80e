"""What users write in examples 03, 08 and 10 passes the conformance suites, and learns."""

from __future__ import annotations

import pytest

import phitune
from phitune.search.study.file import read_study
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.testing.functions import FunctionConformance
from phitune.trainables.testing.schedules import ScheduleConformance
from phitune.trainables.testing.workloads import WorkloadConformance
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import Workload, workload
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def in_their_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)


class TestOwnLoop(FunctionConformance):
    workload = "03_own_loop:train(width=32)"
    base_lr = 0.1


@pytest.mark.full
class TestCircle(ScheduleConformance):
    family = "08_own_family:Circle"
    bad = ({"p": 0}, {"p": -1})


class TestSpirals(WorkloadConformance):
    workload = "10_own_class:Spirals(turns=2)"


@pytest.mark.full
class TestMovingSpirals(WorkloadConformance):
    workload = "10_own_class:MovingSpirals"


@pytest.mark.parametrize(
    ("label", "optimizer", "lr", "at_least"),
    [
        pytest.param("10_own_class:Spirals(turns=2)", "adamw", 0.01, 0.9, marks=pytest.mark.full),
        ("10_own_class:MovingSpirals", "sgd", 0.1, 0.8),
    ],
)
def test_classes_learn(label: str, optimizer: str, lr: float, at_least: float) -> None:
    built: Workload = workload(Spec.parse(label))
    training = Training(built, TrialConfig(optimizer, built.full_budget, schedule("linear"), lr, seed=0))
    training.advance(built.full_budget)
    assert training.evaluate("test")["test_metric"] > at_least


def test_the_loop_learns_as_the_study_trains_it() -> None:
    cells = read_study(EXAMPLES / "03_own_loop.yaml").cells
    assert {cell.metric_name for cell in cells} == {"accuracy"}
    curve = phitune.trial(cells[0].workload.label, family="linear", base_lr=0.1, budget=cells[0].full_budget).run()
    assert curve[-1]["val_metric"] > 0.8
