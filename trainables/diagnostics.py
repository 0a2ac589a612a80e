"""Measurements on the whole training set: loss, gradient norm and Hessian extremes; and a trial's gradient norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from phitune.trainables.errors import InputError
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads.base import Diagnosis
from phitune.trainables.workloads.torch.torch_learner import TorchLearner
from phitune.trainables.workloads.torch.torch_workload import Batch, TorchWorkload

_SEED = 0
_TOLERANCE = 1e-3
_LANCZOS_VECTORS = 20
# About twenty Hessian-vector products each: at most some 200 for either extreme.
_RESTARTS = 10

_Operator = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def measure(workload: TorchWorkload, model: nn.Module, diagnosis: Diagnosis, device: str) -> dict[str, float]:
    """``full_train_loss full_grad_norm hessian_max hessian_min`` of a model, as far as asked for.

    All are of the mean of ``workload.loss`` over the training split without augmentation, with the model in the mode
    it is in, in its own precision: no label smoothing, no weight decay, no mixed precision. The model and its
    ``.grad`` are left alone. Examples pass in parts of the size of a training step's: the gradient needs a step's
    memory, the Hessian about three times that and, on the host, 20 float64 vectors as long as all parameters.

    Each eigenvalue is known to about 0.1 % of the larger magnitude of the two. The Hessian takes 40 to 100, at most
    400, products with a vector, each as costly as two or three gradients.

    Args:
        workload: Where loss and examples come from.
        model: Its weights as they are.
        diagnosis: What to measure, and on how many examples: a random subset drawn once and for all, so that trials
            can be compared.
        device: Where the model is.

    Returns:
        What is asked for, except what is not finite or, of the eigenvalues, what has not converged.
    """
    loss = _TrainingLoss(workload, model, diagnosis.examples, device)
    measured: dict[str, float] = {}
    if diagnosis.gradient:
        value, gradient = loss.gradient()
        measured |= {"full_train_loss": value, "full_grad_norm": float(nn.utils.get_total_norm(gradient))}
    if diagnosis.hessian:
        measured |= _extremes(loss.hessian_times, loss.dimension)
    return {key: value for key, value in measured.items() if math.isfinite(value)}


def gradient_norms(
    workload: TorchWorkload, config: TrialConfig, order: Literal[1, 2], device: str = "cpu"
) -> NDArray[np.float64]:
    """Norm of the gradient over all parameters at every step of a trial that is run for it: food for `refine`.

    The gradient is what the optimizer gets: of a batch, clipped if the recipe clips.

    Args:
        workload: The workload.
        config: The trial, such as linear decay at its best base LR.
        order: 2 for refining SGD, 1 for the Adam kinds (Defazio et al. 2023, arXiv 2310.07831).
        device: A torch device.

    Returns:
        [horizon].

    Raises:
        InputError: The trial diverges.
    """
    training = Training(workload, config, points=1, device=device)
    norms: list[Tensor] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms.append(nn.utils.get_total_norm(gradients, norm_type=float(order)))

    if not isinstance(training.learner, TorchLearner):
        raise TypeError(f"{type(training.learner).__name__} does not tell its gradients")
    training.learner.optimizer.register_step_pre_hook(note)
    training.advance(config.horizon)
    if training.diverged:
        raise InputError(
            f"base_lr: {config.base_lr:g} is not allowed; a trial to refine must not diverge, this one did at "
            f"iteration {training.step} of {config.horizon}"
        )
    return torch.stack(norms).double().cpu().numpy()


class _TrainingLoss:
    """The mean loss over the training examples as a function of the model's trainable parameters."""

    def __init__(self, workload: TorchWorkload, model: nn.Module, examples: int | None, device: str) -> None:
        self._workload = workload
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
        total, count = 0.0, 0
        sums = [torch.zeros_like(p) for p in self._params]
        for inputs, targets in self._parts():
            loss = self._workload.loss(self._workload.forward(self._model, inputs), targets)
            torch._foreach_add_(sums, derivative(loss), alpha=len(targets))
            total += float(loss.detach()) * len(targets)
            count += len(targets)
        torch._foreach_div_(sums, count)
        return total / count, sums

    def _parts(self) -> Iterator[Batch]:
        """The examples, in parts for which a training step has memory."""
        recipe = self._workload.recipe
        size = max(1, recipe.batch_size // recipe.accumulate)
        chunks = self._workload.chunks("train", self._device) if self._examples is None else [self._subset]
        for inputs, targets in map(self._workload.precise, chunks):
            yield from zip(torch.split(inputs, size), torch.split(targets, size), strict=True)

    @cached_property
    def _subset(self) -> Batch:
        """The same examples whatever the model, the seed and the sizes of the chunks."""
        total = sum(len(targets) for _, targets in self._workload.chunks("train", self._device))
        taken = np.zeros(total, dtype=bool)
        taken[np.random.default_rng(_SEED).permutation(total)[: self._examples]] = True
        picked, start = [], 0
        for inputs, targets in self._workload.chunks("train", self._device):
            where = torch.from_numpy(taken[start : start + len(targets)]).to(targets.device)
            picked.append((inputs[where], targets[where]))
            start += len(targets)
        return torch.cat([inputs for inputs, _ in picked]), torch.cat([targets for _, targets in picked])


def _extremes(hessian_times: _Operator, dimension: int) -> dict[str, float]:
    """Largest and smallest eigenvalue of a symmetric operator on [dimension], as far as Lanczos converges.

    One of them has the largest magnitude, λ. The other is λ plus that of H − λI, so that a smallest eigenvalue near
    zero need not be resolved any finer than λ.
    """
    start = np.random.default_rng(_SEED).standard_normal(dimension)
    farthest = _farthest(hessian_times, start)
    if farthest is None:
        return {}
    known, left = ("hessian_max", "hessian_min") if farthest >= 0 else ("hessian_min", "hessian_max")
    distance = _farthest(lambda vector: hessian_times(vector) - farthest * vector, start)
    return {known: farthest} if distance is None else {known: farthest, left: farthest + distance}


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
        found = eigsh(
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
    return float(found[0])
