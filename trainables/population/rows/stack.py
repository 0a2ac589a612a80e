"""Steps and evaluations of many trials, in parts for which there is memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from traceback import clear_frames

import torch
from torch import Tensor

from phitune.trainables.errors import out_of_memory
from phitune.trainables.population.rows.passes import Passes, is_randomness_error
from phitune.trainables.population.rows.updates import StepInputs
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Evaluation, Split, average_weight
from phitune.trainables.workloads.learning.device import to_device
from phitune.trainables.workloads.learning.torch_internals import version
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


class Stack(Passes):
    """`Passes` that train: the numbers are those of `TorchLearner`, but for the order of summation.

    Args:
        workload: The trials' workload.
        optimizer: The trials' optimizer.
        capacity: Number of rows.
        device: A torch device.
        convolution: See `Passes`.

    Attributes:
        width: Rows that pass through the model at once.

    Raises:
        ValueError: The optimizer has no update for rows.
    """

    def __init__(
        self, workload: TorchWorkload, optimizer: Spec, capacity: int, device: str, convolution: str | None = None
    ) -> None:
        super().__init__(workload, optimizer, capacity, device, convolution)
        self.width = capacity

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

    def _in_parts(self, rows: range, act: Callable[[range], None]) -> dict[int, Exception]:
        """Calls a function for `width` rows at a time; after an error, for halves of them, down to single rows.

        This attributes an error to its row; too little memory halves `width` from then on.

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


def _half(part: range) -> int:
    return (len(part) + 1) // 2


def _without_frames(error: Exception) -> Exception:
    """The error with its traceback, but without the local variables of its frames, which hold memory."""
    each: BaseException | None = error
    while each is not None:
        clear_frames(each.__traceback__)
        each = each.__context__
    return error
