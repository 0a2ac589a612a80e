"""What more trials could bring: from draws of the choice and of the best of all."""

import math

import numpy as np
import pytest

from phitune.analysis.surface.regret import Optimum, PossibleRegret
from phitune.analysis.surrogate.scale import Scale


def test_the_regret_is_of_the_best_family_in_each_draw() -> None:
    lowest = {"uba": np.log([1.0, 1.0, 1.0, 4.0]), "wsd": np.log([2.0, 2.0, 2.0, 2.0])}
    optimum = Optimum.of(lowest)
    assert optimum.shares == {"uba": 0.75, "wsd": 0.25}
    regret = PossibleRegret.of(np.log([1.0, 1.25, 2.0, 4.0]), optimum, Scale("log"), delta=0.1)
    # 0, 20, 50 and 50 % lower.
    assert regret.most == pytest.approx(np.quantile([0.0, 20.0, 50.0, 50.0], 0.9))
    assert regret.relative and not regret.negligible


def test_a_choice_that_is_better_than_what_was_drawn_has_no_regret() -> None:
    optimum = Optimum.of({"uba": np.zeros(3)})
    regret = PossibleRegret.of(np.full(3, -0.1), optimum, Scale("log"), delta=0.0)
    assert regret.most == 0.0 and regret.negligible


def test_a_regret_within_what_counts_as_equal_is_negligible() -> None:
    optimum, chosen = Optimum.of({"uba": np.zeros(5)}), np.full(5, math.log(1.01))
    assert PossibleRegret.of(chosen, optimum, Scale("log"), delta=0.011).negligible
    assert not PossibleRegret.of(chosen, optimum, Scale("log"), delta=0.009).negligible


@pytest.mark.parametrize(("kind", "unit", "chosen", "best", "better"), [
    ("log_error", 1.0, 0.8, 0.9, 12.5), ("linear", 2.0, 5.0, 3.0, 2.0), ("linear", -2.0, 3.0, 5.0, 2.0),
])  # fmt: skip
def test_it_is_told_in_the_unit_of_gains(kind: str, unit: float, chosen: float, best: float, better: float) -> None:
    scale = Scale(kind, unit)  # type: ignore[arg-type]
    at, lowest = (scale.forward(np.full(3, value)) for value in (chosen, best))
    regret = PossibleRegret.of(at, Optimum.of({"uba": lowest}), scale, delta=0.0)
    assert regret.relative == (kind == "log_error")
    assert regret.most == pytest.approx(better, rel=0.01)
