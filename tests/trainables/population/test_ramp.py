"""How many trials train together: as many as pay and pass."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from phitune.trainables.population.ramp import ramp
from phitune.trainables.spec import Spec
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.torch_problem import Batch
from tests.trainables.population.test_memory import Cramped

# Far longer than all that is computed.
LONG = 0.1


def work_for(seconds: float) -> None:
    """Takes time on every clock."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


class Waits(MlpDigits):
    """A batch takes long, and many batches take as long as one, or one after another."""

    together = True
    quick = MlpDigits()

    def batch(self, seed: int, step: int, device: str) -> Batch:
        work_for(LONG)
        return super().batch(seed, step, device)

    def batches(self, seeds: Sequence[int], steps: Sequence[int], device: str) -> Batch:
        work_for(LONG * (1 if self.together else len(seeds)))
        return self.quick.batches(seeds, steps, device)


@pytest.mark.parametrize(
    ("together", "most", "expected"),
    [(True, 8, 8), pytest.param(True, 7, 4, marks=pytest.mark.full), (True, 1, 1), (False, 8, 1)],
)
def test_as_many_as_pay(together: bool, most: int, expected: int) -> None:
    waits = Waits()
    waits.together = together
    result = ramp(waits, Spec("sgd"), "cpu", most)
    assert result.rows == expected
    assert max(result.rates, default=1) <= most
    if not together:
        assert len(result.rates) <= 2, "a doubling that does not pay is the last"


class Failing(MlpDigits):
    """A batch that one trial cannot have."""

    def batch(self, seed: int, step: int, device: str) -> Batch:
        if seed == 1:
            raise FileNotFoundError("no digits for seed 1")
        return super().batch(seed, step, device)


def test_steps_that_fail_are_not_timed() -> None:
    with pytest.raises(FileNotFoundError, match="seed 1"):
        ramp(Failing(), Spec("sgd"), "cpu", 4)


def test_no_more_than_pass_at_once() -> None:
    cramped = Cramped()
    cramped.rows = []
    result = ramp(cramped, Spec("sgd"), "cpu", 64)
    assert list(result.rates) == [2]
    assert result.rows <= 2
