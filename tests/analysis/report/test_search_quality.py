"""How a search went, on tables whose answer is known."""

import numpy as np
import pytest

from phitune.analysis.report.search_quality import search_quality
from tests.analysis.synthetic_study import Recipe, table


def test_counts_are_the_tables_and_families_add_up() -> None:
    rows = table(Recipe(100, 1.0, 200), seed=1)
    whole, *families = search_quality(rows)
    explore = rows[rows["phase"] == "explore"]
    assert whole.family is None and whole.trials == len(explore)
    assert whole.ended["stopped"] == (explore["status"] == "stopped").sum() > 0
    assert [f.family for f in families] == sorted(explore["family"].unique())
    for status, count in whole.ended.items():
        assert count == sum(f.ended[status] for f in families)


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_rung_that_orders_trials_as_the_end_does_correlates_perfectly(sign: float, expected: float) -> None:
    rows = table(Recipe(100, 1.0, 200), seed=1)
    rows["rung_1"] = sign * np.exp(rows["objective"])
    assert search_quality(rows)[0].rungs == pytest.approx((expected,))


def test_no_correlation_from_few_trials_or_a_constant_rung() -> None:
    rows = table(Recipe(100, 1.0, 200, uba=4, others=1, stop=False, families=("linear",)), seed=1)
    completed = (rows["status"] == "completed") & (rows["phase"] == "explore")
    few = rows.drop(index=rows[completed].index[4:])
    assert search_quality(few)[0].rungs == (None,)
    rows = table(Recipe(100, 1.0, 200), seed=1).assign(rung_1=1.0)
    assert search_quality(rows)[0].rungs == (None,)
