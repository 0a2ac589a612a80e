"""The Tune Trainable: an error in a trial is its result, with the reason, and the process goes on."""

import json
from typing import Any

import pytest
import torch

from phitune.trainables.trial.actor import TrialActor
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch

TASK = {
    "workload": "quadratic",
    "optimizer": "sgd",
    "budget": 20,
    "schedule": {"family": "linear"},
    "base_lr": 0.1,
    "seed": 0,
    "objective": "val_loss",
    "rungs": (5,),
    "test": False,
    "diagnostics": {"gradient_points": 2},
    "threads": 1,
}


class Poisoned(MlpDigits):
    """Every step raises the error that a GPU repeats on every call once a kernel has failed."""

    def batch(self, seed: int, step: int, device: str) -> Batch:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")


def config(**change: Any) -> dict[str, Any]:
    return {"trial_id": "c/explore-0000", "cell": "c", "task": json.dumps({**TASK, **change})}


def report(actor: TrialActor) -> dict[str, Any]:
    result = actor.train()
    return {**result, **json.loads(result["account"])}


def test_a_trial_that_raises_tells_why_and_the_actor_takes_the_next_one() -> None:
    actor = TrialActor(config(schedule={"family": "nonsense"}))
    failed = report(actor)
    assert (failed["status"], failed["done"], failed["steps"]) == ("failed", True, 0)
    assert "nonsense" in failed["reason"]
    assert "Traceback" in failed["traceback"]
    assert actor.reset_config(config())
    judged, completed = report(actor), report(actor)
    assert (judged["status"], judged["steps"], judged["rung"]) == ("running", 5, 1)
    assert (completed["status"], completed["steps"]) == ("completed", 20)
    assert [point["step"] for point in completed["diagnosed"]] == [0, 20]
    assert completed["rungs"] == [[5, judged["judged"]]]


def test_a_process_whose_gpu_answers_no_more_takes_no_next_trial() -> None:
    with pytest.raises(torch.AcceleratorError):
        TrialActor(config(workload=f"{__name__}:Poisoned")).train()
