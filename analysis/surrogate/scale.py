"""From an objective to the scale on which the model is fitted: lower is better, 0.01 means one per cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Added to an error rate, so that an error of zero has a logarithm.
_LEAST_ERROR = 1e-3
# Excess at which `squeezed` has come to 63 % of its largest value, which is this too.
FAR = 0.7
# Excess of diverged trials where nothing else is known.
CLIFF = 3.0


@dataclass(frozen=True)
class Scale:
    """The scale on which differences of the objective are expressed.

    Attributes:
        kind: "log" for a positive quantity to be minimised: log(value). "log_error" for one in [0, 1] to be maximised:
            log(1 - value + 0.001), so that differences are relative changes of the error. "linear" otherwise, as for a
            loss that crosses zero: the value over `unit`.
        unit: What "linear" divides by: the spread of the values' better half, negative if the objective is maximised;
            1 otherwise.
    """

    kind: Literal["log", "log_error", "linear"]
    unit: float = 1.0

    @classmethod
    def of(cls, values: Array, mode: str) -> Scale:
        """The scale for finite values of an objective and its mode ("min" or "max")."""
        if mode == "min" and values.size and values.min() > 0:
            return cls("log")
        if mode == "max" and values.size and values.min() >= 0 and values.max() <= 1:
            return cls("log_error")
        sign = 1.0 if mode == "min" else -1.0
        signed = sign * values
        spread = float(np.median(signed) - signed.min()) if values.size else 0.0
        return cls("linear", sign * (spread or 1.0))

    @property
    def relative(self) -> bool:
        """Whether a difference on the scale is a relative one, to be said in per cent."""
        return self.kind != "linear"

    def forward(self, values: ArrayLike) -> Array:
        """Objective to fitting scale; impossible values (a log of nothing positive) become NaN."""
        values = np.asarray(values, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.kind == "log":
                return np.where(values > 0, np.log(values), np.nan)
            if self.kind == "log_error":
                return np.log(np.clip(1.0 - values, 0.0, None) + _LEAST_ERROR)
            return np.asarray(values / self.unit, dtype=np.float64)

    def inverse(self, fitted: float) -> float:
        """Fitting scale back to the objective."""
        if self.kind == "log":
            return float(np.exp(fitted))
        if self.kind == "log_error":
            return float(1.0 + _LEAST_ERROR - np.exp(fitted))
        return float(fitted * self.unit)

    def improvement(self, ours: Array, theirs: Array) -> Array:
        """How much better one configuration is than another, both (s,) on the fitting scale; positive is better.

        In per cent of the other's objective, or in units of the objective unless `relative`: shape (s,).
        """
        inverse = np.vectorize(self.inverse, otypes=[np.float64])
        sign = -1.0 if self.kind == "log_error" or self.unit < 0 else 1.0
        a, b = inverse(ours), inverse(theirs)
        better = sign * (b - a)
        return np.asarray(100.0 * better / np.maximum(np.abs(b), 1e-300) if self.relative else better)


def squeezed(excess: ArrayLike) -> Array:
    """Excess over the best, monotone, about the identity near 0 and below `FAR`: cliffs do not bend the fit."""
    excess = np.asarray(excess, dtype=np.float64)
    return np.asarray(FAR * (1.0 - np.exp(-np.maximum(excess, -FAR) / FAR)), dtype=np.float64)


def stretched(values: ArrayLike) -> Array:
    """Undoes `squeezed`, up to an excess of 7."""
    values = np.asarray(values, dtype=np.float64)
    return np.asarray(-FAR * np.log(1.0 - np.minimum(values / FAR, 1.0 - 1e-3)), dtype=np.float64)
