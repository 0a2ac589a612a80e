"""A function runs from rung to rung, hears its verdicts, and ends with its trial."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from phitune.trainables.errors import ProcessLostError
from phitune.trainables.trial.actor import TrialActor
from tests.trainables.training.function import loops


def config(folder: Path, function: str, **change: Any) -> dict[str, Any]:
    task = {
        "workload": f"{loops.__name__}:{function}",
        "optimizer": "own",
        "budget": 40,
        "schedule": {"family": "linear"},
        "base_lr": 0.1,
        "seed": 0,
        "objective": "val_loss",
        "rungs": (10, 18),
        "test": False,
        "diagnostics": {},
        "threads": 1,
        "directory": str(folder / "files"),
        "patience": 0.5,
        **change,
    }
    return {"trial_id": "c/explore-0000", "cell": "c", "task": json.dumps(task)}


def report(actor: TrialActor) -> dict[str, Any]:
    result = actor.train()
    return {**result, **json.loads(result["account"])}


def test_it_waits_at_its_rungs_and_returns_what_is_left_of_it_at_the_end(tmp_path: Path) -> None:
    actor = TrialActor(config(tmp_path, "decay"))
    first, second, last = (report(actor) for _ in range(3))
    assert [each["status"] for each in (first, second, last)] == ["running", "running", "completed"]
    assert [each["steps"] for each in (first, second, last)] == [10, 18, 40]
    assert [each["rung"] for each in (first, second, last)] == [1, 2, 0]
    assert (first["judged"], second["judged"]) == tuple(value for _, value in last["rungs"])
    assert [point["step"] for point in last["curve"]] == [5, 10, 15, 18, 20, 25, 30, 35, 40]
    assert last["final"].keys() == {"val_loss", "twice", "objective"}
    assert last["final"]["objective"] == last["curve"][-1]["val_loss"]


def test_a_stopped_function_hears_it_before_the_next_trial_begins(tmp_path: Path) -> None:
    actor = TrialActor(config(tmp_path, "decay"))
    assert report(actor)["rung"] == 1
    assert not (tmp_path / "files/stopped").exists()
    assert actor.reset_config(config(tmp_path, "decay", rungs=()))
    assert (tmp_path / "files/stopped").exists()
    assert report(actor)["status"] == "completed"


def test_one_that_ignores_its_verdict_ends_at_its_next_call(tmp_path: Path) -> None:
    actor = TrialActor(config(tmp_path, "obstinate"))
    report(actor)
    assert actor.reset_config(config(tmp_path, "decay"))
    assert not (tmp_path / "files/swallowed").exists()


def test_one_that_does_not_end_costs_the_process_and_no_trial(tmp_path: Path) -> None:
    actor = TrialActor(config(tmp_path, "deaf"))
    report(actor)
    began = time.monotonic()
    with pytest.raises(ProcessLostError):
        actor.reset_config(config(tmp_path, "decay"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("function", "status", "reason", "steps"),
    [
        ("raises", "failed", "ZeroDivisionError: nothing to share", 0),
        ("returns_early", "failed", "InputError: .*returned although it was not told to stop; .* iteration 5 of 40", 5),
        ("explodes", "diverged", "the reported loss is not finite at iteration 3", 3),
        ("nothing", "failed", "InputError: workload: cannot import", 0),
        pytest.param("ray_train", "failed", "RuntimeError: a Ray Train .*use phitune.spawn", 0, marks=pytest.mark.full),
        ("decay(stort=1)", "failed", "InputError: workloads.*stort: unknown parameter; did you mean 'start'", 0),
    ],
)
def test_how_it_fails_is_in_its_last_report(
    tmp_path: Path, function: str, status: str, reason: str, steps: int
) -> None:
    name, _, arguments = function.partition("(")
    entry: Any = f"{loops.__name__}:{name}"
    if arguments:
        entry = {"name": entry, **dict([arguments.rstrip(")").split("=")])}
    actor = TrialActor(config(tmp_path, name, workload=entry, rungs=()))
    ended = report(actor)
    assert (ended["status"], ended["done"], ended["steps"]) == (status, True, steps)
    assert re.match(reason, ended["reason"]), ended["reason"]
    if function == "raises":
        assert "loops.py" in ended["traceback"]
    assert actor.reset_config(config(tmp_path, "decay", rungs=()))
    assert not (tmp_path / "files/after").exists() or function == "explodes"
    assert report(actor)["status"] == "completed"


def test_a_state_is_restored_once(tmp_path: Path) -> None:
    checkpoint = {"path": str(tmp_path / "c.ckpt"), "seconds": 1e-6}
    first, second = (TrialActor(config(tmp_path, "restores_twice", checkpoint=checkpoint, rungs=())) for _ in range(2))
    assert re.fullmatch(r"ZeroDivisionError: the process dies \(loops\.py:\d+\)", report(first)["reason"])
    assert report(second)["reason"].startswith("InputError: restore: it was called before")


def test_a_new_process_goes_on_from_the_last_save(tmp_path: Path) -> None:
    checkpoint = {"path": str(tmp_path / "c.ckpt"), "seconds": 1e-6}
    whole = TrialActor(config(tmp_path, "decay"))
    expected = [report(whole) for _ in range(3)][-1]
    actor = TrialActor(config(tmp_path, "decay", checkpoint=checkpoint))
    report(actor)
    assert not (tmp_path / "c.ckpt").exists(), "a trial that may be stopped at its first rung is not worth saving"
    report(actor)
    assert (tmp_path / "c.ckpt").exists()
    other = TrialActor(config(tmp_path, "decay", checkpoint=checkpoint))
    ended = report(other)
    while not ended["done"]:
        ended = report(other)
    assert (ended["curve"], ended["rungs"]) == (expected["curve"], expected["rungs"])
    assert ended["started"] < other._task._resumed
