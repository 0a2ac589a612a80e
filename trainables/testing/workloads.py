"""What every workload must keep to, as tests."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from copy import copy
from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.population.eligibility import alone_reason
from phitune.trainables.population.population import Population, value_of
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec, Value
from phitune.trainables.training import Step, Training, TrialConfig
from phitune.trainables.workloads import Learner, Workload, workload
from phitune.trainables.workloads.base import average_weight
from phitune.trainables.workloads.learning.device import seeded, step_seed
from phitune.trainables.workloads.learning.supervised import SupervisedWorkload
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

Entry = str | Mapping[str, Value]

_BAD_RECIPES: tuple[dict[str, Value], ...] = (
    {"batch_size": 0},
    {"batch_size": 2.5},
    {"accumulate": 0},
    {"batch_size": 2, "accumulate": 3},
    {"weight_decay": -0.1},
    {"clip_norm": "none"},
    {"label_smoothing": 1.0},
    {"precision": "fp8"},
    {"compile": "yes"},
)


class WorkloadConformance:
    """Subclass this in a test file, name the workload, and pytest holds it to what a search relies on.

    .. code-block:: python

        class TestMine(WorkloadConformance):
            workload = "my_module:MyWorkload"

    All of it runs on the CPU, in a few dozen iterations for each optimizer.

    Attributes:
        workload: The workload as in a study file: a name such as ``mlp/digits``, a label such as
            ``quadratic(kappa=10)``, or a mapping. Override the fixture `entry` where it needs a temporary folder.
        learns_within: Iterations after which the validation loss must be lower than at the start, with the first
            optimizer of ``base_lr`` at the geometric middle of its range.
        steps: Iterations of the other tests.
        alike: Largest share of a split's rows that may also stand in another one, for tables with equal rows.
    """

    workload: ClassVar[Entry]
    learns_within: ClassVar[int] = 50
    steps: ClassVar[int] = 4
    alike: ClassVar[float] = 0.0

    @pytest.fixture
    def entry(self) -> Entry:
        return self.workload

    @pytest.fixture
    def built(self, entry: Entry) -> Workload:
        return workload(Spec.of(entry))

    @pytest.fixture
    def network(self, built: Workload) -> TorchWorkload:
        """The workload if it is one of torch; other kinds skip the test."""
        if not isinstance(built, TorchWorkload):
            pytest.skip("not a TorchWorkload: there is no torch network to look into")
        return built

    def test_says_what_a_search_needs(self, built: Workload) -> None:
        assert built.full_budget >= 1
        assert built.base_lr, "base_lr names no optimizer"
        for optimizer, (low, high) in built.base_lr.items():
            assert 0 < low < high, f"base_lr of {optimizer}: [{low}, {high}]"
            built.check(Spec(optimizer))
        assert built.objective in ("val_loss", "val_metric")
        assert built.metric_mode in ("min", "max")

    def test_bad_parameters_and_options_are_told(self, built: Workload, entry: Entry) -> None:
        with pytest.raises(InputError, match="no_such_parameter"):
            _changed(entry, {"no_such_parameter": 1})
        for optimizer in built.base_lr:
            with pytest.raises(InputError, match="no_such_option"):
                built.check(Spec(optimizer, (("no_such_option", 1),)))

    def test_bad_recipes_are_told(self, network: TorchWorkload, entry: Entry) -> None:
        for values in _BAD_RECIPES:
            with pytest.raises(InputError, match=next(reversed(values))):
                _changed(entry, values)

    def test_same_seed_same_numbers(self, built: Workload) -> None:
        first, second = (self._trained(built, _first(built)) for _ in range(2))
        assert _equal(first.state_dict(), second.state_dict())
        assert first.evaluate("val") == second.evaluate("val")

    def test_seeds_differ_unless_deterministic(self, built: Workload) -> None:
        first, second = (self._trained(built, _first(built), seed=seed).evaluate("val") for seed in (1, 2))
        assert (first == second) == built.deterministic

    def test_every_optimizer_takes_steps(self, built: Workload) -> None:
        for optimizer in built.base_lr:
            learner = built.learner(Spec(optimizer), 0, self.steps)
            before = learner.evaluate("train")
            _train(learner, self.steps, _middle(built, optimizer))
            after = learner.evaluate("train")
            assert math.isfinite(after.loss), f"{optimizer}: loss {after.loss}"
            assert after != before, f"{optimizer} changes nothing"
            assert all(math.isfinite(norm) and norm > 0 for norm in (learner.norms().grad, learner.norms().weight))

    def test_learns(self, built: Workload) -> None:
        optimizer = _first(built)
        learner = built.learner(Spec(optimizer), 0, self.learns_within)
        before = learner.evaluate("val").loss
        _train(learner, self.learns_within, _middle(built, optimizer))
        assert learner.evaluate("val").loss < before
        assert learner.evaluate("val", averaged=True).loss < before

    def test_resuming_equals_never_having_stopped(self, built: Workload, tmp_path: Path) -> None:
        file = tmp_path / "state.pt"
        stops = [(_first(built), stop) for stop in range(self.steps)] + [(name, 2) for name in built.base_lr]
        for optimizer, stop in stops:
            whole, broken, resumed = (self._training(built, optimizer) for _ in range(3))
            whole.advance(stop)
            broken.advance(stop)
            torch.save(broken.state_dict(), file)
            resumed.load_state_dict(torch.load(file, weights_only=False))
            for training in (whole, resumed):
                training.advance(self.steps)
            assert resumed.curve == whole.curve, f"{optimizer}, resumed at {stop}"
            assert _equal(resumed.state_dict(), whole.state_dict()), f"{optimizer}, resumed at {stop}"

    def test_a_state_stays_as_it_was(self, built: Workload) -> None:
        """Neither going on after `state_dict` nor going on after `load_state_dict` changes the state between."""
        for optimizer in built.base_lr:
            learner = self._trained(built, optimizer)
            state = learner.state_dict()
            _train(learner, 2, _middle(built, optimizer))
            ends = []
            for _ in range(2):
                resumed = built.learner(Spec(optimizer), 0, self.steps)
                resumed.load_state_dict(state)
                _train(resumed, 2, _middle(built, optimizer))
                ends.append(resumed.state_dict())
            assert _equal(ends[0], learner.state_dict()), f"{optimizer}: changed by going on"
            assert _equal(ends[1], ends[0]), f"{optimizer}: changed by going on from it"

    def test_looking_changes_nothing(self, built: Workload) -> None:
        for optimizer in built.base_lr:
            watched, alone = (built.learner(Spec(optimizer), 0, self.steps) for _ in range(2))
            for _ in range(2):
                for learner in (watched, alone):
                    _train(learner, 1, _middle(built, optimizer))
                assert watched.evaluate("val") == watched.evaluate("val"), f"{optimizer}: validation loss drifts"
                watched.evaluate("val", averaged=True)
                watched.norms()
                watched.state_dict()
            assert _equal(watched.state_dict(), alone.state_dict()), f"{optimizer}: evaluation changes training"

    def test_leaves_the_process_s_generators_alone(self, built: Workload) -> None:
        before = _process_s_generators()
        self._trained(built, _first(built)).evaluate("val")
        for name, state in _process_s_generators().items():
            assert _equal(state, before[name]), f"{name}'s global generator has moved"

    def test_batches_are_functions_of_seed_and_step(self, network: TorchWorkload) -> None:
        batches = {step: _batch(network, 3, step) for step in (7, 0, 2)}
        for step, batch in batches.items():
            assert _equal(_batch(network, 3, step), batch), f"the batch of step {step} changes"
        assert not _equal(batches[0], batches[2]), "steps 0 and 2 have the same batch"
        assert not _equal(batches[0], _batch(network, 4, 0)), "seeds 3 and 4 have the same batch"

    def test_batches_of_many_are_the_batches_of_each(self, network: TorchWorkload) -> None:
        seeds, steps = (3, 4, 3), (0, 2, 7)
        inputs, targets = network.batches(seeds, steps, "cpu")
        for row, (seed, step) in enumerate(zip(seeds, steps, strict=True)):
            with seeded(step_seed(seed, step), "cpu"):
                batch = network.batch(seed, step, "cpu")
            assert _equal((inputs[row], targets[row]), batch), f"seed {seed}, step {step}: batches and batch differ"

    def test_trains_among_others_as_alone(self, network: TorchWorkload) -> None:
        """In double precision, so that rounding is not taken for more; where trials cannot train together, skipped."""
        built = copy(network)
        built.recipe = network.recipe.changed({"precision": "fp64", "batch_size": 4, "accumulate": 1})
        reasons = {name: alone_reason(built, Spec(name), "cpu") for name in built.base_lr}
        together = [name for name, reason in reasons.items() if not reason]
        for optimizer in together:
            lr = _middle(built, optimizer)
            population = Population(built, Spec(optimizer), capacity=2)
            members = [population.enter(seed) for seed in (0, 1)]
            alone = [built.learner(Spec(optimizer), seed, self.steps) for seed in (0, 1)]
            for step in range(self.steps):
                # The second is always a step behind.
                stepping = slice(0, 2 if step else 1)
                losses = population.step({member: Step(lr / (1 + step), None) for member in members[stepping]})
                expected = [_train(learner, 1, lr / (1 + step))[0] for learner in alone[stepping]]
                assert [float(value_of(loss)) for loss in losses] == pytest.approx(expected, rel=1e-9), (
                    f"{optimizer}, step {step}"
                )
            for averaged in (False, True) if optimizer == together[0] else ():
                here, there = (learner.evaluate("val", averaged) for learner in (members[0], alone[0]))
                assert astuple(here) == pytest.approx(astuple(there), rel=1e-9), f"{optimizer}: evaluation"
        if not together:
            pytest.skip(f"trains one trial at a time: {next(iter(reasons.values()))}")

    def test_evaluates_the_same_examples_always(self, network: TorchWorkload) -> None:
        assert _equal(list(network.chunks("val", "cpu")), list(network.chunks("val", "cpu")))

    def test_splits_share_no_rows(self, network: TorchWorkload) -> None:
        if not isinstance(network, SupervisedWorkload):
            pytest.skip("its splits are not tensors")
        rows = {name: _rows(network, name) for name in ("train", "val", "test")}
        for name, others in (("val", rows["train"]), ("test", rows["train"] | rows["val"])):
            share = len(rows[name] & others) / len(rows[name])
            assert share <= self.alike, f"{share:.1%} of the rows of {name} stand in another split"

    def test_average_is_the_running_average_of_the_weights(self, network: TorchWorkload) -> None:
        optimizer = _first(network)
        learner = network.learner(Spec(optimizer), 0, 20)
        expected: dict[str, Tensor] = {}
        for step in range(20):
            _train(learner, 1, _middle(network, optimizer))
            state = learner.state_dict()
            weights = {key: value.double() for key, value in state["model"].items() if value.is_floating_point()}
            before, share = expected or weights, average_weight(step + 1)
            expected = {key: before[key] + share * (weights[key] - before[key]) for key in weights}
        for key, value in expected.items():
            torch.testing.assert_close(state["average"][key].double(), value, rtol=1e-4, atol=1e-6)
        judged = learner.evaluate("val", averaged=True)
        learner.load_state_dict({**state, "model": state["average"]})
        assert learner.evaluate("val") == judged

    def test_accumulating_gives_the_same_gradient(self, network: TorchWorkload, entry: Entry) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.model().modules()):
            pytest.skip("batch normalisation sees the parts")
        whole, parts = (_gradient(_changed(entry, {"accumulate": number})) for number in (1, 3))
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5 * float(whole.norm()))

    def test_clipping_bounds_the_gradient(self, entry: Entry, network: TorchWorkload) -> None:
        whole = _gradient(_changed(entry, {"clip_norm": 0}))
        bound = 0.5 * float(whole.norm())
        torch.testing.assert_close(_gradient(_changed(entry, {"clip_norm": bound})), 0.5 * whole, rtol=1e-3, atol=1e-6)

    def test_smoothing_is_in_the_training_loss_alone(self, entry: Entry, network: TorchWorkload) -> None:
        plain, smooth = (_changed(entry, {"label_smoothing": value}) for value in (0.0, 0.2))
        try:
            smooth.check(Spec(_first(smooth)))
        except InputError:
            pytest.skip("its loss has no smoothing")
        first, second = (built.learner(Spec(_first(built)), 0, 2) for built in (plain, smooth))
        assert first.evaluate("val") == second.evaluate("val")
        lr = _middle(plain, _first(plain))
        losses = [_train(learner, 2, lr)[1] for learner in (first, second)]
        assert losses[0] != losses[1]

    def test_mixed_precision_stays_close(self, entry: Entry, network: TorchWorkload) -> None:
        plain, mixed = (_changed(entry, {"precision": kind}) for kind in ("fp32", "bf16"))
        first, second = (built.learner(Spec(_first(built)), 0, 2) for built in (plain, mixed))
        lr = _middle(plain, _first(plain))
        assert _train(second, 2, lr) == pytest.approx(_train(first, 2, lr), rel=0.1, abs=0.05)
        kinds = [{k: v.dtype for k, v in learner.state_dict()["model"].items()} for learner in (first, second)]
        assert kinds[0] == kinds[1], "mixed precision changes the weights' type"

    def _trained(self, built: Workload, optimizer: str, seed: int = 0) -> Learner:
        learner = built.learner(Spec(optimizer), seed, self.steps)
        _train(learner, self.steps, _middle(built, optimizer))
        return learner

    def _training(self, built: Workload, optimizer: str) -> Training:
        config = TrialConfig(optimizer, self.steps, schedule("linear"), _middle(built, optimizer), seed=0)
        return Training(built, config, points=1)


def _first(built: Workload) -> str:
    return next(iter(built.base_lr))


def _middle(built: Workload, optimizer: str) -> float:
    """The geometric middle of the optimizer's range of base LR."""
    low, high = built.base_lr[optimizer]
    return math.sqrt(low * high)


def _train(learner: Learner, steps: int, lr: float) -> list[float]:
    """The training losses."""
    return [float(learner.step(lr)) for _ in range(steps)]


def _changed(entry: Entry, values: Mapping[str, Value]) -> Workload:
    """The workload with other parameters."""
    given = Spec.of(entry)
    return workload(Spec.of({"name": given.name, **given.params, **values}))


def _process_s_generators() -> dict[str, Any]:
    """Their states."""
    return {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "Python": random.getstate()}  # noqa: NPY002


def _batch(network: TorchWorkload, seed: int, step: int) -> Batch:
    """A batch as a learner gets it, with torch's generator seeded."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network.batch(seed, step, "cpu")


def _rows(network: SupervisedWorkload, name: Any) -> set[bytes]:
    return {row.numpy().tobytes() for row in network.split(name, "cpu").inputs}


def _gradient(built: Workload) -> Tensor:
    """What the optimizer gets at the first step, [all parameters]."""
    learner = built.learner(Spec(_first(built)), 0, 1)
    assert isinstance(learner, TorchLearner)
    gradients: list[Tensor] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients.extend(torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters)

    learner.optimizer.register_step_pre_hook(note)
    learner.step(0.0)
    return torch.cat(gradients).clone()


def _equal(first: Any, second: Any) -> bool:
    """Whether two states hold the same, bit for bit."""
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(_equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(first == second)
