"""The Tune Trainable: an error in a trial is its result, with the reason, and the process goes on."""

import json
from typing import Any

from trainables.trial import TrialActor

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
