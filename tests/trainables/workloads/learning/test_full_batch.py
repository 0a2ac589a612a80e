"""Measurements on the whole training set: right against closed forms and dense Hessians, and without a trace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Diagnostics, Training, TrialConfig
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.base import Diagnosis, Split
from phitune.trainables.workloads.exact import Quadratic
from phitune.trainables.workloads.learning.full_batch import measure
from phitune.trainables.workloads.learning.supervised import Data, SupervisedWorkload
from tests.trainables.population.twins import gpt

ALL = Diagnosis(gradient=True, hessian=True)
CLASSES = 3


class Small(SupervisedWorkload):
    """70 random examples of 4 features in 3 classes, in double precision; keeps what its models have seen."""

    full_budget = 10

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def data(self) -> dict[Split, Data]:
        rng = torch.Generator().manual_seed(1)
        inputs = torch.randn(70, 4, generator=rng, dtype=torch.float64)
        data = Data(inputs, torch.randint(CLASSES, (70,), generator=rng))
        return {"train": data, "val": data, "test": data}

    def model(self) -> nn.Module:
        return nn.Linear(4, CLASSES).double()

    def forward(self, model: nn.Module, inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return super().forward(model, inputs)


class Bowl(nn.Module):
    """Its output is ``½ Σ hᵢ wᵢ²`` whatever the input."""

    def __init__(self, curvature: list[float]) -> None:
        super().__init__()
        self.curvature = torch.tensor(curvature)
        self.weight = nn.Parameter(torch.ones(len(curvature)))

    def forward(self, inputs: Tensor) -> Tensor:
        return 0.5 * (self.curvature * self.weight**2).sum()


class Bowls(Small):
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs


def softmax_regression(model: nn.Linear, data: Data) -> tuple[float, NDArray[np.float64]]:
    """Norm of the gradient and eigenvalues of the Hessian by (weight, bias) of the mean cross-entropy."""
    x = np.c_[data.inputs.numpy(), np.ones(len(data))]
    p = torch.softmax(model(data.inputs), 1).detach().numpy()
    gradient = (p - np.eye(CLASSES)[data.targets]).T @ x / len(data)
    hessian = sum(np.kron(np.diag(q) - np.outer(q, q), np.outer(v, v)) for q, v in zip(p, x, strict=True)) / len(data)
    return float(np.linalg.norm(gradient)), np.linalg.eigvalsh(hessian)


def dense_spectrum(small: Small, model: nn.Module) -> NDArray[np.float64]:
    """All eigenvalues of the Hessian of the training loss, from the whole matrix."""
    data = small.split("train", "cpu")
    names, weights = zip(*((k, v.detach()) for k, v in model.named_parameters()), strict=True)
    sizes = [w.numel() for w in weights]

    def loss(flat: Tensor) -> Tensor:
        parts = [part.view_as(w) for part, w in zip(torch.split(flat, sizes), weights, strict=True)]
        outputs = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (data.inputs,))
        return nn.functional.cross_entropy(outputs, data.targets)

    hessian = torch.func.hessian(loss)(torch.cat([w.flatten() for w in weights]))
    return np.linalg.eigvalsh(hessian.numpy())


def start(name: str, optimizer: str = "sgd", base_lr: float = 0.1, diagnostics: Diagnostics | None = None) -> Training:
    config = TrialConfig(optimizer, 20, schedule("linear"), base_lr, seed=3)
    return Training(workload(Spec.parse(name)), config, diagnostics=diagnostics)


def test_logistic_regression_has_the_gradient_and_curvature_of_its_formulas() -> None:
    small = Small()
    model = small.model()
    norm, spectrum = softmax_regression(model, small.split("train", "cpu"))
    measured = measure(small, model, ALL, "cpu")
    assert measured["full_grad_norm"] == pytest.approx(norm, rel=1e-10)
    assert measured["hessian_max"] == pytest.approx(spectrum[-1], rel=1e-3)
    # Adding the same to all classes' logits changes nothing: the smallest eigenvalue is zero.
    assert measured["hessian_min"] == pytest.approx(0.0, abs=1e-3 * spectrum[-1])
    assert spectrum[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_extremes_are_those_of_the_dense_hessian(seed: int) -> None:
    torch.manual_seed(seed)
    small = Small()
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, CLASSES)).double()
    spectrum = dense_spectrum(small, model)
    measured = measure(small, model, Diagnosis(gradient=False, hessian=True), "cpu")
    assert set(measured) == {"hessian_max", "hessian_min"}
    assert spectrum[0] < 0 < spectrum[-1]
    assert measured["hessian_max"] == pytest.approx(spectrum[-1], rel=1e-3)
    assert measured["hessian_min"] == pytest.approx(spectrum[0], abs=2e-3 * spectrum[-1])


@pytest.mark.parametrize("curvature", [[5.0, 1.0, 0.1], [-5.0, 1.0, 0.0], [-3.0, -2.0, -1.0], [3.0] * 3, [0.0] * 3])
def test_extremes_whatever_the_signs(curvature: list[float]) -> None:
    measured = measure(Bowls(), Bowl(curvature), ALL, "cpu")
    assert measured["hessian_max"] == pytest.approx(max(curvature), abs=5e-3)
    assert measured["hessian_min"] == pytest.approx(min(curvature), abs=5e-3)
    assert measured["full_grad_norm"] == pytest.approx(np.linalg.norm(curvature), rel=1e-6)


def test_a_loss_without_curvature_has_a_hessian_of_zero() -> None:
    class Slope(Bowls):
        def forward(self, model: nn.Module, inputs: Tensor) -> Tensor:
            return sum(p.sum() for p in model.parameters())  # type: ignore[return-value]

    measured = measure(Slope(), Bowl([1.0, 2.0]), ALL, "cpu")
    assert measured["hessian_max"] == measured["hessian_min"] == 0.0


def test_what_is_not_finite_is_left_out() -> None:
    small = Small()
    model = small.model()
    nn.init.constant_(model.weight, torch.nan)
    assert measure(small, model, ALL, "cpu") == {}


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("examples", [None, 20])
def test_the_size_of_the_chunks_changes_nothing(chunk: int, examples: int | None) -> None:
    diagnosis = Diagnosis(hessian=True, examples=examples)
    model = Small().model()
    expected = measure(Small(), model, diagnosis, "cpu")
    chunked = Small()
    chunked.chunk = chunk
    assert measure(chunked, model, diagnosis, "cpu") == pytest.approx(expected, rel=1e-9)


def test_the_mean_is_over_examples_not_over_parts() -> None:
    small = Small.build(Spec("small", (("batch_size", 32),)))
    data, model = small.split("train", "cpu"), small.model()
    measured = measure(small, model, Diagnosis(), "cpu")
    assert [len(part) for part in small.seen] == [32, 32, 6]
    loss = nn.functional.cross_entropy(model(data.inputs), data.targets)
    loss.backward()
    assert measured["full_train_loss"] == pytest.approx(float(loss), rel=1e-12)
    assert measured["full_grad_norm"] == pytest.approx(
        float(nn.utils.get_total_norm([p.grad for p in model.parameters()])), rel=1e-12
    )


def test_the_subset_is_the_same_for_all_trials() -> None:
    seen = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        small = Small()
        measure(small, small.model(), Diagnosis(examples=20), "cpu")
        seen.append(torch.cat(small.seen))
    assert torch.equal(*seen)
    assert len(seen[0].unique(dim=0)) == 20


def test_more_examples_than_there_are_means_all() -> None:
    small = Small()
    model = small.model()
    measured = measure(small, model, Diagnosis(examples=1000), "cpu")
    assert measured == pytest.approx(measure(small, model, Diagnosis(), "cpu"), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("mlp/digits", "sgd"),
        pytest.param("cnn/digits", "adamw", marks=pytest.mark.full),
        ("mlp/digits", "schedulefree-sgd"),
        ("quadratic", "sgd"),
    ],
)
def test_measuring_changes_nothing(name: str, optimizer: str) -> None:
    diagnostics = Diagnostics(gradient_points=5, hessian=True, examples=200)
    plain, measured = start(name, optimizer), start(name, optimizer, diagnostics=diagnostics)
    for training in (plain, measured):
        training.advance(20)
    assert measured.curve == plain.curve
    assert measured.diagnosed
    assert not plain.diagnosed
    assert equal(measured.learner.state_dict(), plain.learner.state_dict())


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(equal(a, b) for a, b in zip(first, second, strict=True))
    return bool(np.array_equal(first, second))


def test_measuring_leaves_the_last_gradient_and_the_fused_kernels_as_they_were() -> None:
    learner = workload(Spec("mlp/digits")).learner(Spec("sgd"), seed=0, horizon=10)
    learner.step(0.1)
    norms = learner.norms()
    learner.diagnose(Diagnosis(gradient=True, hessian=True, examples=200))
    assert learner.norms() == norms
    assert torch.backends.cuda.flash_sdp_enabled()


def test_measured_at_start_middle_and_end() -> None:
    training = start("mlp/iris(batch_size=16)", diagnostics=Diagnostics(gradient_points=5, hessian=True))
    training.advance(20)
    at = {point["step"]: point for point in training.diagnosed}
    assert list(at) == [0, 5, 10, 15, 20]
    assert [step for step, point in at.items() if "hessian_max" in point] == [0, 10, 20]
    assert all({"full_grad_norm", "full_train_loss"} <= set(point) for point in at.values())
    assert at[20]["full_train_loss"] == pytest.approx(training.learner.evaluate("train").loss, rel=1e-5)
    assert at[20]["full_train_loss"] < at[0]["full_train_loss"]


def test_attention_has_a_hessian(tmp_path: Path) -> None:
    learner = gpt(tmp_path).learner(Spec("adamw"), seed=0, horizon=10)
    measured = learner.diagnose(Diagnosis(hessian=True, examples=2))
    assert measured["hessian_max"] > 0 > measured["hessian_min"]
    assert measured["full_grad_norm"] > 0


def test_the_quadratic_is_exact() -> None:
    learner = Quadratic(kappa=10.0, noise=0.5, dim=4).learner(Spec("sgd"), 0, 5)
    h = np.logspace(-1, 0, 4)
    v = np.full(4, 0.25)
    for _ in range(5):
        learner.step(0.3)
        v = (1 - 0.3 * h) ** 2 * v + 0.3**2 * 0.5 * h / 4
    measured = learner.diagnose(ALL)
    assert measured["full_train_loss"] == pytest.approx(0.5 * h @ v)
    assert measured["full_grad_norm"] == pytest.approx(np.sqrt(h**2 @ v))
    assert (measured["hessian_min"], measured["hessian_max"]) == pytest.approx((0.1, 1.0))
