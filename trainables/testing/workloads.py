"""Conformance tests that every workload passes, a user's too. Needs pytest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.testing._networks import NetworkConformance
from phitune.trainables.testing._training import (
    Entry,
    changed,
    equal,
    first_optimizer,
    global_generators,
    middle_lr,
    train,
)
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import Learner, Workload, workload

__all__ = ["Entry", "WorkloadConformance"]


class WorkloadConformance(NetworkConformance):
    """Tests of a workload's contract: subclass it in a test file and name the workload.

    .. code-block:: python

        class TestMine(WorkloadConformance):
            workload = "my_module:MyWorkload"

    Every test trains on the CPU for at most a few dozen iterations with each optimizer.

    Attributes:
        workload: The workload as in a study file: a name such as ``mlp/digits``, a label such as
            ``quadratic(kappa=10)``, or a mapping. Override the fixture `entry` if it needs a temporary folder.
        learns_within: Iterations after which the validation loss must be lower than at the start, with the first
            optimizer of ``base_lr`` at the geometric middle of its range.
        steps: Iterations of the other trainings.
        alike: Largest share of a split's rows that may also be in another split, for tables with equal rows.
    """

    workload: ClassVar[Entry]
    learns_within: ClassVar[int] = 50

    @pytest.fixture
    def entry(self) -> Entry:
        """The workload's entry in a study file."""
        return self.workload

    @pytest.fixture
    def built(self, entry: Entry) -> Workload:
        """The workload."""
        return workload(Spec.of(entry))

    def test_says_what_a_search_needs(self, built: Workload) -> None:
        assert built.full_budget >= 1
        assert built.base_lr, "base_lr names no optimizer"
        for optimizer, (low, high) in built.base_lr.items():
            assert 0 < low < high, f"base_lr of {optimizer}: [{low}, {high}]"
            built.check(Spec(optimizer))
        assert built.objective in ("val_loss", "val_metric")
        assert built.metric_mode in ("min", "max")

    def test_bad_parameters_and_options_are_refused(self, built: Workload, entry: Entry) -> None:
        with pytest.raises(InputError, match="no_such_parameter"):
            changed(entry, {"no_such_parameter": 1})
        for optimizer in built.base_lr:
            with pytest.raises(InputError, match="no_such_option"):
                built.check(Spec(optimizer, (("no_such_option", 1),)))

    def test_same_seed_same_numbers(self, built: Workload) -> None:
        first, second = (self._trained(built, first_optimizer(built)) for _ in range(2))
        assert equal(first.state_dict(), second.state_dict())
        assert first.evaluate("val") == second.evaluate("val")

    def test_seeds_differ_unless_deterministic(self, built: Workload) -> None:
        first, second = (self._trained(built, first_optimizer(built), seed=seed).evaluate("val") for seed in (1, 2))
        assert (first == second) == built.deterministic

    def test_every_optimizer_takes_steps(self, built: Workload) -> None:
        before = built.learner(Spec(first_optimizer(built)), 0, self.steps).evaluate("train")
        for optimizer in built.base_lr:
            learner = self._trained(built, optimizer)
            after = learner.evaluate("train")
            assert math.isfinite(after.loss), f"{optimizer}: loss {after.loss}"
            assert after != before, f"{optimizer} changes nothing"
            assert all(math.isfinite(norm) and norm > 0 for norm in (learner.norms().grad, learner.norms().weight))

    def test_learns(self, built: Workload) -> None:
        optimizer = first_optimizer(built)
        learner = built.learner(Spec(optimizer), 0, self.learns_within)
        before = learner.evaluate("val").loss
        train(learner, self.learns_within, middle_lr(built, optimizer))
        assert learner.evaluate("val").loss < before
        assert learner.evaluate("val", averaged=True).loss < before

    def test_resuming_equals_never_having_stopped(self, built: Workload, tmp_path: Path) -> None:
        first, *others = built.base_lr
        self._assert_resumes(built, first, range(self.steps), tmp_path)
        for optimizer in others:
            self._assert_resumes(built, optimizer, (2,), tmp_path)

    def _assert_resumes(self, built: Workload, optimizer: str, stops: Sequence[int], folder: Path) -> None:
        """Saves a training at each stop; a training resumed from any of the files must end like it."""
        whole = self._training(built, optimizer)
        for stop in stops:
            whole.advance(stop)
            torch.save(whole.state_dict(), folder / f"{stop}.pt")
        whole.advance(self.steps)
        for stop in stops:
            resumed = self._training(built, optimizer)
            resumed.load_state_dict(torch.load(folder / f"{stop}.pt", weights_only=False))
            for until in (*(later for later in stops if later > stop), self.steps):
                resumed.advance(until)
            assert resumed.curve == whole.curve, f"{optimizer}, resumed at {stop}"
            assert equal(resumed.state_dict(), whole.state_dict()), f"{optimizer}, resumed at {stop}"

    def test_a_state_stays_as_it_was(self, built: Workload) -> None:
        """Neither going on after `state_dict` nor going on after `load_state_dict` changes the state between."""
        for optimizer in built.base_lr:
            learner = built.learner(Spec(optimizer), 0, self.steps)
            train(learner, 2, middle_lr(built, optimizer))
            state = learner.state_dict()
            train(learner, 2, middle_lr(built, optimizer))
            ends = []
            for _ in range(2):
                resumed = built.learner(Spec(optimizer), 0, self.steps)
                resumed.load_state_dict(state)
                train(resumed, 2, middle_lr(built, optimizer))
                ends.append(resumed.state_dict())
            assert equal(ends[0], learner.state_dict()), f"{optimizer}: changed by going on"
            assert equal(ends[1], ends[0]), f"{optimizer}: changed by going on from it"

    def test_looking_changes_nothing(self, built: Workload) -> None:
        for optimizer in built.base_lr:
            watched, alone = (built.learner(Spec(optimizer), 0, self.steps) for _ in range(2))
            for _ in range(2):
                for learner in (watched, alone):
                    train(learner, 1, middle_lr(built, optimizer))
                assert watched.evaluate("val") == watched.evaluate("val"), f"{optimizer}: validation loss drifts"
                watched.evaluate("val", averaged=True)
                watched.norms()
                watched.state_dict()
            assert equal(watched.state_dict(), alone.state_dict()), f"{optimizer}: evaluation changes training"

    def test_leaves_the_process_s_generators_alone(self, built: Workload) -> None:
        before = global_generators()
        self._trained(built, first_optimizer(built)).evaluate("val")
        for name, state in global_generators().items():
            assert equal(state, before[name]), f"{name}'s global generator has moved"

    def _trained(self, built: Workload, optimizer: str, seed: int = 0) -> Learner:
        learner = built.learner(Spec(optimizer), seed, self.steps)
        train(learner, self.steps, middle_lr(built, optimizer))
        return learner

    def _training(self, built: Workload, optimizer: str) -> Training:
        config = TrialConfig(optimizer, self.steps, schedule("linear"), middle_lr(built, optimizer), seed=0)
        return Training(built, config, points=1)
