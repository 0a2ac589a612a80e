"""Contract of torch's private names that phitune uses; without them trials train alone, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from phitune.trainables.population.eligibility import alone_reason
from phitune.trainables.population.rows.passes import is_randomness_error
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning import torch_internals
from phitune.trainables.workloads.learning.torch_internals import DispatchMode, version, writes_in_place, written


class _Operations(DispatchMode):  # type: ignore[no-untyped-call]
    """Records each operation's name, whether it writes in place, and the number of arguments that it writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[tuple[str, bool, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append((func.overloadpacket.__name__, writes_in_place(func), len(written(func, args))))
        return func(*args, **(kwargs or {}))


def test_this_torch_has_all_of_them() -> None:
    assert torch_internals.missing_for_populations() == []
    assert torch_internals._lerp is not None


def test_a_mode_sees_operations_and_what_they_write() -> None:
    tensor = torch.zeros(3)
    with _Operations() as operations:
        tensor + 1
        tensor.add_(1)
    assert operations.seen == [("add", False, 0), ("add_", True, 1)]


def test_a_version_counts_writes_through_views_too() -> None:
    tensor = torch.zeros(3, 2)
    before = version(tensor)
    tensor.sum()
    assert version(tensor) == before
    tensor[1].add_(1)
    assert version(tensor) > before


def test_vmap_says_that_a_function_draws_random_numbers() -> None:
    with pytest.raises(RuntimeError) as error:
        vmap(lambda x: torch.nn.functional.dropout(x))(torch.ones(2, 3))
    assert is_randomness_error(error.value)


@pytest.mark.parametrize("fused", [True, False])
def test_lerp_moves_every_tensor(fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fused:
        monkeypatch.setattr(torch_internals, "_lerp", None)
    targets: list[Tensor] = [torch.zeros(2), torch.ones(3, 1)]
    torch_internals.lerp(targets, [torch.ones(2), torch.zeros(3, 1)], 0.25)
    torch.testing.assert_close(targets, [torch.full((2,), 0.25), torch.full((3, 1), 0.75)])


def test_trials_train_alone_where_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = workload(Spec("mlp/digits"))
    monkeypatch.setattr(torch_internals, "TorchDispatchMode", object)
    reason = alone_reason(digits, Spec("sgd"), "cpu")
    assert reason == f"torch {torch.__version__} has no torch.utils._python_dispatch.TorchDispatchMode"
    learner = digits.learner(Spec("sgd"), seed=0, horizon=2)
    assert float(learner.step(0.1)) > 0
