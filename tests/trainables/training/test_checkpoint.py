"""Checkpoints of trials in flight: a trial that goes on from one ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from phitune.trainables.spec import Spec
from phitune.trainables.training.checkpoint import Checkpoint, CheckpointFolder
from phitune.trainables.trial.actor import TrialActor
from phitune.trainables.workloads.base import Learner
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.exact import Quadratic


class Power:
    """Fails like a power cut at a step, once; counts the steps done."""

    cut_at: int | None = None
    steps = 0

    @classmethod
    def into(cls, learner: Learner) -> Learner:
        step = learner.step

        def counted(lr: float, momentum: float | None = None) -> Any:
            Power.steps += 1
            if Power.steps == Power.cut_at:
                Power.cut_at = None
                raise SystemExit
            return step(lr, momentum)

        learner.step = counted  # type: ignore[method-assign]
        return learner


class CutQuadratic(Quadratic):
    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return Power.into(super().learner(optimizer, seed, horizon, device))


class CutDigits(MlpDigits):
    def learner(self, optimizer: Spec, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return Power.into(super().learner(optimizer, seed, horizon, device))


def actor(path: Path, name: str, rungs: tuple[int, ...] = (10, 20), **change: Any) -> TrialActor:
    task = {
        "workload": f"{__name__}:{name}",
        "optimizer": "sgd",
        "budget": 40,
        "schedule": {"family": "uba", "phi": 1.0},
        "base_lr": 0.1,
        "seed": 3,
        "objective": "val_loss",
        "rungs": rungs,
        "test": True,
        "diagnostics": {"gradient_points": 4},
        "threads": 1,
        "checkpoint": {"path": str(path), "seconds": 0},
        **change,
    }
    Power.steps = 0
    return TrialActor({"trial_id": "c/explore-0000", "cell": "c", "task": json.dumps(task)})


def account(actor: TrialActor) -> dict[str, Any]:
    report: dict[str, Any] = {"done": False}
    while not report["done"]:
        report = actor.train()
    account: dict[str, Any] = json.loads(report["account"])
    return account


@cache
def uninterrupted(name: str, rungs: tuple[int, ...]) -> dict[str, Any]:
    """The account of a trial that is never cut, without a checkpoint."""
    return account(actor(Path(), name, rungs, checkpoint=None))


@pytest.mark.parametrize("name", ["CutQuadratic", "CutDigits"])
@pytest.mark.parametrize(
    ("rungs", "cut_at", "steps_again"),
    [((10, 20), 5, 40), ((10, 20), 11, 40), ((10, 20), 16, 25), ((10, 20), 21, 21), ((10, 20), 40, 1), ((), 7, 34)],
)
def test_a_trial_goes_on_from_its_checkpoint_bit_for_bit(
    tmp_path: Path, name: str, rungs: tuple[int, ...], cut_at: int, steps_again: int
) -> None:
    Power.cut_at = None
    whole = uninterrupted(name, rungs)
    Power.cut_at = cut_at
    with pytest.raises(SystemExit):
        account(actor(tmp_path / "checkpoint", name, rungs))
    again = account(actor(tmp_path / "checkpoint", name, rungs))
    # At a rung nothing is saved, so that a rung is never passed unreported.
    assert Power.steps == steps_again
    for key in ("status", "steps", "rungs", "curve", "diagnosed", "final"):
        assert again[key] == whole[key]
    assert (again["status"], again["steps"]) == ("completed", 40)


def test_time_and_start_are_those_of_all_its_lives(tmp_path: Path) -> None:
    Power.cut_at = 30
    began = time.time()
    with pytest.raises(SystemExit):
        account(actor(tmp_path / "checkpoint", "CutQuadratic"))
    first = time.time() - began
    time.sleep(0.5)
    resumed = time.time()
    again = account(actor(tmp_path / "checkpoint", "CutQuadratic"))
    assert began <= again["started"] <= resumed - 0.5
    assert again["seconds"] <= first + time.time() - resumed


@pytest.mark.parametrize("spoilt", ["other trial", "torn", "of another learner", "not writable"])
def test_a_trial_that_cannot_use_its_checkpoint_starts_again(tmp_path: Path, spoilt: str) -> None:
    path = tmp_path / "checkpoint"
    if spoilt == "not writable":
        (tmp_path / "file").touch()
        path = tmp_path / "file/checkpoint"
    Power.cut_at = 30
    with pytest.raises(SystemExit):
        account(actor(path, "CutDigits", **({"seed": 4} if spoilt == "other trial" else {})))
    if spoilt == "torn":
        path.write_bytes(path.read_bytes()[:-100])
    if spoilt == "of another learner":
        checkpoint = Checkpoint(path, 0, json.loads(json.dumps(actor(path, "CutDigits")._task._trial)))
        state = checkpoint.load()
        assert state is not None
        state["training"]["learner"] = {}
        assert checkpoint.save(state)
    again = account(actor(path, "CutDigits"))
    assert Power.steps == 40
    assert (again["status"], again["steps"]) == ("completed", 40)


def test_only_trials_in_flight_keep_theirs_and_the_newest_of_those(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.prune(["c/explore-0000"], 4)
    for age, number in enumerate(range(6)):
        path = folder.file_of(f"c/explore-{number:04d}")
        assert Checkpoint(path, 0, None).save({})
        os.utime(path, (1000 - age, 1000 - age))
    (tmp_path / "checkpoints/.half written").touch()
    folder.discard("c/explore-0005")
    folder.discard("c/explore-0005")
    folder.prune([f"c/explore-{number:04d}" for number in (1, 2, 4, 5)], 2)
    assert sorted(tmp_path.glob("checkpoints/*")) == [folder.file_of(f"c/explore-{number:04d}") for number in (1, 2)]


def test_savings_are_spaced_by_wall_time(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", 0.3, None)
    assert not checkpoint.due
    time.sleep(0.31)
    assert checkpoint.due
    checkpoint.save({})
    assert not checkpoint.due


def test_storage_that_hangs_holds_a_trial_up_for_moments_and_gets_one_saving_at_a_time(tmp_path: Path) -> None:
    checkpoint, other = Checkpoint(tmp_path / "c", 0, None), Checkpoint(tmp_path / "d", 0, None)
    # Opened for writing, it hangs until somebody reads.
    stuck = tmp_path / f".c.{os.getpid()}"
    os.mkfifo(stuck)
    began = time.monotonic()
    assert not checkpoint.save({"steps": 7})
    assert time.monotonic() - began < 5
    assert not checkpoint.due and not other.due
    stuck.read_bytes()
    while not other.due:
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    assert other.save({"steps": 8}) and other.load() == {"identity": None, "steps": 8}
    assert not (tmp_path / "c").exists()
