"""The Tune Trainable: an error in a trial is its result, with the reason, and the process goes on."""

from trainables.trial import TrialActor


def test_a_trial_that_raises_tells_why_and_the_actor_takes_the_next_one() -> None:
    config = {
        "workload": "quadratic",
        "optimizer": "sgd",
        "budget": 20,
        "schedule": {"family": "nonsense"},
        "base_lr": 0.1,
        "seed": 0,
        "objective": "val_loss",
        "rungs": (5,),
        "test": False,
        "diagnostics": {"gradient_points": 2},
        "threads": 1,
    }
    actor = TrialActor(config)
    failed = actor.train()
    assert (failed["status"], failed["done"], failed["steps"]) == ("failed", True, 0)
    assert "nonsense" in failed["reason"]
    assert "Traceback" in failed["traceback"]
    assert actor.reset_config({**config, "schedule": {"family": "linear"}})
    judged, completed = actor.train(), actor.train()
    assert (judged["status"], judged["steps"], judged["rung"]) == ("running", 5, 1)
    assert (completed["status"], completed["steps"]) == ("completed", 20)
    assert [point["step"] for point in completed["diagnosed"]] == [0, 20]
    assert completed["rungs"] == [(5, judged["judged"])]
