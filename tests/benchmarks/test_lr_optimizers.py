"""How base LRs are predicted by optimizer."""

from __future__ import annotations

import math

import pytest

from benchmarks.quality.lr_optimizers import error


def test_a_ratio_of_each_optimizers_own_predicts_where_one_for_both_does_not() -> None:
    ratios = {"sgd": 4.0, "adamw": 1.0}
    rows = [
        {"workload": w, "optimizer": o, "budget": T, "base_lr": ratio * test, "range_test": test}
        for w, test in (("a", 0.01), ("b", 0.1), ("c", 1.0))
        for o, ratio in ratios.items()
        for T in (20, 200)
    ]
    assert error(rows, lambda r: r["range_test"], pooled=False, optimizer="sgd") == pytest.approx(0.0, abs=1e-12)
    assert error(rows, lambda r: r["range_test"], pooled=True, optimizer="sgd") == pytest.approx(math.log(2.0))
    # Without the test a workload is as far off as it is from the mean of the others: 1.5, 0 and 1.5 decades.
    assert error(rows, lambda r: 1.0, pooled=False, optimizer="adamw") == pytest.approx(math.log(10) * math.sqrt(1.5))
