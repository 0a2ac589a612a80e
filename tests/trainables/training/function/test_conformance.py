"""The conformance suite for functions passes a sound one and catches one that forgets a part of its state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import phitune
from phitune.trainables.testing.functions import FunctionConformance
from tests.trainables.training.function import loops


class TestNetwork(FunctionConformance):
    workload = f"{loops.__name__}:network"
    base_lr = 0.05


def forgetful(trial: phitune.Trial, forgets: str) -> None:
    """A weight with momentum and noise that does not use its seed or LR, or does not save all that it needs."""
    weight, momentum = trial.restore() or (1.0, 0.0)
    noise = torch.Generator().manual_seed(0 if forgets == "seed" else trial.seed)
    for step in range(trial.start, trial.budget):
        momentum = 0.9 * momentum + weight
        weight -= (0.01 if forgets == "lr" else trial.lr(step)) * momentum + 0.01 * float(
            torch.rand((), generator=noise)
        )
        if trial.due(step + 1) and not trial.report(step + 1, val_loss=weight):
            return
        trial.save((weight, 0.0 if forgets == "momentum" else momentum))


@pytest.mark.parametrize(
    ("forgets", "test"),
    [
        ("seed", FunctionConformance.test_seeds_differ),
        ("lr", FunctionConformance.test_it_trains_with_the_trial_s_lr),
        ("momentum", FunctionConformance.test_resuming_equals_never_having_stopped),
        ("the generator", FunctionConformance.test_resuming_equals_never_having_stopped),
    ],
)
def test_what_a_function_forgets_is_noticed(forgets: str, test: object, tmp_path: Path) -> None:
    class Suite(FunctionConformance):
        workload = {"name": f"{__name__}:forgetful", "forgets": forgets}  # noqa: RUF012
        base_lr = 0.05

    with pytest.raises(AssertionError):
        test(Suite(), tmp_path)  # type: ignore[operator]
