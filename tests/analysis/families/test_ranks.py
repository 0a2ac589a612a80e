"""Ranks over cells against the textbook and scipy."""

import pytest
from scipy.stats import friedmanchisquare

from phitune.analysis.families.compare import compare_cell
from phitune.analysis.families.ranks import critical_difference, rank_families
from tests.analysis.made_cells import cell

GOOD, MIDDLE, BAD = [0.10, 0.11], [0.20, 0.21], [0.30, 0.31]


def ranked(*cells: dict[str, list[float]], **told: object):  # type: ignore[no-untyped-def]
    return rank_families([compare_cell(cell(values, **told)) for values in cells])  # type: ignore[arg-type]


def test_critical_difference_is_demsars() -> None:
    """Demšar 2006, section 3.2.2: four classifiers on 14 data sets."""
    assert critical_difference(4, 14, 0.95) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.90) == pytest.approx(1.12, abs=0.005)


def test_clear_order_is_found_and_families_are_told_apart() -> None:
    found = ranked(*[{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 12)
    assert found.ranks == {"uba": 1.0, "rex": 2.0, "step": 3.0}
    assert found.p_value is not None and found.p_value < 1e-4 and found.groups == ()
    assert found.cells == 12 and found.evidence == "replicates" and found.why_not is None


def test_p_value_is_friedmans_and_close_ranks_make_groups() -> None:
    cells = [{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 3 + [{"uba": MIDDLE, "rex": GOOD, "step": BAD}] * 3
    found = ranked(*cells)
    values = {name: [sum(c[name]) for c in cells] for name in ("uba", "rex", "step")}
    assert found.p_value == pytest.approx(friedmanchisquare(*values.values()).pvalue)
    assert found.ranks["step"] == 3.0 and set(found.groups[0]) == {"uba", "rex"}


def test_accuracies_rank_the_other_way_round() -> None:
    found = ranked(*[{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 2, mode="max")
    assert list(found.ranks) == ["step", "rex", "uba"]


def test_a_family_that_diverges_ranks_last() -> None:
    found = ranked(*[{"uba": GOOD, "rex": MIDDLE, "step": BAD}] * 4, diverged=["uba"])
    assert found.ranks == {"rex": 1.0, "step": 2.0, "uba": 3.0} and found.left_out == 0


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([{"uba": GOOD, "rex": BAD}] * 5, "needs three families; there are 2"),
        ([{"uba": GOOD}] * 5, "needs three families; there are 1"),
        ([{"uba": GOOD, "rex": BAD, "step": BAD}], "needs two cells that have all families; there are 1"),
        ([{"uba": GOOD, "rex": GOOD, "step": GOOD}] * 4, "all families are equal in every cell"),
        ([{"uba": GOOD, "rex": BAD}, {"uba": GOOD, "step": BAD}], "there are 0"),
        ([], "needs three families; there are 0"),
    ],
)
def test_without_ground_there_is_no_test(cells: list[dict[str, list[float]]], why: str) -> None:
    found = ranked(*cells)
    assert found.why_not is not None and why in found.why_not
    assert found.p_value is None and found.critical_difference is None and found.groups == ()
