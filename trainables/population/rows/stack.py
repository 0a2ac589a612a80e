"""Several models of one kind that pass through it together: their steps and evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from traceback import clear_frames
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F

from phitune.trainables.memory import out_of_memory
from phitune.trainables.population.rows.rows import Named, Rows
from phitune.trainables.population.rows.updates import Now
from phitune.trainables.population.rules.attention import attended, heads_attended
from phitune.trainables.population.rules.convolution import convolving, fastest, has_convolutions
from phitune.trainables.population.rules.draws import Drawing, RowDraws, drawn
from phitune.trainables.population.rules.normalisation import normalised
from phitune.trainables.population.rules.vmap import Rules
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Evaluation, Split, average_weight
from phitune.trainables.workloads.torch.seeding import seeded
from phitune.trainables.workloads.torch.torch_workload import Batch, TorchWorkload
from phitune.trainables.workloads.torch.transfer import sent

_FASTEST: WeakKeyDictionary[TorchWorkload, dict[tuple[str, int], str]] = WeakKeyDictionary()


class Stack(Rows):
    """Rows of which the first are trained: the same numbers as `TorchLearner`'s, but for the order of summation.

    Args:
        workload: Whose model it is.
        optimizer: One for all rows.
        capacity: Rows.
        device: A torch device.
        convolution: How convolutions are computed, one of `trainables.population.rules.convolution.FORMS`; None for
            ``grouped`` on a CPU, where none that is faster beats trials alone, and for what is fastest on a GPU.

    Attributes:
        convolution: The form in use.
        width: Rows that pass through the model at once.
        draws: Whether the model was seen to draw random numbers in training, as dropout does.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(
        self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str, convolution: str | None = None
    ) -> None:
        super().__init__(workload, optimizer, capacity, device)
        self._mixed = workload.recipe.precision == "bf16"
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
                try:
                    self._slope(slice(0, rows), range(rows))
                except RuntimeError as error:
                    if self.draws or not _of_chance(error):
                        raise
                    self.draws = True
                    self._slope(slice(0, rows), range(rows))

            known[key] = fastest(step, self.capacity, self._device)
            self.convolution = used
        return known[key]

    def step(
        self, seeds: Sequence[int], lrs: Sequence[float], momenta: Sequence[float | None]
    ) -> tuple[Tensor, dict[int, Exception]]:
        """One iteration of the first rows, as many as there are LRs.

        Returns:
            The losses before the update, [rows], and why rows did not step; those are as they were, or where the update
            failed half-way, of no more use.
        """
        spoilt: dict[int, Exception] = {}
        losses = torch.full((len(lrs),), torch.nan, dtype=self._weights.dtype, device=self._device)

        def step(rows: range) -> None:
            part = slice(rows.start, rows.stop)
            held = {name: buffer[part].clone() for name, buffer in self._buffers.items()}
            steps, before = self._steps[part], self._written()
            try:
                losses[part], gradient = self._slope(part, seeds[part])
                self._update_rows(part, gradient, lrs[part], momenta[part])
            except Exception as error:
                if self._written() == before:
                    self._steps[part] = steps
                    for name, buffer in held.items():
                        self._buffers[name][part] = buffer
                    raise
                if out_of_memory(error):
                    self._make_do(rows)
                spoilt.update(dict.fromkeys(rows, _bare(error)))

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
        # On the device once: a list would be sent there for every tensor.
        index = sent(torch.tensor(rows), self._device)
        named = self._layout.split((self._average if averaged else self._weights)[index])
        source = {**self._buffers, **self._averages} if averaged else self._buffers
        buffers = {name: tensor[index] for name, tensor in source.items()}
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
                short = out_of_memory(error)
                chance = not self.draws and _of_chance(error)
                if len(part) == 1 and not chance:
                    errors[part[0]] = _bare(error)
                    continue
            # The error, which holds what was in memory, is gone by now.
            if chance:
                self.draws = True
                parts.insert(0, part)
                continue
            if short:
                self._make_do(part)
            half = _half(part)
            parts[:0] = [part[:half], part[half:]]
        return errors

    def _make_do(self, part: range) -> None:
        """Has no more than half of a part that there was no memory for pass at once, from now on."""
        self.width = _half(part)
        torch.cuda.empty_cache()

    def _written(self) -> list[int]:
        """Another list once an update has written anything that a step does not write again."""
        return [
            rows._version for rows in (self._weights, self._average, *self._state.values(), *self._averages.values())
        ]

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
        meant = [usual if m is None else m for m in momenta]
        told = [lrs, meant, steps, [average_weight(step) for step in steps]]
        lr, momentum, step, share = sent(torch.tensor(told, dtype=weights.dtype), self._device)[..., None]
        state = {name: rows[part] for name, rows in self._state.items()}
        self._update.apply(weights, gradient, state, Now(lr, momentum, step, still=0.0 in meant))
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
        rules: dict[Any, Callable[..., Any]] = {
            F.conv2d: convolving(self.convolution),
            F.batch_norm: normalised,
            F.scaled_dot_product_attention: attended,
            F.multi_head_attention_forward: heads_attended,
        }
        ways.enter_context(Rules(rules))
        return ways


def _of_chance(error: Exception) -> bool:
    """Whether it is `vmap`'s, of a model that draws random numbers."""
    return isinstance(error, RuntimeError) and "randomness" in str(error)


def _half(part: range) -> int:
    return (len(part) + 1) // 2


def _bare(error: Exception) -> Exception:
    """An error that still says where it was raised, but does not hold what was in memory there."""
    each: BaseException | None = error
    while each is not None:
        clear_frames(each.__traceback__)
        each = each.__context__
    return error
