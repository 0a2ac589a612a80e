"""Training parameters besides schedule and optimizer, which all torch workloads share."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from phitune.trainables.errors import InputError

_PRECISIONS = ("fp32", "bf16", "fp64")


@dataclass(frozen=True)
class Recipe:
    """Batch size, weight decay and so on; a study file may set any: ``{name: mlp/digits, batch_size: 64}``.

    Attributes:
        batch_size: Examples an iteration.
        weight_decay: Passed to the optimizer, unless that has one of its own.
        label_smoothing: In the training loss, not in the validation loss.
        clip_norm: Largest norm of the gradient, over all parameters; 0 leaves it.
        accumulate: Parts in which a batch is processed, one after another, to save memory; the gradient is the same
            but for batch normalisation, which sees the parts.
        precision: ``fp32``, ``bf16`` for automatic mixed precision, or ``fp64``, slow, to tell rounding from effects.
        compile: Whether the model goes through `torch.compile`.
    """

    batch_size: int = 128
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    precision: str = "fp32"
    compile: bool = False

    def __post_init__(self) -> None:
        self._require("batch_size", _whole(self.batch_size), "a whole number of at least 1")
        self._require("accumulate", _whole(self.accumulate), "a whole number of at least 1")
        self._require("weight_decay", _number(self.weight_decay), "a number of at least 0")
        self._require("clip_norm", _number(self.clip_norm), "a number of at least 0 (0: no clipping)")
        self._require(
            "label_smoothing", _number(self.label_smoothing) and self.label_smoothing < 1, "a number in [0, 1)"
        )
        self._require("precision", self.precision in _PRECISIONS, f"one of {', '.join(_PRECISIONS)}")
        self._require("compile", isinstance(self.compile, bool), "true or false")
        if self.accumulate > self.batch_size:
            raise InputError(
                f"workloads.accumulate: {self.accumulate} is not allowed; it must be at most batch_size, "
                f"{self.batch_size}"
            )

    @classmethod
    def names(cls) -> list[str]:
        """The names of its parameters."""
        return [field.name for field in fields(cls)]

    def changed(self, values: dict[str, Any]) -> Recipe:
        """The recipe with some values replaced."""
        return replace(self, **values)

    def _require(self, name: str, allowed: bool, what: str) -> None:
        if not allowed:
            raise InputError(f"workloads.{name}: {getattr(self, name)!r} is not allowed; it must be {what}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
