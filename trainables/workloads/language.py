"""Byte-level language models: a small GPT on Python's own source code or on the user's text."""

from __future__ import annotations

import math
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from phitune.trainables.errors import InputError
from phitune.trainables.models.gpt import Gpt as GptModel
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.base import Split
from phitune.trainables.workloads.data.text import split_text, text_files
from phitune.trainables.workloads.learning.device import to_device
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.torch_problem import Batch
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

_VOCABULARY = 256
_NOT_STDLIB = frozenset({"site-packages", "dist-packages", "__pycache__"})


@dataclass(frozen=True)
class _Size:
    """Sizes of a model, its batch and budget; bytes of a split that are evaluated, and windows evaluated at once."""

    layers: int
    width: int
    heads: int
    context: int
    batch_size: int
    full_budget: int
    evaluated: int
    chunk: int


_SIZES = {
    "gpt-nano": _Size(2, 32, 2, 64, 8, 2000, 2**14, 128),
    "gpt-micro": _Size(4, 128, 4, 128, 16, 4000, 2**16, 128),
    "gpt-mini": _Size(6, 384, 6, 256, 32, 8000, 2**18, 128),
    "gpt-small": _Size(12, 768, 12, 1024, 32, 10000, 2**20, 32),
}


class Gpt(TorchWorkload):
    """A GPT that predicts the next byte; the loss is in nats a byte, the metric in bits.

    ``stdlib`` is the source code of the running Python's standard library, some 30 MB: other Python versions have
    other sources, so compare losses within one. A batch is windows at random places of the training split. Losses
    are over windows that are spread evenly over a split, the same ones always: 16 KiB for nano, 64 KiB for micro,
    256 KiB for mini and 1 MiB for small, or the whole split where it is shorter.

    Args:
        model: ``gpt-nano`` (2 layers of width 32, 2 heads, context 64, batch 8, 2000 iterations), ``gpt-micro``
            (4, 128, 4, 128, 16, 4000), ``gpt-mini`` (6, 384, 6, 256, 32, 8000) or ``gpt-small`` (12, 768, 12, 1024,
            32, 10000).
        data: ``stdlib`` or ``text``.
        path: For ``text``, a file, or a folder with everything in and below it that is text (has no zero byte) and
            not hidden. Relative to the working directory.

    Raises:
        InputError: A path is set for ``stdlib``. Missing text is an error of `check`, and of the first use.
    """

    metric_name = "bits per byte"
    metric_mode = "min"
    recipe = Recipe(weight_decay=0.1, clip_norm=1.0)
    decay_vectors = False
    base_lr: Mapping[str, tuple[float, float]] = {
        "sgd": (0.01, 1.0),
        "adam": (1e-4, 0.03),
        "adamw": (1e-4, 0.03),
        "amsgrad": (1e-4, 0.03),
        "schedulefree-sgd": (0.1, 10.0),
        "schedulefree-adamw": (3e-4, 0.1),
    }

    def __init__(self, model: str, data: str, /, *, path: str = "") -> None:
        self._field = f"workloads.{model}/{data}.path"
        if data == "stdlib" and path:
            raise InputError(f"{self._field}: {path!r} is not allowed; only text takes a path")
        self._size = _SIZES[model]
        self._data = data
        self._path = str(path)
        self.full_budget = self._size.full_budget
        self.recipe = self.recipe.changed({"batch_size": self._size.batch_size})

    def check(self, optimizer: Spec) -> None:
        super().check(optimizer)
        if next(_files(self._root, self._data == "stdlib"), None) is None:
            raise InputError(f"{self._field}: {str(self._root)!r} is not allowed; there is no such file, or none in it")

    def model(self) -> nn.Module:
        size = self._size
        return GptModel(size.layers, size.width, size.heads, size.context, _VOCABULARY)

    def batch(self, seed: int, step: int, device: str) -> Batch:
        windows = self._windows("train", device)
        return _next_byte(windows[to_device(torch.from_numpy(self._starts(seed, step, len(windows))), device)])

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        if type(self).batch is not Gpt.batch:
            return super().batches(seeds, steps, device)
        windows = self._windows("train", device)
        starts = np.stack([self._starts(*at, len(windows)) for at in zip(seeds, steps, strict=True)])
        return _next_byte(windows[to_device(torch.from_numpy(starts), device)])

    def chunks(self, split: Split, device: str) -> Iterator[Batch]:
        windows = self._windows(split, device)
        count = max(1, min(self._size.evaluated, len(windows)) // self._size.context)
        starts = to_device(torch.from_numpy(np.linspace(0, len(windows) - 1, count, dtype=np.int64)), device)
        for part in torch.split(starts, self._size.chunk):
            yield _next_byte(windows[part])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def training_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.recipe.label_smoothing
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), label_smoothing=smoothing)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss(outputs, targets) / math.log(2)

    def _starts(self, seed: int, step: int, count: int) -> NDArray[np.int64]:
        """Where a batch's windows begin, [batch]."""
        return np.random.default_rng([seed, step]).integers(0, count, self.recipe.batch_size)

    def _windows(self, split: Split, device: str) -> Tensor:
        """Every window of a split, as a view, [n, context + 1]."""
        key = (split, device)
        if key not in self._splits:
            self._splits[key] = self._bytes[split].to(device)
        return self._splits[key].unfold(0, self._size.context + 1, 1)

    @cached_property
    def _splits(self) -> dict[tuple[Split, str], Tensor]:
        return {}

    @cached_property
    def _bytes(self) -> dict[Split, Tensor]:
        splits = _read(self._root, self._data == "stdlib")
        shortest = min(map(len, splits.values()))
        if shortest <= self._size.context:
            raise InputError(
                f"{self._field}: {str(self._root)!r} is not allowed; a twentieth of its text, here {shortest} bytes, "
                f"must be more than the model's context of {self._size.context}"
            )
        return splits

    @property
    def _root(self) -> Path:
        if self._data == "stdlib":
            return Path(sysconfig.get_paths()["stdlib"])
        if not self._path:
            raise InputError(f"{self._field}: '' is not allowed; it must be a file of text or a folder with some")
        return Path(self._path).expanduser()


def _files(root: Path, stdlib: bool) -> Iterator[Path]:
    return text_files(root, ".py", _NOT_STDLIB) if stdlib else text_files(root)


@lru_cache(maxsize=2)
def _read(root: Path, stdlib: bool) -> dict[Split, Tensor]:
    """The splits; read once a process, whatever model and recipe they are for."""
    return split_text(root, _files(root, stdlib))


def _next_byte(windows: Tensor) -> Batch:
    """Inputs and targets, both [..., context], from windows of one byte more."""
    tokens = windows.long()
    return tokens[..., :-1], tokens[..., 1:]
