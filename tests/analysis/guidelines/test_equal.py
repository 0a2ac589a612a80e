"""What counts as equal: worth a share of the budget, and no less than a part of the noise."""

import numpy as np
import pytest

from phitune.analysis.guidelines.equal import equal_differences
from phitune.analysis.surface import CellFit, FamilyBest
from phitune.analysis.surrogate.scale import Scale


def fit(log_loss: float, noise: float) -> CellFit:
    best = FamilyBest("uba", {"family": "uba", "phi": 2.0}, 0.1, (0.1, 0.1), np.full(10, log_loss))
    return CellFit({"uba": best}, {}, Scale("log"), noise, {"uba": "uba"})


def test_it_is_worth_a_share_of_the_budget() -> None:
    cells = {("w", "sgd", budget): fit(-0.4 * np.log(budget), 0.01) for budget in (100, 200, 400)}
    for equal in equal_differences(cells, 0.05).values():
        assert equal.delta == pytest.approx(0.05 * 0.4) and equal.budget_share == pytest.approx(0.05)


def test_noise_and_one_budget_have_their_least() -> None:
    noisy = {("w", "sgd", budget): fit(-0.4 * np.log(budget), 0.3) for budget in (100, 200)}
    assert all(e.delta == pytest.approx(0.03) and e.budget_share == pytest.approx(0.075)
               for e in equal_differences(noisy).values())  # fmt: skip
    [alone] = equal_differences({("w", "sgd", 100): fit(0.0, 0.001)}).values()
    assert (alone.delta, alone.budget_share) == (0.002, None)
