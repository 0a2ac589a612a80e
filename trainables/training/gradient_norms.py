"""The gradient norms of a trial, step by step: what `phitune.refine` makes a schedule of."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.training.config import TrialConfig
from phitune.trainables.training.training import Training
from phitune.trainables.workloads.learning.torch_learner import TorchLearner
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload


def gradient_norms(
    workload: TorchWorkload, config: TrialConfig, order: Literal[1, 2], device: str = "cpu"
) -> NDArray[np.float64]:
    """Trains a trial and returns the norm of its gradient over all parameters at every step, for `refine`.

    The gradient is the optimizer's: of a batch, clipped if the recipe clips.

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

    def record(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms.append(nn.utils.get_total_norm(gradients, norm_type=float(order)))

    if not isinstance(training.learner, TorchLearner):
        raise TypeError(f"{type(training.learner).__name__} is no TorchLearner, whose gradients can be recorded")
    training.learner.optimizer.register_step_pre_hook(record)
    training.advance(config.horizon)
    if training.diverged:
        raise InputError(
            f"base_lr: {config.base_lr:g} is not allowed; a trial to refine must not diverge, this one did at "
            f"iteration {training.step} of {config.horizon}"
        )
    return torch.stack(norms).double().cpu().numpy()
