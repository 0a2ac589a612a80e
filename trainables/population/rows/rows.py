"""Weights, optimizer states and averages of several trials as rows of matrices."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from phitune.trainables.population.rows.layout import Layout
from phitune.trainables.population.rows.updates import update
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.learning.device import seeded
from phitune.trainables.workloads.learning.torch_learner import torch_optimizer
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

Named = dict[str, Tensor]


class Rows:
    """Up to ``capacity`` trials of one workload and optimizer on one device.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        capacity: Number of rows.
        device: A torch device.

    Attributes:
        names: The trainable parameters' names, in the order of torch's optimizer.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str) -> None:
        self._workload = workload
        self._device = device
        self.capacity = capacity
        with seeded(0, device):
            # A row's weights are copied into it when a module is needed.
            self._model = workload.fresh_model(device)
        self._layout = Layout(self._model)
        self._optimizer = torch_optimizer(workload, optimizer, self._model)
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        groups = [(names[id(p)], group) for group in self._optimizer.param_groups for p in group["params"]]
        # Torch numbers a state's parameters in the order of the groups.
        self.names = [name for name, _ in groups]
        decay = self._layout.spread({name: float(group["weight_decay"]) for name, group in groups})
        kind = next(p for p in self._model.parameters() if p.requires_grad).dtype
        rows_update = update(self._optimizer, decay.to(device, kind))
        if rows_update is None:
            raise ValueError(f"{optimizer.name} trains one network at a time")
        self._update = rows_update
        self._weights = torch.zeros(capacity, self._layout.width, dtype=kind, device=device)
        self._average = torch.zeros_like(self._weights)
        self._state = {name: torch.zeros_like(self._weights) for name in rows_update.names}
        # A tensor each, not columns of one matrix: batch normalisation writes to whole tensors only.
        self._buffers = {
            name: _rows(tensor, capacity)
            for name, tensor in [*self._model.named_parameters(), *self._model.named_buffers()]
            if name not in self.names
        }
        saved = self._model.state_dict().keys()
        self._averages = {
            name: torch.zeros_like(rows)
            for name, rows in self._buffers.items()
            if name in saved and rows.is_floating_point()
        }
        self._steps = [0] * capacity
        self._norms = torch.zeros(capacity, dtype=kind, device=device)

    def begin(self, row: int, seed: int) -> None:
        """Puts a fresh model into a row."""
        with seeded(seed, self._device):
            model = self._workload.fresh_model(self._device)
        self._put(row, model)
        self._average[row] = self._weights[row]
        for name, rows in self._averages.items():
            rows[row] = self._buffers[name][row]
        for rows in self._state.values():
            rows[row] = 0
        self._norms[row] = 0
        self._steps[row] = 0

    def swap(self, first: int, second: int) -> None:
        """Swaps two rows."""
        # All memory is allocated before anything is written: if it runs out, the rows are unchanged.
        copies = [rows[first].clone() for rows in self._tensors()]
        for rows, row in zip(self._tensors(), copies, strict=True):
            rows[first] = rows[second]
            rows[second] = row
        self._steps[first], self._steps[second] = self._steps[second], self._steps[first]

    def move(self, source: int, target: int) -> None:
        """Overwrites the target row with the source row; allocates no memory."""
        for rows in self._tensors():
            rows[target] = rows[source]
        self._steps[target] = self._steps[source]

    def norms(self, row: int) -> tuple[float, float]:
        """L2 norms of a row's last gradient, before clipping, and of its weights."""
        return float(self._norms[row]), float(self._weights[row].norm())

    def module(self, row: int) -> nn.Module:
        """A copy of a row's model, valid until the next call; changes to it do not reach the row."""
        return self._filled(row, self._weights, self._buffers)

    def state_dict(self, row: int) -> dict[str, Any]:
        """A row's state in the format of `TorchLearner.state_dict`."""
        average = self._filled(row, self._average, {**self._buffers, **self._averages}).state_dict()
        average = {name: tensor.detach().clone() for name, tensor in average.items()}
        model = {name: tensor.detach().clone() for name, tensor in self.module(row).state_dict().items()}
        optimizer = self._optimizer.state_dict()
        steps = self._steps[row]
        parts = {name: self._layout.one(rows[row]) for name, rows in self._state.items()}
        optimizer["state"] = {
            # One counter tensor a parameter: torch increments each.
            number: {
                **({"step": torch.tensor(float(steps))} if self._update.counts else {}),
                **{part: tensors[name].clone() for part, tensors in parts.items()},
            }
            for number, name in enumerate(self.names)
            if steps and (parts or self._update.counts)
        }
        return {"model": model, "optimizer": deepcopy(optimizer), "average": average, "steps": steps}

    def load_state_dict(self, row: int, state: dict[str, Any]) -> None:
        """Restores a row from a state of any row or of a `TorchLearner`."""
        # Buffers that are in no state stay the row's own.
        self.module(row)
        self._model.load_state_dict(state["average"])
        self._average[row] = self._layout.row(dict(self._model.named_parameters()))
        tensors = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        for name, rows in self._averages.items():
            rows[row] = tensors[name].detach()
        self._model.load_state_dict(state["model"])
        self._put(row, self._model)
        for part, rows in self._state.items():
            saved = {name: state["optimizer"]["state"].get(n, {}).get(part) for n, name in enumerate(self.names)}
            shapes = self._layout.one(rows[row])
            rows[row] = self._layout.row(
                {
                    name: torch.zeros_like(shapes[name]) if tensor is None else tensor.to(rows)
                    for name, tensor in saved.items()
                }
            )
        self._steps[row] = state["steps"]

    def _put(self, row: int, model: nn.Module) -> None:
        """Copies a model's weights and buffers into a row."""
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        self._weights[row] = self._layout.row(tensors)
        for name, rows in self._buffers.items():
            rows[row] = tensors[name].detach()

    def _filled(self, row: int, weights: Tensor, buffers: Named) -> nn.Module:
        """The scratch model with a row of weights and buffers copied into it."""
        tensors = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        with torch.no_grad():
            for name, tensor in self._layout.one(weights[row]).items():
                tensors[name].copy_(tensor)
            for name, rows in buffers.items():
                tensors[name].copy_(rows[row])
        return self._model

    def _tensors(self) -> list[Tensor]:
        """All tensors whose first dimension is the rows."""
        states = [*self._state.values(), *self._buffers.values(), *self._averages.values()]
        return [self._weights, self._average, self._norms, *states]


def _rows(tensor: Tensor, count: int) -> Tensor:
    return tensor.detach().expand(count, *tensor.shape).clone()
