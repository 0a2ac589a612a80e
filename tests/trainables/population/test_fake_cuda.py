"""Steps on a GPU as far as they can run without one.

Tensors have a device, a type and a shape but no numbers; torch decides for them which kernels a GPU would run, and
raises where a GPU would. Backward passes need a real one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import phitune.trainables.population.rules.randomness as draws
import phitune.trainables.workloads.learning.device as seeding
from phitune.trainables.population.rows.stack import Stack
from phitune.trainables.population.rows.updates import Update
from phitune.trainables.population.rules.convolution import FORMS
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

ROWS = 3
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
COMPUTED = ("convolution", "batch_norm", "relu")
"""Parts of the names of what a network of convolutions does in the lower precision of a mixed one."""


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.head = nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.attention(inputs.flatten(1).unflatten(1, (8, 8))).flatten(1))
        return outputs


class Dropping(MlpDigits):
    """Attention with dropout."""

    def model(self) -> nn.Module:
        return _Attention()


class Log(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The types of results by operation, and copies from the host for which it waits."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.types: dict[str, set[torch.dtype]] = defaultdict(set)
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        first = result[0] if isinstance(result, tuple | list) and result else result
        if isinstance(first, Tensor):
            self.types[str(func)].add(first.dtype)
            crossed = args and isinstance(args[0], Tensor) and args[0].device != first.device
            if crossed and not (kwargs or {}).get("non_blocking"):
                self.waits.append(str(func))
        return result


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replaces what needs a real GPU: drivers, backward passes, two lines of set-up. Forward steps run unchanged."""
    # A GPU's generators exist only with its driver; no numbers are drawn.
    for module in (seeding, draws):
        monkeypatch.setattr(module, "generators", lambda device: [torch.default_generator])
    # Torch's engine starts a thread on the device. A result of the right form stands for its own.
    monkeypatch.setattr(torch.autograd, "grad", lambda loss, weights: (torch.zeros_like(weights),))
    # Automatic mixed precision switches itself off, or raises, where it sees no GPU that has it.
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    # The driver's, too; whether the copy that follows waits is seen all the same.
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)

    # As they are, but that a model is not moved from the host, and that nobody looks at numbers (is there any decay?).
    def fresh_model(built: TorchWorkload, device: str) -> nn.Module:
        with torch.device(device):
            return built.model()

    def with_decay(update: Update, options: dict[str, Any], decay: Tensor) -> None:
        update._options, update._decay = options, decay

    monkeypatch.setattr(TorchWorkload, "fresh_model", fresh_model)
    monkeypatch.setattr(Update, "__init__", with_decay)
    yield


def stepped(built: TorchWorkload, form: str) -> Log:
    # Real data, read before there are none but fake tensors.
    for name in ("_loaded", "_bytes"):
        getattr(built, name, None)
    with FakeTensorMode(allow_non_fake_inputs=True):
        stack = Stack(built, Spec("adam"), ROWS, "cuda", form)
        for row in range(ROWS):
            stack.begin(row, row)

        def step() -> None:
            errors = stack.step(range(ROWS), [0.1] * ROWS, [None] * ROWS)[1]
            for error in errors.values():
                raise error

        step()
        with Log() as log:
            step()
    return log


@pytest.mark.parametrize("precision", TYPES)
@pytest.mark.parametrize(
    ("label", "form"),
    [
        *(("cnn/digits", form) for form in FORMS),
        *(pytest.param("resnet8/digits", form, marks=pytest.mark.full) for form in FORMS),
    ],
)
def test_a_step_is_computed_in_its_precision(label: str, form: str, precision: str, fake: None) -> None:
    built = workload(Spec.of({"name": label, "precision": precision}))
    assert isinstance(built, TorchWorkload)
    log = stepped(built, form)
    computed = {name: types for name, types in log.types.items() if any(part in name for part in COMPUTED)}
    assert computed
    assert all(types == {TYPES[precision]} for types in computed.values()), computed
    assert log.waits == []


@pytest.mark.parametrize("precision", TYPES)
def test_the_host_does_not_wait_for_a_transformers_step(precision: str, fake: None) -> None:
    built = workload(Spec.of({"name": "gpt-nano/stdlib", "precision": precision}))
    assert isinstance(built, TorchWorkload)
    assert stepped(built, "grouped").waits == []


def test_attention_with_dropout_has_rows_on_a_gpu_too(fake: None) -> None:
    assert "aten.native_dropout.default" in stepped(Dropping(), "grouped").types
