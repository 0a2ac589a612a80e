"""Several models of one kind as rows: weights, optimizer states and averages, and how each comes and goes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from phitune.trainables.population.rows.layout import Layout
from phitune.trainables.population.rows.updates import update
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.torch.seeding import seeded
from phitune.trainables.workloads.torch.torch_learner import torch_optimizer
from phitune.trainables.workloads.torch.torch_workload import TorchWorkload

Named = dict[str, Tensor]


class Rows:
    """Up to ``capacity`` trials of one workload and optimizer on one device.

    Args:
        workload: Whose model it is.
        optimizer: One for all rows.
        capacity: Rows.
        device: A torch device.

    Attributes:
        names: The trainable parameters' names, as torch's optimizer numbers them.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str) -> None:
        self._workload = workload
        self._device = device
        self.capacity = capacity
        with seeded(0, device):
            # The rows' weights are put into it where a module is wanted.
            self._model = workload.fresh_model(device)
        self._layout = Layout(self._model)
        self._optimizer = torch_optimizer(workload, optimizer, self._model)
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        groups = [(names[id(p)], group) for group in self._optimizer.param_groups for p in group["params"]]
        # Torch numbers a state's parameters in the order of the groups.
        self.names = [name for name, _ in groups]
        decay = self._layout.spread({name: float(group["weight_decay"]) for name, group in groups})
        kind = next(p for p in self._model.parameters() if p.requires_grad).dtype
        found = update(self._optimizer, decay.to(device, kind))
        if found is None:
            raise ValueError(f"{optimizer.name} trains one network at a time")
        self._update = found
        self._weights = torch.zeros(capacity, self._layout.width, dtype=kind, device=device)
        self._average = torch.zeros_like(self._weights)
        self._state = {name: torch.zeros_like(self._weights) for name in found.names}
        # Not in rows of a matrix: batch normalisation writes into them, which it does into whole tensors alone.
        self._buffers = {
            name: _rows(tensor, capacity)
            for name, tensor in [*self._model.named_parameters(), *self._model.named_buffers()]
            if name not in self.names
        }
        kept = self._model.state_dict().keys()
        self._averages = {
            name: torch.zeros_like(rows)
            for name, rows in self._buffers.items()
            if name in kept and rows.is_floating_point()
        }
        self._steps = [0] * capacity
        self._norms = torch.zeros(capacity, dtype=kind, device=device)

    def begin(self, row: int, seed: int) -> None:
        """A fresh model in a row."""
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
        """Has two rows change places."""
        # All of the memory for it before anything is written: where there is none, the rows are as they were.
        held = [rows[first].clone() for rows in self._tensors()]
        for rows, row in zip(self._tensors(), held, strict=True):
            rows[first] = rows[second]
            rows[second] = row
        self._steps[first], self._steps[second] = self._steps[second], self._steps[first]

    def move(self, source: int, target: int) -> None:
        """Has a row take another's place, whose own is lost; it needs no memory."""
        for rows in self._tensors():
            rows[target] = rows[source]
        self._steps[target] = self._steps[source]

    def norms(self, row: int) -> tuple[float, float]:
        """L2 norms of a row's last gradient, before clipping, and of its weights."""
        return float(self._norms[row]), float(self._weights[row].norm())

    def module(self, row: int) -> nn.Module:
        """A row's model, until another is asked for; what is done to it leaves the row alone."""
        return self._filled(row, self._weights, self._buffers)

    def state_dict(self, row: int) -> dict[str, Any]:
        """A row's state, as `TorchLearner.state_dict` has it."""
        average = self._filled(row, self._average, {**self._buffers, **self._averages}).state_dict()
        kept = {name: tensor.detach().clone() for name, tensor in average.items()}
        model = {name: tensor.detach().clone() for name, tensor in self.module(row).state_dict().items()}
        torchs = self._optimizer.state_dict()
        steps = self._steps[row]
        parts = {name: self._layout.one(rows[row]) for name, rows in self._state.items()}
        torchs["state"] = {
            # Each counter is a tensor of its own: torch adds to each.
            number: {
                **({"step": torch.tensor(float(steps))} if self._update.counts else {}),
                **{part: tensors[name].clone() for part, tensors in parts.items()},
            }
            for number, name in enumerate(self.names)
            if steps and (parts or self._update.counts)
        }
        return {"model": model, "optimizer": deepcopy(torchs), "average": kept, "steps": steps}

    def load_state_dict(self, row: int, state: dict[str, Any]) -> None:
        """Takes over a state of a row, here or elsewhere, or of a `TorchLearner`."""
        # Buffers that no state holds are the row's own.
        self.module(row)
        self._model.load_state_dict(state["average"])
        self._average[row] = self._layout.row(dict(self._model.named_parameters()))
        held = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        for name, rows in self._averages.items():
            rows[row] = held[name].detach()
        self._model.load_state_dict(state["model"])
        self._put(row, self._model)
        for part, rows in self._state.items():
            found = {name: state["optimizer"]["state"].get(n, {}).get(part) for n, name in enumerate(self.names)}
            shapes = self._layout.one(rows[row])
            rows[row] = self._layout.row(
                {
                    name: torch.zeros_like(shapes[name]) if tensor is None else tensor.to(rows)
                    for name, tensor in found.items()
                }
            )
        self._steps[row] = state["steps"]

    def _put(self, row: int, model: nn.Module) -> None:
        """A model's weights and buffers into a row."""
        held = dict(model.named_parameters()) | dict(model.named_buffers())
        self._weights[row] = self._layout.row(held)
        for name, rows in self._buffers.items():
            rows[row] = held[name].detach()

    def _filled(self, row: int, weights: Tensor, buffers: Named) -> nn.Module:
        held = dict(self._model.named_parameters()) | dict(self._model.named_buffers())
        with torch.no_grad():
            for name, tensor in self._layout.one(weights[row]).items():
                held[name].copy_(tensor)
            for name, rows in buffers.items():
                held[name].copy_(rows[row])
        return self._model

    def _tensors(self) -> list[Tensor]:
        """All that has rows."""
        states = [*self._state.values(), *self._buffers.values(), *self._averages.values()]
        return [self._weights, self._average, self._norms, *states]


def _rows(tensor: Tensor, count: int) -> Tensor:
    return tensor.detach().expand(count, *tensor.shape).clone()
