"""Ranks over cells against the textbook and SciPy."""

import pytest
from scipy.stats import friedmanchisquare

from phitune.analysis.families.compare import Comparison, FamilyResult
from phitune.analysis.families.ranks import Ranks, critical_difference, rank_families
from phitune.analysis.families.refusal import Refusal

GOOD, MIDDLE, BAD = [0.10, 0.11], [0.20, 0.21], [0.30, 0.31]


def ranked(*cells: dict[str, list[float]], mode: str = "min") -> Ranks:
    return rank_families([_compared(values, mode) for values in cells])


def _compared(values: dict[str, list[float]], mode: str) -> Comparison:
    """Families whose expected objectives are the means of some values."""
    nan = float("nan")
    results = [
        FamilyResult(name, None, 0.1, (0.1, 0.1), "{}", sum(v) / len(v), (0.0, 1.0), nan, nan, 0, nan, 5, {})
        for name, v in values.items()
    ]
    return Comparison(tuple(sorted(results, key=lambda f: f.objective, reverse=mode == "max")))


def test_critical_difference_is_demsars() -> None:
    """Demšar 2006, section 3.2.2: four classifiers on 14 data sets."""
    assert critical_difference(4, 14, 0.95) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.90) == pytest.approx(1.12, abs=0.005)


def test_a_clear_order_is_significant_and_leaves_no_groups() -> None:
    ranks = ranked(*[{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 12)
    assert ranks.ranks == {"uba": 1.0, "rex": 2.0, "step": 3.0}
    assert ranks.p_value is not None and ranks.p_value < 1e-4 and ranks.groups == ()
    assert ranks.cells == 12 and ranks.why_not is None


def test_p_value_is_friedmans_and_close_ranks_make_groups() -> None:
    cells = [{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 3 + [{"uba": MIDDLE, "rex": GOOD, "step": BAD}] * 3
    ranks = ranked(*cells)
    values = {name: [sum(c[name]) for c in cells] for name in ("uba", "rex", "step")}
    assert ranks.p_value == pytest.approx(friedmanchisquare(*values.values()).pvalue)
    assert ranks.ranks["step"] == 3.0 and set(ranks.groups[0]) == {"uba", "rex"}


def test_accuracies_rank_the_other_way_round() -> None:
    ranks = ranked(*[{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 2, mode="max")
    assert list(ranks.ranks) == ["step", "rex", "uba"]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([{"uba": GOOD, "rex": BAD}] * 5, Refusal("few families", 2)),
        ([{"uba": GOOD}] * 5, Refusal("few families", 1)),
        ([{"uba": GOOD, "rex": BAD, "step": BAD}], Refusal("few shared cells", 1)),
        ([{"uba": GOOD, "rex": GOOD, "step": GOOD}] * 4, Refusal("all equal")),
        ([{"uba": GOOD, "rex": BAD}, {"uba": GOOD, "step": BAD}], Refusal("few shared cells", 0)),
        ([], Refusal("few families", 0)),
    ],
)
def test_without_enough_evidence_there_is_no_test(cells: list[dict[str, list[float]]], why: Refusal) -> None:
    ranks = ranked(*cells)
    assert ranks.why_not == why
    assert ranks.p_value is None and ranks.critical_difference is None and ranks.groups == ()
