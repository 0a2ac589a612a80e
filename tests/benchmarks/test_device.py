"""What `benchmarks/gpu.sh` measures of steps on a device, here on a CPU."""

from __future__ import annotations

import pytest

from benchmarks.device.checks import _near, claims
from benchmarks.device.plain_loop import ways


def test_ways_to_train_make_steps() -> None:
    for step in ways("mlp/digits", "bf16", "cpu").values():
        step()
        step()


def test_a_claim_fails_by_what_differs_or_cannot_be_tried() -> None:
    assert _near([1.0, 2.0], lambda: [1.0, 2.0], 0.0)[0]
    assert not _near([1.0, 2.0], lambda: [1.0, 2.1], 0.04)[0]
    assert not _near([1.0, 2.0], lambda: [1.0], 1.0)[0]

    def refused() -> list[float]:
        raise RuntimeError("no kernel\nfor this")

    assert _near([1.0], refused, 1.0) == (False, "RuntimeError: no kernel")


@pytest.mark.slow
def test_all_claims_hold_on_a_cpu() -> None:
    found = list(claims("mlp/digits", 8, "cpu"))
    assert len(found) == 6 and all(holds for _, holds, _ in found), found
