"""Forward and backward passes of many models at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F

from phitune.trainables.population.rows.rows import Named, Rows
from phitune.trainables.population.rules.attention import attention_rule, multi_head_attention_rule
from phitune.trainables.population.rules.convolution import convolution_rule, fastest_form, has_convolutions
from phitune.trainables.population.rules.normalisation import batch_norm_rule
from phitune.trainables.population.rules.randomness import (
    RowwiseFactories,
    RowwiseRandomness,
    batches_and_randomness,
)
from phitune.trainables.population.rules.vmap import Rules
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Evaluation
from phitune.trainables.workloads.learning.device import seeded, to_device
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_FASTEST_FORMS: WeakKeyDictionary[TorchWorkload, dict[tuple[str, int], str]] = WeakKeyDictionary()


class Passes(Rows):
    """`Rows` whose models compute losses and gradients together, in one pass of `torch.func.vmap`.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        capacity: Number of rows.
        device: A torch device.
        convolution: Form of convolutions, one of `trainables.population.rules.convolution.FORMS`. None takes the
            fastest on a GPU, and ``grouped`` on a CPU, where no faster form beats trials alone.

    Attributes:
        convolution: The form in use.
        stochastic: Whether the model has drawn random numbers in training, as dropout does.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(
        self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str, convolution: str | None = None
    ) -> None:
        super().__init__(workload, optimizer, capacity, device)
        self._mixed = workload.recipe.precision == "bf16"
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
