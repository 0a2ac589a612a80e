"""The base class of all schedule families."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phitune.trainables.errors import InputError
from phitune.trainables.schedules._blocks import in_blocks
from phitune.trainables.schedules._sampling import Sampling, checked_sampling, is_number, quantised, staircase

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_MEAN_POINTS = 10_001
_MOST_SHOWN = 6


@dataclass(frozen=True)
class Parameter:
    """A family's shape parameter as a search sees it: its default log-uniform range."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A learning-rate schedule without its base LR and without its horizon.

    The LR of step ``t`` (0 ≤ t < T, the first step is 0) of a run with horizon ``T`` and base LR ``eta0`` is
    ``eta0 * u(t, T)``. Nothing else enters, so a run resumed at any step has the LR it would have had, to the last bit
    on the same machine (docs/reference/schedules.md says what holds between machines). The last step of a run uses the
    profile at x = (T-1)/T, as in budgeted training (Li et al. 2020); beyond the horizon the value of step T holds.

    Warmup, floor and sampling compose with every family: w warmup steps of value ``(t+1)/(w+1)`` × the
    profile's start, then ``u = floor + (1-floor) · profile(x)`` at ``x = (t-w)/(T-w)``.

    A search may vary a family's ``parameters`` and, of every family, warmup and floor (`Schedule.searchable`).

    A subclass is a frozen dataclass whose fields are its parameters. It sets ``family`` (its name in study
    files) and ``parameters`` (the numbers that a search may vary), defines `profile`, and checks its values
    with `require` in a ``__post_init__`` that calls this one's first.

    Args:
        warmup: Linear warmup: a float in [0, 1) is a fraction of the budget, an int ≥ 1 a number of iterations;
            always cut to leave one iteration.
        floor: The end of a decay to zero, as a fraction of the base LR, in [0, 1).
        sampling: When the LR changes. None: at every iteration. A number s in (0, 1]: once every s of the phase
            after warmup. Increasing points in (0, 1): there alone (the second axis of REX, arXiv 2107.04197).
    """

    family: ClassVar[str]
    parameters: ClassVar[dict[str, Parameter]] = {}

    warmup: float | int = 0
    floor: float = 0.0
    sampling: Sampling = None

    def __post_init__(self) -> None:
        self.require(
            "warmup",
            "a fraction in [0, 1) of the budget or a whole number of iterations",
            lambda v: 0 <= v < 1 or (isinstance(v, int) and v >= 1),
        )
        self.require("floor", "a number in [0, 1)", lambda v: 0 <= v < 1)
        object.__setattr__(self, "sampling", checked_sampling(self.sampling, self.family))

    @abstractmethod
    def profile(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The family's shape at progress ``x``, an array in [0, 1] of any shape; same shape back, largest value 1.

        Elementwise: a value must not depend on the array's other elements.
        """

    @property
    def profile_mean(self) -> float:
        """Mean of `profile` over x; by quadrature unless a family overrides it with a formula."""
        x = np.linspace(0.0, 1.0, _MEAN_POINTS)
        return float(np.trapezoid(self.profile(x), x))

    def u(self, step: ArrayLike, horizon: int, observed: Sequence[float] = ()) -> NDArray[np.float64]:
        """The LR divided by the base LR at ``step`` of a run of ``horizon`` iterations.

        Args:
            step: Iterations done so far, a number or an array of any shape; not negative.
            horizon: The budget T, at least 1.
            observed: Validation losses at the first of `check_steps`; only closed-loop families use them.

        Returns:
            u, in the shape of ``step``.
        """
        return in_blocks(lambda t: self._values(t, horizon, observed), checked_steps(step, horizon))

    def mean(self, horizon: int) -> float:
        """Mean of u over the budget, warmup, floor and sampling included; base LR × mean is the mean LR.

        Taken in the continuous limit: the warmup is a triangle over its share of the budget, the rest an integral.
        """
        checked_steps(0, horizon)
        ramp = self.warmup_steps(horizon) / horizon
        mean = self.profile_mean if self.sampling is None else staircase(self.sampling, self.profile, self.profile_mean)
        start, body = (float(v) for v in self._lifted(np.array([float(self.profile(np.zeros(1))[0]), mean])))
        return 0.5 * ramp * start + (1.0 - ramp) * body

    def momentum(self, step: ArrayLike, horizon: int) -> NDArray[np.float64] | None:
        """Momentum (Adam: β₁) at ``step``; None unless the family cycles it."""
        checked_steps(step, horizon)
        return None

    def check_steps(self, horizon: int) -> NDArray[np.int64]:
        """Iterations after which a closed-loop family needs the validation loss; none for the others."""
        checked_steps(0, horizon)
        return np.empty(0, dtype=np.int64)

    def warmup_steps(self, horizon: int) -> int:
        """Number of warmup iterations, w ≤ T - 1."""
        w = self.warmup if self.warmup >= 1 else round(self.warmup * horizon)
        return min(int(w), horizon - 1)

    def lr_scheduler(
        self, optimizer: Optimizer, horizon: int, last_epoch: int = -1, extend: bool = False
    ) -> LRScheduler:
        """A standard torch scheduler; call its ``step()`` once after every ``optimizer.step()``.

        Every parameter group keeps its own LR as base LR, so groups keep their ratios. Where the family cycles
        momentum, so does the scheduler.

        Args:
            optimizer: Its groups' LRs are the base LRs.
            horizon: The budget T in optimizer steps.
            last_epoch: The last step done, as in torch.
            extend: Whether the scheduler may load a state that was saved at another horizon.
        """
        from phitune.trainables.schedules._torch import ProfileLR

        return ProfileLR(optimizer, self, horizon, last_epoch, extend)

    @classmethod
    def searchable(cls) -> dict[str, Parameter]:
        """The parameters that a search may vary: the family's own, then warmup and floor."""
        return {**cls.parameters, "warmup": Parameter(0.005, 0.3), "floor": Parameter(0.001, 0.5)}

    @classmethod
    def required(cls) -> list[str]:
        """Names of the parameters without a default."""
        return [f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]

    @classmethod
    def own_fields(cls) -> list[str]:
        """Names of the family's own parameters, without those that every family has."""
        return [f.name for f in fields(cls) if f.name not in _COMPOSITION]

    def to_dict(self) -> dict[str, Any]:
        """Family and parameters, and warmup, floor and sampling where they are not the default; see `from_dict`."""
        composed = [f.name for f in fields(self) if f.name in _COMPOSITION and getattr(self, f.name) != f.default]
        return {"family": self.family} | {name: getattr(self, name) for name in self.own_fields() + composed}

    def require(self, name: str, must_be: str, holds: Callable[[float], bool]) -> None:
        """Checks that a field is a finite number for which ``holds``.

        Raises:
            InputError: It is not; the message reads ``family.name: VALUE is not allowed; it must be {must_be}``.
        """
        value = getattr(self, name)
        if not (is_number(value) and holds(value)):
            self.refuse(name, must_be)

    def refuse(self, name: str, must_be: str) -> NoReturn:
        """Raises the `InputError` for a field's value."""
        value = reprlib.repr(getattr(self, name))
        raise InputError(f"{self.family}.{name}: {value} is not allowed; it must be {must_be}")

    def require_positive(self, name: str) -> None:
        """`require` for a number > 0."""
        self.require(name, "a positive number", lambda v: v > 0)

    def require_whole(self, name: str, least: int) -> None:
        """`require` for a whole number of at least ``least``."""
        self.require(name, f"a whole number of at least {least}", lambda v: isinstance(v, int) and v >= least)

    def require_one_of(self, name: str, *allowed: str) -> None:
        """Checks that a field is one of some words."""
        if getattr(self, name) not in allowed:
            self.refuse(name, f"one of {', '.join(allowed)}")

    def _values(self, t: NDArray[np.float64], horizon: int, observed: Sequence[float]) -> NDArray[np.float64]:
        """u at valid steps."""
        value = self._lifted(self._observed_profile(self._progress(t, horizon), horizon, observed))
        w = self.warmup_steps(horizon)
        return value * np.minimum((t + 1.0) / (w + 1.0), 1.0) if w else value

    def _progress(self, t: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
        """x at steps ``t``: 0 during warmup, held between sampling points."""
        w = self.warmup_steps(horizon)
        x = np.clip((t - w) / (horizon - w), 0.0, 1.0)
        return x if self.sampling is None else quantised(x, self.sampling)

    def _observed_profile(self, x: NDArray[np.float64], horizon: int, observed: Sequence[float]) -> NDArray[np.float64]:
        """The profile at ``x``; a closed-loop family overrides it to use its observations."""
        return self.profile(x)

    def _lifted(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Profile values rescaled to lie between the floor and 1."""
        return value if self.floor == 0 else self.floor + (1.0 - self.floor) * value

    def described(self) -> dict[str, str]:
        """The parameters that differ from their defaults, or have none, as short text by name."""
        shown = [f.name for f in fields(self) if f.default is MISSING or getattr(self, f.name) != f.default]
        return {name: _short(getattr(self, name)) for name in sorted(shown, key=lambda name: name in _COMPOSITION)}

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={text}" for name, text in self.described().items())
        return f"{self.family}({arguments})" if arguments else self.family


_COMPOSITION: tuple[str, ...] = tuple(f.name for f in fields(Schedule))


def checked_steps(step: ArrayLike, horizon: int) -> NDArray[np.float64]:
    """The steps as floats.

    Raises:
        InputError: A step is negative or not a number, or the horizon is less than 1.
    """
    if not horizon >= 1:
        raise InputError(f"horizon: {horizon} is not allowed; it must be at least 1 iteration")
    t = np.asarray(step, dtype=np.float64)
    if t.size and not t.min() >= 0:
        raise InputError(f"step: {t.min():g} is not allowed; steps start at 0")
    return t


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > _MOST_SHOWN:
        return f"{len(value)} values"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
