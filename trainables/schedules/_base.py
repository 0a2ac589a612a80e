"""The base class of all schedule families."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainables.errors import InputError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

_MEAN_POINTS = 20_001


@dataclass(frozen=True)
class Parameter:
    """A family's shape parameter as a search sees it: its default log-uniform range."""

    low: float
    high: float


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning-rate schedule without its base LR and without its horizon.

    The LR of step ``t`` (0 ≤ t < T, the first step is 0) of a run with horizon ``T`` and base LR
    ``eta0`` is ``eta0 * u(t / T)``. Nothing else enters, so a run resumed at any step has the LR it
    would have had. The last step of a run uses ``u((T-1)/T)``, as in budgeted training (Li et al. 2020).
    Beyond the horizon the value ``u(1)`` holds.

    A subclass is a frozen dataclass whose fields are its parameters. It sets ``family`` (its name in
    study files), ``parameters`` (those that a search may vary) and defines `profile`.
    """

    family: ClassVar[str]
    parameters: ClassVar[dict[str, Parameter]] = {}

    @abstractmethod
    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value u at training progress ``x``, an array in [0, 1] of any shape; same shape back."""

    @property
    def mean(self) -> float:
        """Mean of u over the budget; base LR × mean is the mean LR."""
        x = np.linspace(0.0, 1.0, _MEAN_POINTS)
        return float(np.trapezoid(self.profile(x), x))

    def u(self, step: ArrayLike, horizon: int) -> NDArray[np.float64]:
        """The profile at ``step`` of a run of ``horizon`` iterations.

        Args:
            step: Iterations done so far, a number or an array of any shape; not negative.
            horizon: The budget T, at least 1.

        Returns:
            u, in the shape of ``step``.
        """
        if horizon < 1:
            raise InputError(f"horizon: {horizon} is not allowed; it must be at least 1 iteration")
        t = np.asarray(step, dtype=np.float64)
        if t.size and t.min() < 0:
            raise InputError(f"step: {t.min():g} is not allowed; steps start at 0")
        return self.profile(np.minimum(t / horizon, 1.0))

    def lr_scheduler(self, optimizer: Optimizer, horizon: int, last_epoch: int = -1) -> LambdaLR:
        """A standard torch scheduler; call its ``step()`` after every ``optimizer.step()``.

        Every parameter group keeps its own LR as base LR, so groups keep their ratios.
        """
        from trainables.schedules._torch import lr_scheduler

        return lr_scheduler(self, optimizer, horizon, last_epoch)

    def to_dict(self) -> dict[str, Any]:
        """The family's name and its parameters; `from_dict` is the way back."""
        return {"family": self.family, **asdict(self)}

    def _require_positive(self, name: str) -> None:
        value = getattr(self, name)
        if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
            raise InputError(f"{self.family}.{name}: {value!r} is not allowed; it must be a positive number")

    def __str__(self) -> str:
        arguments = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in asdict(self).items())
        return f"{self.family}({arguments})" if arguments else self.family
