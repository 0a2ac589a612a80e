"""Tasks in a population: their reports are those of tasks alone, and no task holds up or spoils another."""

import gc
import json
import os
import random
import re
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from phitune.trainables.errors import TaskGoneError
from phitune.trainables.population.host import Host
from phitune.trainables.population.population import Population
from phitune.trainables.population.trainer import JointTrainer
from phitune.trainables.training.task import Task
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch

NAME = "tests.trainables.population.test_host"
FOREVER = 60.0


class Spoilt(MlpDigits):
    """Digits of which seed 7 has none, and seed 8 such that the loss is no number."""

    def batch(self, seed: int, step: int, device: str) -> Batch:
        inputs, targets = super().batch(seed, step, device)
        if seed == 7 and step == 3:
            raise FileNotFoundError("no digits for seed 7")
        return (inputs * torch.nan if seed == 8 and step == 5 else inputs), targets


class Hanging(MlpDigits):
    """Digits whose batches block, as if on a lock that is never released."""

    until = threading.Event()

    def batch(self, seed: int, step: int, device: str) -> Batch:
        self.until.wait()
        return super().batch(seed, step, device)


class Slow(MlpDigits):
    def batches(self, seeds: Any, steps: Any, device: str) -> tuple[Tensor, Tensor]:
        time.sleep(0.01)
        return super().batches(seeds, steps, device)


def text(**change: Any) -> str:
    return json.dumps(
        {
            "workload": {"name": "mlp/digits", "precision": "fp64"},
            "optimizer": "sgd",
            "budget": 40,
            "schedule": {"family": "uba", "phi": 1.0},
            "base_lr": 0.1,
            "seed": 0,
            "objective": "val_loss",
            "rungs": (10, 20),
            "test": True,
            "diagnostics": {"gradient_points": 3},
            "threads": 1,
            **change,
        }
    )


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what depends on the clock."""
    account = json.loads(report["account"])
    return {**report, "account": {k: v for k, v in account.items() if k not in ("started", "seconds", "traceback")}}


def whole(host: Host, key: str) -> list[dict[str, Any]]:
    """All reports of a submitted task."""
    reports: list[dict[str, Any]] = []
    while not reports or not reports[-1]["done"]:
        host.resume(key)
        reports.append(without_times(next_report(host, key)))
    return reports


def next_report(host: Host, key: str) -> dict[str, Any]:
    """A task's next report; calls the host all the time, as a live process does."""
    end = time.monotonic() + FOREVER
    while True:
        try:
            return host.report(key).result(0.05)
        except TimeoutError:
            assert time.monotonic() < end


def alone(task: str) -> list[dict[str, Any]]:
    """The reports of the task by itself."""
    lone, reports = Task(task), [{"done": False}]
    while not reports[-1]["done"]:
        reports.append(without_times(lone.report()))
    return reports[1:]


def assert_same(actual: Any, expected: Any) -> None:
    """Equal but for the order in which sums were taken."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(actual[key], value)
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert actual == pytest.approx(expected, rel=1e-9, abs=1e-12)
    else:
        assert actual == expected


def test_tasks_of_several_budgets_and_optimizers_report_what_they_do_alone() -> None:
    draw = random.Random(0)
    tasks = {
        f"t{number}": text(
            seed=number,
            budget=draw.choice([15, 25, 40]),
            rungs=draw.choice([(), (5,), (5, 10)]),
            optimizer=draw.choice(["sgd", "adamw"]),
            schedule=draw.choice([{"family": "linear"}, {"family": "onecycle"}, {"family": "plateau"}]),
            base_lr=10 ** draw.uniform(-3, -1),
        )
        for number in range(9)
    }
    host, waiting, reports = Host("cpu"), list(tasks), {key: [] for key in tasks}
    flying: list[str] = []
    while waiting or flying:
        while waiting and host.submit(waiting[0], tasks[waiting[0]], 4):
            host.resume(waiting[0])
            flying.append(waiting.pop(0))
        assert flying
        key = draw.choice(flying)
        reports[key].append(without_times(host.report(key).result(FOREVER)))
        if reports[key][-1]["done"]:
            host.remove(key)
            flying.remove(key)
        else:
            host.resume(key)
    for key, task in tasks.items():
        assert_same(reports[key], alone(task))


def test_one_that_raises_or_diverges_touches_no_other() -> None:
    entry = {"name": f"{NAME}:Spoilt", "precision": "fp64"}
    tasks = {f"t{seed}": text(workload=entry, seed=seed, rungs=()) for seed in (6, 7, 8, 9)}
    host = Host("cpu")
    for key, task in tasks.items():
        assert host.submit(key, task, 4)
        host.resume(key)
    reports = {key: without_times(host.report(key).result(FOREVER)) for key in tasks}
    status = {key: report["account"]["status"] for key, report in reports.items()}
    assert status == {"t6": "completed", "t7": "failed", "t8": "diverged", "t9": "completed"}
    reason = reports["t7"]["account"]["reason"]
    assert re.fullmatch(r"FileNotFoundError: no digits for seed 7 \(test_host\.py:\d+\)", reason)
    for key in ("t6", "t8", "t9"):
        assert_same([reports[key]], alone(tasks[key]))


def test_a_task_goes_on_from_its_checkpoint_alone_or_in_company(tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "saved"), "seconds": 0}
    saved = text(checkpoint=place)
    first, expected = Task(saved), alone(text())
    assert_same([without_times(first.report()), without_times(first.report())], expected[:2])
    host = Host("cpu")
    assert host.submit("company", text(seed=1), 2)
    host.resume("company")
    assert host.submit("saved", saved, 2)
    # It was saved last between the first two reports.
    assert_same(whole(host, "saved"), expected[1:])
    # And now, in company, before the last.
    assert_same([without_times(Task(saved).report())], expected[2:])


def test_a_host_accepts_one_population_s_capacity() -> None:
    host = Host("cpu")
    assert [host.submit(key, text(), 2) for key in ("a", "b", "c")] == [True, True, False]
    assert host.submit("b", text(), 2), "a task that begins again has room"
    host.remove("a")
    assert host.submit("c", text(), 2)


def test_a_task_whose_lease_ends_frees_its_place() -> None:
    host = Host("cpu", lease=0.3)
    assert host.submit("left", text(), 1)
    assert not host.submit("next", text(), 1)
    end = time.monotonic() + FOREVER
    while not host.submit("next", text(), 1):
        assert time.monotonic() < end
        time.sleep(0.05)
    with pytest.raises(TaskGoneError):
        host.resume("left")
    assert whole(host, "next")[-1]["account"]["status"] == "completed"


def test_an_idle_task_holds_up_no_other() -> None:
    host, entry = Host("cpu"), {"name": f"{NAME}:Slow"}
    for key in ("waits", "works"):
        assert host.submit(key, text(workload=entry, seed=len(key)), 2)
        host.resume(key)
    host.report("waits").result(FOREVER)
    assert len(whole(host, "works")) >= 2


def test_a_host_with_a_task_that_hangs_is_stuck() -> None:
    # Longer than a busy machine holds up the one that asks on.
    host = Host("cpu", lease=3.0)
    for key, entry in (("hangs", {"name": f"{NAME}:Hanging"}), ("works", {"name": f"{NAME}:Slow"})):
        assert host.submit(key, text(workload=entry), 2)
        host.resume(key)
    end = time.monotonic() + FOREVER
    while not host.stuck:
        # The process of the one that hangs was ended; the other asks on.
        host.report("works")
        assert time.monotonic() < end
        time.sleep(0.05)
    Hanging.until.set()
    next_report(host, "works")
    while host.stuck:
        assert time.monotonic() < end
        time.sleep(0.05)


def at_first_rung(host: Host, tasks: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Tasks begun and trained to their first report; then they are idle."""
    for key, task in tasks.items():
        assert host.submit(key, task, 3)
        host.resume(key)
    return {key: [without_times(host.report(key).result(FOREVER))] for key in tasks}


def once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Makes a method raise at its next call."""
    original = getattr(owner, name)

    def failing(*args: Any) -> Any:
        monkeypatch.setattr(owner, name, original)
        raise torch.OutOfMemoryError("once")

    monkeypatch.setattr(owner, name, failing)


@pytest.mark.parametrize("method", ["step", "evaluate"])
def test_an_error_of_a_population_reaches_the_tasks_in_the_call_only(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    tasks = {key: text(seed=seed) for seed, key in enumerate("abc")}
    host = Host("cpu")
    reports = at_first_rung(host, tasks)
    once(monkeypatch, Population, method)
    host.resume("a")
    with pytest.raises(torch.OutOfMemoryError):
        host.report("a").result(FOREVER)
    # As a restarted process does.
    assert host.submit("a", tasks["a"], 3)
    for key in "bc":
        reports[key] += whole(host, key)
        assert_same(reports[key], alone(tasks[key]))
    assert_same(whole(host, "a"), alone(tasks["a"]))


def test_an_error_of_the_trainer_reaches_tasks_in_training_and_idle_ones_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tasks = {key: text(seed=seed) for seed, key in enumerate("abc")}
    host = Host("cpu")
    at_first_rung(host, tasks)
    once(monkeypatch, JointTrainer, "step")
    host.resume("a")
    with pytest.raises(torch.OutOfMemoryError):
        host.report("a").result(FOREVER)
    assert host.submit("a", text(budget=100_000, rungs=(), diagnostics={}), 3)
    host.resume("a")
    for key in "bc":
        with pytest.raises(TaskGoneError):
            host.resume(key)
            host.report(key).result(FOREVER)
        assert not host.report("a").done(), "it trains on"
        assert host.submit(key, tasks[key], 3)
        assert_same(whole(host, key), alone(tasks[key]))
    host.remove("a")
    while not host._trainer.idle:
        # An interpreter that ends while a thread computes is aborted.
        time.sleep(0.01)


def test_a_command_that_fails_reaches_its_own_task_only(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {key: text(seed=seed) for seed, key in enumerate("abc")}
    host = Host("cpu")
    reports = at_first_rung(host, {key: tasks[key] for key in "ab"})
    once(monkeypatch, JointTrainer, "add")
    with host._changed:
        # Commands of one turn.
        assert host.submit("a", tasks["a"], 3)
        assert host.submit("c", tasks["c"], 3)
        host.resume("a")
    with pytest.raises(torch.OutOfMemoryError):
        host.report("a").result(FOREVER)
    reports["b"] += whole(host, "b")
    assert_same(reports["b"], alone(tasks["b"]))
    assert_same(whole(host, "c"), alone(tasks["c"]))
    assert host.submit("a", tasks["a"], 3)
    assert_same(whole(host, "a"), alone(tasks["a"]))


def test_removed_and_replaced_tasks_resolve_their_reports() -> None:
    host = Host("cpu", lease=0.5)
    begun = []
    for key in ("ended", "replaced", "left"):
        assert host.submit(key, text(workload={"name": f"{NAME}:Slow"}, budget=100_000, rungs=()), 3)
        host.resume(key)
        begun.append(host.report(key))
    host.remove("ended")
    assert host.submit("replaced", text(), 3)
    for report in begun:
        with pytest.raises(TaskGoneError):
            report.result(FOREVER)


@pytest.mark.full
def test_saves_of_all_trials_together_leave_time_to_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A slow disk, on which saves at the interval of one trial would take over two thirds of the time."""
    count, trainer = 16, JointTrainer("cpu")
    fsync, saves = os.fsync, []

    def slow(file: int) -> None:
        saves.append(time.monotonic())
        time.sleep(0.05)
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow)
    for seed in range(count):
        place = {"path": str(tmp_path / str(seed)), "seconds": 0.8}
        trainer.add(str(seed), text(seed=seed, budget=10**6, rungs=(), diagnostics={}, checkpoint=place), count)
        trainer.resume(str(seed))
    end = time.monotonic() + 8
    while time.monotonic() < end:
        trainer.step()
    assert len(list(tmp_path.iterdir())) == count, "each is saved"
    # How long a save takes is known only after the first ones.
    assert len(saves) <= 3 * count


@pytest.fixture
def populations(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Tensor]]:
    """References to the weights of every population that is created."""
    weights: list[weakref.ref[Tensor]] = []
    original = Population.__init__

    def noted(population: Population, *args: Any) -> None:
        original(population, *args)
        weights.append(weakref.ref(population.stack._weights))

    monkeypatch.setattr(Population, "__init__", noted)
    return weights


def test_removed_tasks_hold_no_memory_even_until_garbage_is_collected(
    populations: list[weakref.ref[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = JointTrainer("cpu")
    for key in "ab":
        trainer.add(key, text(rungs=(), budget=3), 2)
        trainer.resume(key)
    while not trainer.idle:
        trainer.step()
    gc.collect()
    gc.disable()
    monkeypatch.setattr(gc, "collect", lambda: 0)
    try:
        for key in "ab":
            trainer.remove(key)
        trainer.release_memory()
        assert [weights() for weights in populations] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize("fails", [False, True])
def test_an_empty_host_releases_its_memory(
    populations: list[weakref.ref[Tensor]], monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    host, task = Host("cpu"), text(rungs=(), budget=3, test=False)
    for key in "ab":
        assert host.submit(key, task, 2)
        host.resume(key)
        next_report(host, key)
        if fails:
            once(monkeypatch, Population, "step")
            assert host.submit(key, task, 2)
            host.resume(key)
            with pytest.raises(torch.OutOfMemoryError):
                next_report(host, key)
    assert len(populations) == 1
    assert populations[0]() is not None
    for key in "ab":
        host.remove(key)
    end = time.monotonic() + FOREVER
    while populations[0]() is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert host.submit("c", task, 2)
    assert whole(host, "c")[-1]["account"]["status"] == "completed"
