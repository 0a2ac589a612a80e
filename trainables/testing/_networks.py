"""Tests of the workloads around a torch network: batches, splits, recipe, and training among other trials."""

from __future__ import annotations

from copy import copy
from dataclasses import astuple
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.population.eligibility import alone_reason
from phitune.trainables.population.population import Population, value_of
from phitune.trainables.spec import Spec, Value
from phitune.trainables.testing._training import Entry, changed, equal, first_optimizer, middle_lr, train
from phitune.trainables.training.requests import Step
from phitune.trainables.workloads import Workload
from phitune.trainables.workloads.base import average_weight, schedule_free
from phitune.trainables.workloads.learning.device import seeded, step_seed
from phitune.trainables.workloads.learning.supervised import SupervisedWorkload
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

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
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class NetworkConformance:
    """The tests of `WorkloadConformance` that need a `TorchWorkload`; they are skipped for others.

    Attributes:
        steps: Iterations of the short trainings.
        alike: Largest share of a split's rows that may also be in another split, for tables with equal rows.
    """

    steps: ClassVar[int] = 4
    alike: ClassVar[float] = 0.0

    @pytest.fixture
    def network(self, built: Workload) -> TorchWorkload:
        """The workload if it is one of torch; other kinds skip the test."""
        if not isinstance(built, TorchWorkload):
            pytest.skip("not a TorchWorkload: there is no torch network to look into")
        return built

    def test_bad_recipes_are_refused(self, network: TorchWorkload, entry: Entry) -> None:
        for values in _BAD_RECIPES:
            with pytest.raises(InputError, match=next(reversed(values))):
                changed(entry, values)

    def test_batches_are_functions_of_seed_and_step(self, network: TorchWorkload) -> None:
        batches = {step: _batch(network, 3, step) for step in (7, 0, 2)}
        for step, batch in batches.items():
            assert equal(_batch(network, 3, step), batch), f"the batch of step {step} changes"
        assert not equal(batches[0], batches[2]), "steps 0 and 2 have the same batch"
        assert not equal(batches[0], _batch(network, 4, 0)), "seeds 3 and 4 have the same batch"

    def test_batches_of_many_are_the_batches_of_each(self, network: TorchWorkload) -> None:
        seeds, steps = (3, 4, 3), (0, 2, 7)
        inputs, targets = network.batches(seeds, steps, "cpu")
        for row, (seed, step) in enumerate(zip(seeds, steps, strict=True)):
            with seeded(step_seed(seed, step), "cpu"):
                batch = network.batch(seed, step, "cpu")
            assert equal((inputs[row], targets[row]), batch), f"seed {seed}, step {step}: batches and batch differ"

    def test_trains_among_others_as_alone(self, network: TorchWorkload) -> None:
        """In double precision, so that rounding passes for nothing else; skipped if trials must train alone."""
        built = copy(network)
        built.recipe = network.recipe.changed({"precision": "fp64", "batch_size": 4, "accumulate": 1})
        together = [name for name in built.base_lr if not schedule_free(Spec(name))]
        reason = alone_reason(built, Spec(together[0]), "cpu") if together else "no optimizer has an update for many"
        if reason:
            pytest.skip(f"trains one trial at a time: {reason}")
        for optimizer in together:
            lr = middle_lr(built, optimizer)
            population = Population(built, Spec(optimizer), capacity=2)
            members = [population.enter(seed) for seed in (0, 1)]
            alone = [built.learner(Spec(optimizer), seed, self.steps) for seed in (0, 1)]
            for step in range(self.steps):
                # The second is always a step behind.
                stepping = slice(0, 2 if step else 1)
                losses = population.step({member: Step(lr / (1 + step), None) for member in members[stepping]})
                expected = [train(learner, 1, lr / (1 + step))[0] for learner in alone[stepping]]
                assert [float(value_of(loss)) for loss in losses] == pytest.approx(expected, rel=1e-9), (
                    f"{optimizer}, step {step}"
                )
            for averaged in (False, True) if optimizer == together[0] else ():
                here, there = (learner.evaluate("val", averaged) for learner in (members[0], alone[0]))
                assert astuple(here) == pytest.approx(astuple(there), rel=1e-9), f"{optimizer}: evaluation"

    def test_evaluates_the_same_examples_always(self, network: TorchWorkload) -> None:
        assert equal(list(network.chunks("val", "cpu")), list(network.chunks("val", "cpu")))

    def test_splits_share_no_rows(self, network: TorchWorkload) -> None:
        if not isinstance(network, SupervisedWorkload):
            pytest.skip("its splits are not tensors")
        rows = {name: _rows(network, name) for name in ("train", "val", "test")}
        for name, others in (("val", rows["train"]), ("test", rows["train"] | rows["val"])):
            share = len(rows[name] & others) / len(rows[name])
            assert share <= self.alike, f"{share:.1%} of the rows of {name} stand in another split"

    def test_average_is_the_running_average_of_the_weights(self, network: TorchWorkload) -> None:
        optimizer = first_optimizer(network)
        learner = network.learner(Spec(optimizer), 0, 20)
        expected: dict[str, Tensor] = {}
        for step in range(20):
            train(learner, 1, middle_lr(network, optimizer))
            state = learner.state_dict()
            weights = {key: value.double() for key, value in state["model"].items() if value.is_floating_point()}
            before, share = expected or weights, average_weight(step + 1)
            expected = {key: before[key] + share * (weights[key] - before[key]) for key in weights}
        for key, value in expected.items():
            torch.testing.assert_close(state["average"][key].double(), value, rtol=1e-4, atol=1e-6)
        evaluation = learner.evaluate("val", averaged=True)
        learner.load_state_dict({**state, "model": state["average"]})
        assert learner.evaluate("val") == evaluation

    def test_accumulating_gives_the_same_gradient(self, network: TorchWorkload, entry: Entry) -> None:
        if any(isinstance(module, _BATCH_NORMS) for module in network.model().modules()):
            pytest.skip("batch normalisation sees the parts")
        whole, parts = (_gradient(changed(entry, {"accumulate": number})) for number in (1, 3))
        torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-5 * float(whole.norm()))

    def test_clipping_bounds_the_gradient(self, entry: Entry, network: TorchWorkload) -> None:
        whole = _gradient(changed(entry, {"clip_norm": 0}))
        bound = 0.5 * float(whole.norm())
        torch.testing.assert_close(_gradient(changed(entry, {"clip_norm": bound})), 0.5 * whole, rtol=1e-3, atol=1e-6)

    def test_smoothing_is_in_the_training_loss_alone(self, entry: Entry, network: TorchWorkload) -> None:
        plain, smooth = (changed(entry, {"label_smoothing": value}) for value in (0.0, 0.2))
        try:
            smooth.check(Spec(first_optimizer(smooth)))
        except InputError:
            pytest.skip("its loss has no smoothing")
        first, second = (built.learner(Spec(first_optimizer(built)), 0, 2) for built in (plain, smooth))
        assert first.evaluate("val") == second.evaluate("val")
        lr = middle_lr(plain, first_optimizer(plain))
        losses = [train(learner, 2, lr)[1] for learner in (first, second)]
        assert losses[0] != losses[1]

    def test_mixed_precision_stays_close(self, entry: Entry, network: TorchWorkload) -> None:
        plain, mixed = (changed(entry, {"precision": kind}) for kind in ("fp32", "bf16"))
        first, second = (built.learner(Spec(first_optimizer(built)), 0, 2) for built in (plain, mixed))
        lr = middle_lr(plain, first_optimizer(plain))
        assert train(second, 2, lr) == pytest.approx(train(first, 2, lr), rel=0.1, abs=0.05)
        kinds = [{k: v.dtype for k, v in learner.state_dict()["model"].items()} for learner in (first, second)]
        assert kinds[0] == kinds[1], "mixed precision changes the weights' type"


def _batch(network: TorchWorkload, seed: int, step: int) -> Batch:
    """A batch drawn with torch's generator seeded, as a learner draws it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network.batch(seed, step, "cpu")


def _rows(network: SupervisedWorkload, name: Any) -> set[bytes]:
    return {row.numpy().tobytes() for row in network.split(name, "cpu").inputs}


def _gradient(built: Workload) -> Tensor:
    """The optimizer's gradient at the first step, over all parameters."""
    learner = built.learner(Spec(first_optimizer(built)), 0, 1)
    assert isinstance(learner, TorchLearner)
    gradients: list[Tensor] = []

    def record(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients.extend(torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters)

    learner.optimizer.register_step_pre_hook(record)
    learner.step(0.0)
    return torch.cat(gradients).clone()
