"""Workloads of the usual kind: a torch model, tensors, a loss and a metric."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.optimizers import optimizer as make_optimizer
from trainables.workloads.base import Evaluation, Learner, Norms, Split, Workload, average_weight


@dataclass(frozen=True)
class Data:
    """One split: inputs [n, ...] and targets [n, ...]."""

    inputs: Tensor
    targets: Tensor

    def to(self, device: str) -> Data:
        return Data(self.inputs.to(device), self.targets.to(device))


class SupervisedWorkload(Workload):
    """Classification by default: cross-entropy and accuracy; override `loss` and `metric` for others.

    Attributes:
        batch_size: Examples an iteration, drawn without replacement within an epoch.
        weight_decay: Passed to the optimizer.
        splits: ``train``, ``val`` and ``test``; set by the constructor.
    """

    batch_size: ClassVar[int] = 32
    weight_decay: ClassVar[float] = 5e-4
    splits: dict[Split, Data]

    @abstractmethod
    def model(self) -> nn.Module:
        """A freshly initialised model; called with torch's generator seeded by the trial."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch, a scalar tensor."""
        return nn.functional.cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean metric of a batch, a scalar tensor."""
        return (outputs.argmax(-1) == targets).float().mean()

    def learner(self, optimizer: str, seed: int, horizon: int, device: str = "cpu") -> Learner:
        return SupervisedLearner(self, optimizer, seed, device)


class SupervisedLearner(Learner):
    """A model, its optimizer and the running average of its weights on one device."""

    def __init__(self, workload: SupervisedWorkload, optimizer: str, seed: int, device: str) -> None:
        self._workload = workload
        self._seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._model = workload.model().to(device)
        self._splits = {name: data.to(device) for name, data in workload.splits.items()}
        self._params = [p for p in self._model.parameters() if p.requires_grad]
        self._optimizer = make_optimizer(optimizer, self._params, lr=0.0, weight_decay=workload.weight_decay)
        self._average = {k: v.detach().clone() for k, v in self._model.state_dict().items()}
        # Views of the live tensors: averaging and norms need no state_dict() a step.
        live = self._model.state_dict(keep_vars=True)
        floating = [k for k, v in live.items() if v.is_floating_point()]
        self._live = [live[k].detach() for k in floating]
        self._averaged = [self._average[k] for k in floating]
        self._steps = 0
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def step(self, lr: float) -> float:
        batch = self._batch()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        for parameter in self._params:
            parameter.grad = None
        loss = self._workload.loss(self._model(batch.inputs), batch.targets)
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._steps += 1
        torch._foreach_lerp_(self._averaged, self._live, average_weight(self._steps))
        return float(loss.detach())

    def evaluate(self, split: Split, averaged: bool = False) -> Evaluation:
        data = self._splits[split]
        self._model.eval()
        with torch.no_grad():
            if averaged:
                outputs = torch.func.functional_call(self._model, self._average, (data.inputs,))
            else:
                outputs = self._model(data.inputs)
            loss = self._workload.loss(outputs, data.targets)
            metric = self._workload.metric(outputs, data.targets)
        self._model.train()
        return Evaluation(float(loss), float(metric))

    def norms(self) -> Norms:
        gradients = [p.grad for p in self._params if p.grad is not None]
        weights = [p.detach() for p in self._params]
        return Norms(*(float(nn.utils.get_total_norm(tensors)) for tensors in (gradients, weights)))

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": {k: v.detach().clone() for k, v in self._model.state_dict().items()},
            "optimizer": self._optimizer.state_dict(),
            "average": {k: v.clone() for k, v in self._average.items()},
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        for key, value in state["average"].items():
            self._average[key].copy_(value)
        self._steps = state["steps"]
        self._epoch = -1

    def _batch(self) -> Data:
        """The batch of the current step: a pure function of (seed, step), so resuming needs no state."""
        train = self._splits["train"]
        size = self._workload.batch_size
        batches = max(1, len(train.targets) // size)
        epoch, position = divmod(self._steps, batches)
        if epoch != self._epoch:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(train.targets))
            self._order = torch.from_numpy(order).to(train.targets.device)
            self._epoch = epoch
        index = self._order[position * size : (position + 1) * size]
        return Data(train.inputs[index], train.targets[index])
