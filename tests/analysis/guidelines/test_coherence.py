"""No two statements contradict each other, over simulated studies with and without an effect of phi."""

from functools import cache

import numpy as np
import pytest

from benchmarks.validity.surfaces import PHI_RANGE, Landscape, search
from phitune.analysis.guidelines import CellGuideline, build
from phitune.analysis.report.words.cells import summary_table
from phitune.analysis.surface import COSINE_PHI

STUDIES, BUDGETS = 6, (50, 200)


@cache
def guidelines(seed: int, flat: bool, budgets: tuple[int, ...] = BUDGETS) -> list[tuple[CellGuideline, dict[str, str]]]:
    """Of each budget what is said of it."""
    rng = np.random.default_rng([seed, int(flat)])
    built = build(search(Landscape.random(rng, flat).at(rng, budgets), rng), None, {"phi": PHI_RANGE})
    return list(zip(built.cells, summary_table(built), strict=True))


@pytest.mark.parametrize("flat", [False, True], ids=["phi matters", "phi does not matter"])
@pytest.mark.parametrize("seed", range(STUDIES))
def test_statements_agree(seed: int, flat: bool) -> None:
    for cell, row in guidelines(seed, flat):
        _agree(cell, row)


def _agree(cell: CellGuideline, row: dict[str, str]) -> None:
    families = {f.family: f for f in cell.families}
    gain = families["uba"].gains["cosine"]
    assert cell.phi is not None and cell.phi_interval is not None
    low, high = cell.phi_interval
    if cell.verdict == "flat":
        assert not gain.certain and row["best φ"] == "no effect"
    if gain.certain:
        # Cosine is UBA at phi = 2.
        assert not low <= COSINE_PHI <= high
    assert cell.families[0].objective == min(f.objective for f in cell.families)
    assert all(each.interval[1] >= 0 for each in cell.gains.values())
    for base, each in cell.gains.items():
        # Sure words and figures go together, and "clear" is what leaves zero out.
        assert (each.sureness == "clear") == each.certain
        assert row[f"over {base}"].endswith(each.sureness)
        assert row["iterations"] == "" or base != "linear" or each.sureness != "cannot tell"
    chosen = families[str(cell.family)]
    assert (cell.base_lr, cell.gains, cell.expected_objective) == (chosen.base_lr, chosen.gains, chosen.objective)
    if cell.family == "uba":
        assert cell.schedule is not None and cell.schedule["phi"] == pytest.approx(cell.phi)


def test_flat_cells_are_called_flat_and_others_are_not() -> None:
    flats = [guidelines(seed, True, (100,))[0][0].verdict for seed in range(2 * STUDIES)]
    others = [cell.verdict for seed in range(STUDIES) for cell, _ in guidelines(seed, False)]
    assert flats.count("flat") >= 0.8 * len(flats) and others.count("flat") <= 0.25 * len(others)
