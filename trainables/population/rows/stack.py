"""Steps and evaluations of many models in one pass."""

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

from phitune.trainables.errors import out_of_memory
from phitune.trainables.population.rows.rows import Named, Rows
from phitune.trainables.population.rows.updates import StepInputs
from phitune.trainables.population.rules.attention import attention_rule, multi_head_attention_rule
from phitune.trainables.population.rules.convolution import convolution_rule, fastest_form, has_convolutions
from phitune.trainables.population.rules.normalisation import batch_norm_rule
from phitune.trainables.population.rules.randomness import RowwiseFactories, RowwiseRandomness, batches_and_randomness
from phitune.trainables.population.rules.vmap import Rules
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Evaluation, Split, average_weight
from phitune.trainables.workloads.learning.device import seeded, to_device
from phitune.trainables.workloads.learning.torch_internals import version
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_FASTEST_FORMS: WeakKeyDictionary[TorchWorkload, dict[tuple[str, int], str]] = WeakKeyDictionary()


class Stack(Rows):
    """`Rows` that train: the numbers are those of `TorchLearner`, but for the order of summation.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        capacity: Number of rows.
        device: A torch device.
        convolution: Form of convolutions, one of `trainables.population.rules.convolution.FORMS`. None takes the
            fastest on a GPU, and ``grouped`` on a CPU, where no faster form beats trials alone.

    Attributes:
        convolution: The form in use.
        width: Rows that pass through the model at once.
        stochastic: Whether the model has drawn random numbers in training, as dropout does.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(
        self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str, convolution: str | None = None
    ) -> None:
        super().__init__(workload, optimizer, capacity, device)
        self._mixed = workload.recipe.precision == "bf16"
        self.width = capacity
        self.stochastic = False
        self.convolution = convolution or "grouped"
        if convolution is None and torch.device(device).type == "cuda" and has_convolutions(self._model):
            self.convolution = self.fastest_convolution()

    def fastest_convolution(self) -> str:
        """Times a step of all rows in each form of convolutions, once a workload, device and capacity.

        Overwrites the rows.

        Returns:
            The fastest form.
        """
        known = _FASTEST_FORMS.setdefault(self._workload, {})
        key = (self._device, self.capacity)
        if key not in known:
            current = self.convolution

            def step(form: str, rows: int) -> None:
                self.convolution = form
                try:
                    self._gradients(slice(0, rows), range(rows))
                except RuntimeError as error:
                    if self.stochastic or not is_randomness_error(error):
                        raise
                    self.stochastic = True
                    self._gradients(slice(0, rows), range(rows))

            known[key] = fastest_form(step, self.capacity, self._device)
            self.convolution = current
        return known[key]

    def step(
        self, seeds: Sequence[int], lrs: Sequence[float], momenta: Sequence[float | None]
    ) -> tuple[Tensor, dict[int, Exception]]:
        """One iteration of the first rows, as many as there are LRs.

        Returns:
            The losses before the update, [rows], and the errors of rows that did not step, by row. Those rows are
            unchanged, or no longer usable where the update failed half-way.
        """
        broken: dict[int, Exception] = {}
        losses = torch.full((len(lrs),), torch.nan, dtype=self._weights.dtype, device=self._device)

        def step(rows: range) -> None:
            part = slice(rows.start, rows.stop)
            buffers = {name: buffer[part].clone() for name, buffer in self._buffers.items()}
            steps, versions = self._steps[part], self._versions()
            try:
                losses[part], gradient = self._gradients(part, seeds[part])
                self._update_rows(part, gradient, lrs[part], momenta[part])
            except Exception as error:
                if self._versions() == versions:
                    self._steps[part] = steps
                    for name, buffer in buffers.items():
                        self._buffers[name][part] = buffer
                    raise
                if out_of_memory(error):
                    self._halve_width(rows)
                broken.update(dict.fromkeys(rows, _without_frames(error)))

        return losses, self._in_parts(range(len(lrs)), step) | broken

    def evaluate(self, rows: Sequence[int], split: Split, averaged: bool) -> list[Evaluation | Exception]:
        """Loss and metric over a split, of some rows' weights or of their averages; or the error in their place."""
        outcomes: dict[int, Evaluation | Exception] = {}

        def evaluate(numbers: range) -> None:
            part = [rows[number] for number in numbers]
            evaluations = self.evaluate_batches(part, self._workload.chunks(split, self._device), averaged)
            outcomes.update(zip(numbers, evaluations, strict=True))

        outcomes |= self._in_parts(range(len(rows)), evaluate)
        return [outcomes[number] for number in range(len(rows))]

    def evaluate_batches(self, rows: Sequence[int], batches: Iterable[Batch], averaged: bool) -> list[Evaluation]:
        """Mean loss and metric over some batches, all rows at once."""
        workload = self._workload
        # Copied to the device once: a list would be copied for every tensor.
        index = to_device(torch.tensor(rows), self._device)
        named = self._layout.split((self._average if averaged else self._weights)[index])
        source = {**self._buffers, **self._averages} if averaged else self._buffers
        buffers = {name: tensor[index] for name, tensor in source.items()}
        losses, metrics, sizes = [], [], []

        def evaluate_row(named: Named, held: Named, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            outputs = workload.forward(self._called(named, held), x)
            return workload.loss(outputs, y), workload.metric(outputs, y)

        # As alone, random numbers drawn in evaluation do not depend on the seed.
        together = vmap(evaluate_row, in_dims=(0, 0, None, None), randomness="same")
        self._model.eval()
        try:
            with torch.no_grad(), seeded(0, self._device), self._fused():
                for inputs, targets in map(workload.precise, batches):
                    loss, metric = together(named, buffers, inputs, targets)
                    losses.append(loss)
                    metrics.append(metric)
                    sizes.append(len(targets))
        finally:
            self._model.train()
        shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
        means = torch.stack([torch.stack(losses, -1), torch.stack(metrics, -1)]).double().cpu() @ shares
        return [Evaluation(loss, metric) for loss, metric in means.T.tolist()]

    def _in_parts(self, rows: range, act: Callable[[range], None]) -> dict[int, Exception]:
        """Calls a function for `width` rows at a time; after an error, for halves of them, down to single rows.

        So an error is found to be one row's, and too little memory halves `width` from then on.

        Returns:
            The errors of single rows.
        """
        errors: dict[int, Exception] = {}
        parts = [rows[start : start + self.width] for start in range(0, len(rows), self.width)]
        while parts:
            part = parts.pop(0)
            try:
                act(part)
                continue
            except Exception as error:
                no_memory = out_of_memory(error)
                first_draw = not self.stochastic and is_randomness_error(error)
                if len(part) == 1 and not first_draw:
                    errors[part[0]] = _without_frames(error)
                    continue
            # The error, whose frames hold memory, is gone by now.
            if first_draw:
                self.stochastic = True
                parts.insert(0, part)
                continue
            if no_memory:
                self._halve_width(part)
            half = _half(part)
            parts[:0] = [part[:half], part[half:]]
        return errors

    def _halve_width(self, part: range) -> None:
        """Sets `width` to half of a part for which there was no memory."""
        self.width = _half(part)
        torch.cuda.empty_cache()

    def _versions(self) -> list[int]:
        """Versions of the tensors that an update writes; unequal once it has written to one."""
        return [
            version(rows) for rows in (self._weights, self._average, *self._state.values(), *self._averages.values())
        ]

    def _gradients(self, part: slice, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Losses [rows] and gradients [rows, width] of some rows at their next batches."""
        workload, steps = self._workload, self._steps[part]
        randomness: RowwiseRandomness | None = None
        if self.stochastic:
            batch, randomness = batches_and_randomness(workload, seeds, steps, self._device)
        else:
            batch = workload.batches(seeds, steps, self._device)
        inputs, targets = workload.precise(batch)
        weights = self._weights[part].detach().requires_grad_()
        buffers = {name: rows[part] for name, rows in self._buffers.items()}

        def loss(named: Named, held: Named, x: Tensor, y: Tensor) -> Tensor:
            with RowwiseFactories(y) if randomness else nullcontext():
                return workload.training_loss(workload.forward(self._called(named, held), x), y)

        together = vmap(loss, randomness="different" if randomness else "error")
        losses: list[Tensor] = []
        gradients: list[Tensor] = []
        accumulate = workload.recipe.accumulate
        for x, y in zip(inputs.chunk(accumulate, 1), targets.chunk(accumulate, 1), strict=True):
            with self._fused(), randomness or nullcontext():
                part_losses = together(self._layout.split(weights), buffers, x, y) * (y.shape[1] / targets.shape[1])
            gradients += torch.autograd.grad(part_losses.sum(), weights)
            losses.append(part_losses.detach())
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
        filled = [self._update.momentum if momentum is None else momentum for momentum in momenta]
        columns = [lrs, filled, steps, [average_weight(step) for step in steps]]
        lr, momentum, step, share = to_device(torch.tensor(columns, dtype=weights.dtype), self._device)[..., None]
        state = {name: rows[part] for name, rows in self._state.items()}
        self._update.apply(weights, gradient, state, StepInputs(lr, momentum, step, 0.0 in filled))
        self._average[part].lerp_(weights, share)
        for name, rows in self._averages.items():
            live = self._buffers[name][part]
            rows[part].lerp_(live, share.view(-1, *[1] * (live.ndim - 1)).to(live.dtype))

    def _called(self, named: Named, held: Named) -> Callable[..., Tensor]:
        return lambda *inputs: functional_call(self._model, {**named, **held}, inputs)

    def _fused(self) -> AbstractContextManager[Any]:
        """Context in which rows pass through the model together: mixed precision and the rules for `vmap`."""
        contexts = ExitStack()
        contexts.enter_context(torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._mixed))
        rules: dict[Any, Callable[..., Any]] = {
            F.conv2d: convolution_rule(self.convolution),
            F.batch_norm: batch_norm_rule,
            F.scaled_dot_product_attention: attention_rule,
            F.multi_head_attention_forward: multi_head_attention_rule,
        }
        contexts.enter_context(Rules(rules))
        return contexts


def is_randomness_error(error: Exception) -> bool:
    """Whether it is `vmap`'s error about a model that draws random numbers."""
    return isinstance(error, RuntimeError) and "randomness" in str(error)


def _half(part: range) -> int:
    return (len(part) + 1) // 2


def _without_frames(error: Exception) -> Exception:
    """The error with its traceback, but without the local variables of its frames, which hold memory."""
    each: BaseException | None = error
    while each is not None:
        clear_frames(each.__traceback__)
        each = each.__context__
    return error
