"""Measurements on the whole training set: loss, gradient norm and extreme eigenvalues of the Hessian."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from phitune.trainables.workloads.base import Diagnosis
from phitune.trainables.workloads.learning.torch_problem import Batch, TorchProblem

_SEED = 0
_TOLERANCE = 1e-3
_LANCZOS_VECTORS = 20
# About twenty Hessian-vector products each: at most some 200 for either extreme.
_RESTARTS = 10

_Operator = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def measure(problem: TorchProblem, model: nn.Module, diagnosis: Diagnosis, device: str) -> dict[str, float]:
    """Measures the requested ones of ``full_train_loss full_grad_norm hessian_max hessian_min`` of a model.

    All are of the mean of ``problem.loss`` over the training split without augmentation, with the model in the mode
    it is in, in its own precision: no label smoothing, no weight decay, no mixed precision. The model and its
    ``.grad`` are left alone. Examples pass in parts of the size of a training step's: the gradient needs a step's
    memory, the Hessian about three times that and, on the host, 20 float64 vectors as long as all parameters.

    Each eigenvalue is known to about 0.1 % of the larger magnitude of the two. The Hessian takes 40 to 100, at most
    400, products with a vector, each as costly as two or three gradients.

    Args:
        problem: Source of the loss and the examples.
        model: The model with its current weights.
        diagnosis: What to measure, and on how many examples: a random subset that is the same for all trials, so that
            they can be compared.
        device: The model's device.

    Returns:
        The requested measurements by name, without those that are not finite and eigenvalues that have not converged.
    """
    loss = _TrainingLoss(problem, model, diagnosis.examples, device)
    measured: dict[str, float] = {}
    if diagnosis.gradient:
        value, gradient = loss.gradient()
        measured |= {"full_train_loss": value, "full_grad_norm": float(nn.utils.get_total_norm(gradient))}
    if diagnosis.hessian:
        measured |= _extremes(loss.hessian_times, loss.dimension)
    return {key: value for key, value in measured.items() if math.isfinite(value)}


class _TrainingLoss:
    """The mean loss over the training examples as a function of the model's trainable parameters."""

    def __init__(self, problem: TorchProblem, model: nn.Module, examples: int | None, device: str) -> None:
        self._problem = problem
        self._model = model
        self._examples = examples
        self._device = device
        self._params = [p for p in model.parameters() if p.requires_grad]
        self.dimension = sum(p.numel() for p in self._params)

    def gradient(self) -> tuple[float, list[Tensor]]:
        """The loss, and its gradient by each parameter."""
        return self._mean(lambda loss: torch.autograd.grad(loss, self._params, materialize_grads=True))

    def hessian_times(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Hessian times a vector, both [dimension]."""
        parts = torch.split(torch.from_numpy(vector), [p.numel() for p in self._params])
        direction = [part.view_as(p).to(p) for part, p in zip(parts, self._params, strict=True)]

        def product(loss: Tensor) -> tuple[Tensor, ...]:
            gradient = torch.autograd.grad(loss, self._params, create_graph=True, materialize_grads=True)
            slope = torch.stack([(g * v).sum() for g, v in zip(gradient, direction, strict=True)]).sum()
            # A gradient that does not depend on the parameters has no graph: its derivative is zero.
            if not slope.requires_grad:
                return tuple(torch.zeros_like(p) for p in self._params)
            return torch.autograd.grad(slope, self._params, materialize_grads=True)

        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            _, products = self._mean(product)
        return torch.cat([p.double().flatten() for p in products]).cpu().numpy()

    def _mean(self, derivative: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[float, list[Tensor]]:
        """The loss and a derivative of it, both averaged over the examples."""
        loss_sum, count = 0.0, 0
        sums = [torch.zeros_like(p) for p in self._params]
        for inputs, targets in self._parts():
            loss = self._problem.loss(self._problem.forward(self._model, inputs), targets)
            for each, part in zip(sums, derivative(loss), strict=True):
                each.add_(part, alpha=len(targets))
            loss_sum += float(loss.detach()) * len(targets)
            count += len(targets)
        return loss_sum / count, [each / count for each in sums]

    def _parts(self) -> Iterator[Batch]:
        """The examples, in parts for which a training step has memory."""
        recipe = self._problem.recipe
        size = max(1, recipe.batch_size // recipe.accumulate)
        chunks = self._problem.chunks("train", self._device) if self._examples is None else [self._subset]
        for inputs, targets in map(self._problem.precise, chunks):
            yield from zip(torch.split(inputs, size), torch.split(targets, size), strict=True)

    @cached_property
    def _subset(self) -> Batch:
        """The subset of the examples; it depends on neither model, seed nor chunk sizes."""
        total = sum(len(targets) for _, targets in self._problem.chunks("train", self._device))
        selection = np.zeros(total, dtype=bool)
        selection[np.random.default_rng(_SEED).permutation(total)[: self._examples]] = True
        parts, start = [], 0
        for inputs, targets in self._problem.chunks("train", self._device):
            where = torch.from_numpy(selection[start : start + len(targets)]).to(targets.device)
            parts.append((inputs[where], targets[where]))
            start += len(targets)
        return torch.cat([inputs for inputs, _ in parts]), torch.cat([targets for _, targets in parts])


def _extremes(hessian_times: _Operator, dimension: int) -> dict[str, float]:
    """Largest and smallest eigenvalue of a symmetric operator on [dimension], as far as Lanczos converges.

    One of them has the largest magnitude, λ. The other is λ plus that of H − λI, so that a smallest eigenvalue near
    zero need not be resolved any finer than λ.
    """
    start = np.random.default_rng(_SEED).standard_normal(dimension)
    farthest = _farthest(hessian_times, start)
    if farthest is None:
        return {}
    first, second = ("hessian_max", "hessian_min") if farthest >= 0 else ("hessian_min", "hessian_max")
    distance = _farthest(lambda vector: hessian_times(vector) - farthest * vector, start)
    return {first: farthest} if distance is None else {first: farthest, second: farthest + distance}


def _farthest(operator: _Operator, start: NDArray[np.float64]) -> float | None:
    """The eigenvalue of largest magnitude, zero for the zero operator; None if Lanczos does not converge."""
    first = operator(start)
    if not np.isfinite(first).all():
        return None
    if not first.any():
        return 0.0
    # curvlinops has this and much more, with eight packages; scipy is here already.
    products = LinearOperator((start.size, start.size), matvec=lambda v: operator(v.ravel()), dtype=np.float64)
    vectors = min(start.size, _LANCZOS_VECTORS)
    try:
        eigenvalues = eigsh(
            products,
            k=1,
            which="LM",
            v0=start,
            ncv=vectors,
            maxiter=_RESTARTS,
            tol=_TOLERANCE,
            return_eigenvectors=False,
        )
    except ArpackNoConvergence:
        return None
    return float(eigenvalues[0])
