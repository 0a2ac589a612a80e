"""Every workload that needs no download keeps to what a search relies on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from phitune.trainables.testing.workloads import Entry, WorkloadConformance
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.supervised import Data
from phitune.trainables.workloads.learning.torch_problem import Batch


class TestMlpDigits(WorkloadConformance):
    workload = "mlp/digits"


class TestCnnDigits(WorkloadConformance):
    workload = "cnn/digits"


@pytest.mark.full
class TestResnet8Digits(WorkloadConformance):
    workload = "resnet8/digits"


@pytest.mark.full
class TestLogregDigits(WorkloadConformance):
    workload = "logreg/digits"


@pytest.mark.full
class TestLogregBreastCancer(WorkloadConformance):
    workload = "logreg/breast-cancer"


@pytest.mark.full
class TestLogregWine(WorkloadConformance):
    workload = "logreg/wine"


class TestLogregIris(WorkloadConformance):
    workload = "logreg/iris"
    # Iris holds the same flower twice.
    alike = 0.1


@pytest.mark.full
class TestMlpBreastCancer(WorkloadConformance):
    workload = "mlp/breast-cancer"


@pytest.mark.full
class TestMlpHastie(WorkloadConformance):
    workload = "mlp/hastie"


@pytest.mark.full
class TestMlpIris(WorkloadConformance):
    workload = "mlp/iris"
    alike = 0.1


@pytest.mark.full
class TestGptStdlib(WorkloadConformance):
    workload = "gpt-nano/stdlib"


class TestGptText(WorkloadConformance):
    @pytest.fixture
    def entry(self, tmp_path: Path) -> Entry:
        file = tmp_path / "numbers.txt"
        file.write_text(" ".join(str(number * number) for number in range(3000)), encoding="utf-8")
        return {"name": "gpt-nano/text", "path": str(file)}


class TestQuadratic(WorkloadConformance):
    workload = "quadratic"


@pytest.mark.full
class TestQuadraticWithMomentum(WorkloadConformance):
    workload = "quadratic(kappa=10,noise=0.5,momentum=0.8)"


class TestRegression(WorkloadConformance):
    workload = "regression(dim=20)"


@pytest.mark.full
class TestRegressionWithMomentum(WorkloadConformance):
    workload = "regression(dim=20,batch=8,momentum=0.5)"


class TestPowerLaw(WorkloadConformance):
    workload = "power-law(dim=50)"


class GlobalDraws(MlpDigits):
    def batch(self, seed: int, step: int, device: str) -> Batch:
        inputs, targets = super().batch(seed, step, device)
        return inputs + np.random.rand(), targets  # noqa: NPY002


class OwnState(MlpDigits):
    calls = 0

    def batch(self, seed: int, step: int, device: str) -> Batch:
        self.calls += 1
        return super().batch(seed, self.calls, device)


class Leaking(MlpDigits):
    def data(self) -> dict[Split, Data]:
        splits = super().data()
        return {**splits, "val": splits["train"]}


class Stuck(MlpDigits):
    def model(self) -> nn.Module:
        model = super().model()
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        return model

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.square().sum()


class OtherBatches(MlpDigits):
    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        return super().batches(seeds, [0] * len(steps), device)


class Counting(nn.Linear):
    """Rows of a population share what is no tensor."""

    calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(inputs.flatten(1)) / self.calls


class SharedState(MlpDigits):
    def model(self) -> nn.Module:
        return Counting(64, 10)


@pytest.mark.parametrize(
    ("bad", "caught_by"),
    [
        (GlobalDraws, ("same_seed_same_numbers", "leaves_the_process_s_generators_alone")),
        (OwnState, ("same_seed_same_numbers", "batches_are_functions_of_seed_and_step", "a_state_stays_as_it_was")),
        (Leaking, ("splits_share_no_rows",)),
        (OtherBatches, ("batches_of_many_are_the_batches_of_each", "trains_among_others_as_alone")),
        (SharedState, ("trains_among_others_as_alone",)),
        (Stuck, ("learns", "every_optimizer_takes_steps")),
    ],
)
def test_what_breaks_the_rules_is_caught(bad: type[MlpDigits], caught_by: tuple[str, ...]) -> None:
    for name in caught_by:
        with pytest.raises(AssertionError):
            getattr(WorkloadConformance(), f"test_{name}")(bad())
