"""What a function's `Trial` promises: its LRs, when to report, exact resume, and one clear line for every mistake."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

import phitune
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Schedule, schedule
from phitune.trainables.training.function import HandTrial
from tests.trainables.training.function import loops

LOOPS = loops.__name__


def hand(function: str = "decay", budget: int = 40, **more: object) -> HandTrial:
    given = {"phi": 2.0, "base_lr": 0.1, **more}
    return phitune.trial(f"{LOOPS}:{function}", budget=budget, **given)  # type: ignore[arg-type]


def test_lrs_are_those_of_the_schedule() -> None:
    trial = hand(warmup=0.1)
    expected = 0.1 * schedule("uba", phi=2.0, warmup=0.1).u(np.arange(40), 40)
    assert [trial.lr(step) for step in range(40)] == expected.tolist()


def test_the_largest_group_gets_the_base_lr_and_the_others_keep_their_ratio() -> None:
    trial = hand()
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(3)]
    groups = [{"params": [weights[0]]}, {"params": [weights[1]], "lr": 0.2}, {"params": [weights[2]], "lr": 0.1}]
    optimizer = torch.optim.SGD(groups, lr=0.4)
    scheduler = trial.lr_scheduler(optimizer)
    for step in range(40):
        expected = [trial.lr(step), trial.lr(step) / 2, trial.lr(step) / 4]
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_reports_are_due_at_rungs_along_the_curve_and_at_the_end() -> None:
    trial = hand()
    assert [step for step in range(1, 41) if trial.due(step)] == [5, 10, 15, 20, 25, 30, 35, 40]


def test_the_curve_holds_what_is_reported_and_the_lr_of_the_last_step() -> None:
    trial = hand()
    curve = trial.run()
    assert [point["step"] for point in curve] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert curve[0]["lr"] == trial.lr(4)
    weight = np.cumprod([1 - trial.lr(step) for step in range(40)])
    assert [point["val_loss"] for point in curve] == pytest.approx(weight[4::5].tolist(), rel=1e-12)
    assert all(point["twice"] == 2 * point["val_loss"] for point in curve)


@pytest.mark.parametrize("function", ["decay", "network", "network(optimizer_first=false)"])
@pytest.mark.parametrize("at", [1, 13, 20])
def test_a_resumed_trial_ends_in_the_same_numbers(function: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hand(function).run()
    cut = hand(function)
    _end_at(cut, at, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    # Whatever else the process draws meanwhile.
    torch.rand(5)
    rest = cut.resumed()
    assert rest.start == at
    assert cut.curve + rest.run() == whole


def _end_at(trial: HandTrial, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a trial that saves at every iteration end after so many, as by Ctrl-C."""
    save: Callable[..., None] = trial.save
    saves = itertools.count(1)

    def save_and_end(state: object, step: int | None = None) -> None:
        save(state, step)
        if next(saves) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(trial, "save", save_and_end)


def test_a_closed_loop_schedule_sees_the_reported_losses() -> None:
    plateau: Schedule = schedule("plateau", patience=0, checks=4)
    trial = phitune.trial(f"{LOOPS}:decay", family="plateau", budget=40, base_lr=0.1, patience=0, checks=4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = trial.lr_scheduler(optimizer)
    losses = {10: 1.0, 20: 2.0, 30: 3.0, 40: 0.5}
    for step in range(40):
        seen = [loss for check, loss in losses.items() if check <= step]
        expected = 0.1 * float(plateau.u(step, 40, seen))
        assert trial.lr(step) == optimizer.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        scheduler.step()
        if trial.due(step + 1):
            trial.report(step + 1, val_loss=losses.get(step + 1, 9.0))
    assert trial.lr(39) == pytest.approx(0.1 * 0.1 * 0.1)


def test_unseeded_loops_differ_by_the_seed_alone() -> None:
    first, again, other = (hand("network", seed=seed).run() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda t: t.report(3, val_loss=1.0), "report.step: 3 is not due; ask trial.due(step), which is true at 5, 10"),
        (lambda t: t.report(41, val_loss=1.0), "report.step: 41 is not allowed; the budget is 40 iterations"),
        (lambda t: t.report(0, val_loss=1.0), "report.step: 0 is not allowed; the budget is 40 iterations"),
        (lambda t: t.report(10, val_loss=1.0), "report.step: 10 is not allowed; 5 was due before it"),
        (lambda t: [t.report(5, val_loss=1.0) for _ in range(2)], "report.step: 5 is not allowed; 5 was reported"),
        (lambda t: t.report(5, loss=1.0), "report.val_loss: missing at iteration 5; it is the objective of the study"),
        (lambda t: t.report(5, val_loss="low"), "report.val_loss: str 'low' is not allowed; it must be a number"),
        (lambda t: t.report(5, val_loss=torch.zeros(2)), "report.val_loss: Tensor tensor([0., 0.]) is not allowed"),
        (lambda t: t.report(5, val_loss=1.0, **{"a:b": 1.0}), "report.a:b: not allowed; a metric's name has"),
        (lambda t: t.report(5.0, val_loss=1.0), "report.step: 5.0 is not allowed; it must be a whole number"),
        (lambda t: [t.due(5), t.save(1)], "save: iteration 5 is due and not reported yet; call save after report"),
        (lambda t: t.lr_scheduler(_optimizer(lr=0.0)), "lr_scheduler: the optimizer's LR is 0"),
    ],
)
def test_mistakes_cost_one_clear_line(act: Callable[[phitune.Trial], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        act(hand())
    assert str(error.value).startswith(message)


def test_a_state_saved_at_another_step_than_the_scheduler_s_is_refused() -> None:
    trial = hand()
    optimizer = _optimizer(lr=1.0)
    scheduler = trial.lr_scheduler(optimizer)
    for _ in range(2):
        optimizer.step()
        scheduler.step()
    trial.due(1)
    with pytest.raises(InputError, match="save: 1 iterations are done by `due`, and 2 by the scheduler"):
        trial.save({})
    trial.save({}, step=2)
    assert trial.resumed().start == 2


def test_a_state_that_is_not_restored_is_no_resume() -> None:
    trial = hand()
    trial.due(1)
    trial.save(1.0)
    rest = trial.resumed()
    with pytest.raises(InputError, match=r"trial\.start: the trial goes on at iteration 1, but its state"):
        rest.report(5, val_loss=1.0)


def test_a_loss_that_is_not_finite_may_be_reported_at_any_step() -> None:
    trial = hand()
    assert trial.report(3, val_loss=float("nan")) is False
    assert trial.curve == []


def _optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
