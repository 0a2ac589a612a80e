"""Several models of one kind as rows: their steps, evaluations and states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.population.convolution import convolving, fastest, has_convolutions
from trainables.population.draws import Drawing, RowDraws, drawn
from trainables.population.layout import Layout
from trainables.population.normalisation import MixedNorms
from trainables.population.updates import update
from trainables.spec import Spec
from trainables.workloads.base import Evaluation, Split, average_weight
from trainables.workloads.seeding import seeded
from trainables.workloads.torch_learner import torch_optimizer
from trainables.workloads.torch_workload import Batch, TorchWorkload

Named = dict[str, Tensor]

_FASTEST: WeakKeyDictionary[TorchWorkload, dict[tuple[str, int], str]] = WeakKeyDictionary()


class Stack:
    """Weights, optimizer states and averages of up to ``capacity`` trials, the first of which are trained.

    The same numbers as `TorchLearner`'s, but for the order of summation.

    Args:
        workload: Whose model it is.
        optimizer: One for all rows.
        capacity: Rows.
        device: A torch device.
        convolution: How convolutions are computed, one of `trainables.population.convolution.FORMS`; None for
            ``grouped`` on a CPU, where no other was faster, and for what is fastest on a GPU.

    Attributes:
        convolution: The form in use.
        names: The trainable parameters' names, as torch's optimizer numbers them.
        width: Rows that pass through the model at once.
        draws: Whether the model was seen to draw random numbers in training, as dropout does.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(
        self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str, convolution: str | None = None
    ) -> None:
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
        self._mixed = workload.recipe.precision == "bf16"
        self._norms = torch.zeros(capacity, dtype=kind, device=device)
        self.width = capacity
        self.draws = False
        self.convolution = convolution or "grouped"
        if convolution is None and torch.device(device).type == "cuda" and has_convolutions(self._model):
            self.convolution = self.fastest_convolution()

    def fastest_convolution(self) -> str:
        """The form of convolutions in which a step of all rows is fastest; timed once a workload, device and capacity.

        What is in the rows is lost.
        """
        known = _FASTEST.setdefault(self._workload, {})
        key = (self._device, self.capacity)
        if key not in known:
            used = self.convolution

            def step(form: str, rows: int) -> None:
                self.convolution = form
                self._slope(slice(0, rows), range(rows))

            known[key] = fastest(step, self.capacity, self._device)
            self.convolution = used
        return known[key]

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
        here, there = [first, second], [second, first]
        for rows in self._tensors():
            rows[here] = rows[there]
        self._steps[first], self._steps[second] = self._steps[second], self._steps[first]

    def step(
        self, seeds: Sequence[int], lrs: Sequence[float], momenta: Sequence[float | None]
    ) -> tuple[Tensor, dict[int, Exception]]:
        """One iteration of the first rows, as many as there are LRs.

        Returns:
            The losses before the update, [rows], and why rows did not step; those are as they were, or where it was the
            update that failed, of no more use.
        """
        spoilt: dict[int, Exception] = {}
        losses = torch.full((len(lrs),), torch.nan, dtype=self._weights.dtype, device=self._device)

        def step(rows: range) -> None:
            part = slice(rows.start, rows.stop)
            held = {name: buffer[part].clone() for name, buffer in self._buffers.items()}
            try:
                losses[part], gradient = self._slope(part, seeds[part])
            except Exception:
                for name, buffer in held.items():
                    self._buffers[name][part] = buffer
                raise
            try:
                self._update_rows(part, gradient, lrs[part], momenta[part])
            except Exception as error:
                spoilt.update(dict.fromkeys(rows, error))

        return losses, self._in_parts(range(len(lrs)), step) | spoilt

    def evaluate(self, rows: Sequence[int], split: Split, averaged: bool) -> list[Evaluation | Exception]:
        """Loss and metric over a split, of some rows' weights or of their averages; or why there is none."""
        done: dict[int, Evaluation | Exception] = {}

        def evaluate(numbers: range) -> None:
            chosen = [rows[number] for number in numbers]
            judged = self.judge(chosen, self._workload.chunks(split, self._device), averaged)
            done.update(zip(numbers, judged, strict=True))

        done |= self._in_parts(range(len(rows)), evaluate)
        return [done[number] for number in range(len(rows))]

    def judge(self, rows: Sequence[int], examples: Iterable[Batch], averaged: bool) -> list[Evaluation]:
        """`evaluate` on examples that come in parts, all rows at once."""
        workload = self._workload
        named = self._layout.split((self._average if averaged else self._weights)[list(rows)])
        source = {**self._buffers, **self._averages} if averaged else self._buffers
        buffers = {name: tensor[list(rows)] for name, tensor in source.items()}
        losses, metrics, sizes = [], [], []

        def judged(named: Named, held: Named, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            outputs = workload.forward(self._called(named, held), x)
            return workload.loss(outputs, y), workload.metric(outputs, y)

        # Alone, too, a model that draws while it is judged draws the same whatever its seed.
        together = vmap(judged, in_dims=(0, 0, None, None), randomness="same")
        self._model.eval()
        try:
            with torch.no_grad(), seeded(0, self._device), self._fused():
                for inputs, targets in map(workload.precise, examples):
                    loss, metric = together(named, buffers, inputs, targets)
                    losses.append(loss)
                    metrics.append(metric)
                    sizes.append(len(targets))
        finally:
            self._model.train()
        shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        found = torch.stack([torch.stack(losses, -1), torch.stack(metrics, -1)]).double().cpu() @ shares
        return [Evaluation(loss, metric) for loss, metric in found.T.tolist()]

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
                {name: shapes[name] * 0 if tensor is None else tensor.to(rows) for name, tensor in found.items()}
            )
        self._steps[row] = state["steps"]

    def _in_parts(self, rows: range, move: Callable[[range], None]) -> dict[int, Exception]:
        """Has rows make a move, `width` at once, and those that cannot together in halves, down to single ones.

        So it is seen whose error it is, and so memory is made do with, from then on too.

        Returns:
            The errors of single rows.
        """
        errors: dict[int, Exception] = {}
        parts = [rows[start : start + self.width] for start in range(0, len(rows), self.width)]
        while parts:
            part = parts.pop(0)
            try:
                move(part)
                continue
            except Exception as error:
                short = isinstance(error, torch.OutOfMemoryError)
                chance = not self.draws and isinstance(error, RuntimeError) and "randomness" in str(error)
                if len(part) == 1 and not chance:
                    errors[part[0]] = error
                    continue
            # The error, which holds what was in memory, is gone by now.
            half = (len(part) + 1) // 2
            if chance:
                self.draws = True
                parts.insert(0, part)
                continue
            if short:
                self.width = half
                torch.cuda.empty_cache()
            parts[:0] = [part[:half], part[half:]]
        return errors

    def _slope(self, part: slice, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Losses [rows] and gradients [rows, width] of some rows at their next batches."""
        workload, steps = self._workload, self._steps[part]
        draws: RowDraws | None = None
        if self.draws:
            batch, draws = drawn(workload, seeds, steps, self._device)
        else:
            batch = workload.batches(seeds, steps, self._device)
        inputs, targets = workload.precise(batch)
        weights = self._weights[part].detach().requires_grad_()
        buffers = {name: rows[part] for name, rows in self._buffers.items()}

        def loss(named: Named, held: Named, x: Tensor, y: Tensor) -> Tensor:
            with Drawing(y) if draws else nullcontext():
                return workload.training_loss(workload.forward(self._called(named, held), x), y)

        together = vmap(loss, randomness="different" if draws else "error")
        losses: list[Tensor] = []
        gradients: list[Tensor] = []
        accumulate = workload.recipe.accumulate
        for x, y in zip(inputs.chunk(accumulate, 1), targets.chunk(accumulate, 1), strict=True):
            with self._fused(), draws or nullcontext():
                found = together(self._layout.split(weights), buffers, x, y) * (y.shape[1] / targets.shape[1])
            gradients += torch.autograd.grad(found.sum(), weights)
            losses.append(found.detach())
        if accumulate == 1:
            return losses[0], gradients[0]
        return torch.stack(losses).sum(0), torch.stack(gradients).sum(0)

    def _update_rows(
        self, part: slice, gradient: Tensor, lrs: Sequence[float], momenta: Sequence[float | None]
    ) -> None:
        weights = self._weights[part]
        norms = self._norms[part] = gradient.norm(dim=1)
        if bound := self._workload.recipe.clip_norm:
            gradient.mul_((bound / (norms + 1e-6)).clamp(max=1.0)[:, None])
        steps = self._steps[part] = [step + 1 for step in self._steps[part]]
        usual = self._update.momentum
        told = [lrs, [usual if m is None else m for m in momenta], steps, [average_weight(step) for step in steps]]
        lr, momentum, step, share = torch.tensor(told, dtype=weights.dtype).to(self._device)[..., None]
        state = {name: rows[part] for name, rows in self._state.items()}
        self._update.apply(weights, gradient, state, lr, momentum, step)
        self._average[part].lerp_(weights, share)
        for name, rows in self._averages.items():
            live = self._buffers[name][part]
            rows[part].lerp_(live, share.view(-1, *[1] * (live.ndim - 1)).to(live.dtype))

    def _called(self, named: Named, held: Named) -> Callable[..., Tensor]:
        return lambda *inputs: functional_call(self._model, {**named, **held}, inputs)

    def _fused(self) -> AbstractContextManager[Any]:
        """How rows pass through the model together."""
        ways = ExitStack()
        ways.enter_context(torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._mixed))
        ways.enter_context(convolving(self.convolution))
        if self._mixed:
            ways.enter_context(MixedNorms())
        # Attention's fused kernels would be called row by row.
        ways.enter_context(sdpa_kernel(SDPBackend.MATH))
        return ways

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
