"""One trial's model, its optimizer and the running average of its weights, on one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import (
    Diagnosis,
    Evaluation,
    Learner,
    Norms,
    Split,
    average_weight,
    schedule_free,
)
from phitune.trainables.workloads.learning.device import seeded, step_seed
from phitune.trainables.workloads.learning.full_batch import measure
from phitune.trainables.workloads.learning.optimizers import build_optimizer, set_lr
from phitune.trainables.workloads.learning.torch_internals import lerp
from phitune.trainables.workloads.learning.torch_problem import TorchProblem


class TorchLearner(Learner):
    """Trains a `TorchProblem`'s model; on a CPU, the same numbers for the same seed, also after a resume.

    With a schedule-free optimizer `evaluate` uses the optimizer's own average of the weights.
    """

    def __init__(self, problem: TorchProblem, optimizer: Spec, seed: int, device: str) -> None:
        self._problem = problem
        self._seed = seed
        self._device = device
        with seeded(seed, device):
            self._model = problem.fresh_model(device)
        self._params = [p for p in self._model.parameters() if p.requires_grad]
        self._optimizer = torch_optimizer(problem, optimizer, self._model)
        self._schedule_free = schedule_free(optimizer)
        if self._schedule_free:
            self._optimizer.train()  # type: ignore[attr-defined]
        self._average = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        # Views of the live tensors spare a state_dict() a step for averages and norms.
        live = self._model.state_dict(keep_vars=True)
        floating = [k for k, v in live.items() if v.is_floating_point()]
        self._live = [live[k].detach() for k in floating]
        self._averaged = [self._average[k] for k in floating]
        self._forward_model = torch.compile(self._model) if problem.recipe.compile else self._model
        self._mixed = problem.recipe.precision == "bf16"
        if self._mixed and torch.device(device).type == "cuda" and not torch.cuda.is_bf16_supported():
            raise InputError("workloads.precision: 'bf16' is not allowed; this GPU has no bfloat16")
        self._norm_before_clipping: Tensor | None = None
        self._steps = 0

    def step(self, lr: float, momentum: float | None = None) -> Tensor:
        recipe = self._problem.recipe
        set_lr(self._optimizer, lr, momentum)
        for parameter in self._params:
            parameter.grad = None
        # Dropout is a function of seed and step, like the batch.
        with seeded(step_seed(self._seed, self._steps), self._device):
            inputs, targets = self._problem.precise(self._problem.batch(self._seed, self._steps, self._device))
            if recipe.accumulate == 1:
                loss = self._backward(inputs, targets, 1.0)
            else:
                parts = list(zip(inputs.chunk(recipe.accumulate), targets.chunk(recipe.accumulate), strict=True))
                losses = [self._backward(x, y, len(y) / len(targets)) for x, y in parts]
                loss = torch.stack(losses).sum()
        if recipe.clip_norm:
            self._norm_before_clipping = nn.utils.clip_grad_norm_(self._params, recipe.clip_norm)
        self._optimizer.step()
        self._steps += 1
        lerp(self._averaged, self._live, average_weight(self._steps))
        return loss

    def _backward(self, inputs: Tensor, targets: Tensor, share: float) -> Tensor:
        """Adds a part's gradient; returns its share of the batch's loss."""
        with self._autocast():
            outputs = self._problem.forward(self._forward_model, inputs)
            loss = self._problem.training_loss(outputs, targets) * share
        torch.autograd.backward(loss)
        return loss.detach()

    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        problem = self._problem
        losses, metrics, sizes = [], [], []
        with self._evaluated(averaged) as model, torch.no_grad(), self._autocast():
            for inputs, targets in map(problem.precise, problem.chunks(split, self._device)):
                outputs = problem.forward(model, inputs)
                losses.append(problem.loss(outputs, targets))
                metrics.append(problem.metric(outputs, targets))
                sizes.append(len(targets))
        if not sum(sizes):
            raise ValueError(f"the {split} split has no examples")
        weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        loss, metric = torch.stack([torch.stack(losses), torch.stack(metrics)]).double().cpu() @ weights
        return Evaluation(float(loss), float(metric))

    def norms(self) -> Norms:
        gradient = self._norm_before_clipping
        if gradient is None:
            gradient = nn.utils.get_total_norm([p.grad for p in self._params if p.grad is not None])
        return Norms(float(gradient), float(nn.utils.get_total_norm([p.detach() for p in self._params])))

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer, for hooks into its steps."""
        return self._optimizer

    def diagnose(self, diagnosis: Diagnosis) -> dict[str, float]:
        with self._evaluated(False) as model:
            return measure(self._problem, model, diagnosis, self._device)

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": {k: v.detach().clone() for k, v in self._model.state_dict().items()},
            # torch's state dict holds the live tensors, and loading one takes its tensors over.
            "optimizer": deepcopy(self._optimizer.state_dict()),
            "average": {k: v.clone() for k, v in self._average.items()},
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
        for key, value in state["average"].items():
            self._average[key].copy_(value)
        self._steps = state["steps"]

    def _autocast(self) -> torch.autocast:
        kind = torch.device(self._device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self._mixed)

    @contextmanager
    def _evaluated(self, averaged: bool) -> Iterator[nn.Module]:
        """The model in evaluation mode with its weights or their average; restores weights and mode afterwards."""
        swapped = averaged or self._schedule_free
        saved = [tensor.clone() for tensor in self._live] if swapped else []
        if self._schedule_free:
            self._optimizer.eval()  # type: ignore[attr-defined]
        elif averaged:
            _copy(self._live, self._averaged)
        self._model.eval()
        try:
            # A data loader draws random numbers even where nothing is shuffled.
            with seeded(0, self._device):
                yield self._model
        finally:
            self._model.train()
            if self._schedule_free:
                self._optimizer.train()  # type: ignore[attr-defined]
            if swapped:
                _copy(self._live, saved)


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


def torch_optimizer(problem: TorchProblem, optimizer: Spec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a model's trainable parameters; one-dimensional ones decay only if the problem says so."""
    params = [p for p in model.parameters() if p.requires_grad]
    free = [] if problem.decay_vectors else [p for p in params if p.ndim < 2]
    decayed = params if problem.decay_vectors else [p for p in params if p.ndim >= 2]
    return build_optimizer(optimizer, decayed, free, problem.recipe.weight_decay)
