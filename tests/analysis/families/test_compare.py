"""Families: each where the cell's belief expects it to be best, with gains that hold the exact ones."""

import json

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.families.compare import Comparison, compare_cell
from phitune.analysis.families.gain import gain
from phitune.analysis.families.ranks import rank_families
from phitune.analysis.surface import fit_cell
from phitune.analysis.surrogate.scale import Scale
from tests.analysis.quadratic_twin import expected_loss
from tests.analysis.synthetic_study import PHI_RANGE, Recipe, table


def compared(rows: pd.DataFrame, delta: float = 0.002) -> Comparison:
    return compare_cell(rows, fit_cell(rows, {"phi": PHI_RANGE}).judged(delta))


def exact(family: str, phi: float | None, base_lr: float) -> float:
    return float(expected_loss(100, 1.0, 200, np.array([phi or 2.0]), np.array([base_lr]), family)[0])


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_gains_hold_the_exact_ones(noise: float) -> None:
    comparison = compared(table(Recipe(100, 1.0, 200, noise=noise, stop=False), seed=1))
    uba, cosine = comparison.get("uba"), comparison.get("cosine")
    assert uba is not None and cosine is not None
    losses = [exact(f.family, f.phi, f.base_lr) for f in (uba, cosine)]
    true = 100 * (losses[1] - losses[0]) / losses[1]
    low, high = uba.gains["cosine"].interval
    assert low - 0.5 < true < high + 0.5


def test_a_gain_is_a_share_of_the_others_objective() -> None:
    draws = np.random.default_rng(0).normal(0.0, 1e-4, 500)
    lower = gain(np.log(0.9) + draws, np.log(1.0) + draws, Scale("log"))
    assert lower.percent == pytest.approx(10.0) and lower.certain and lower.probability == 1.0
    accuracy = gain(np.log(0.101) + draws, np.log(0.201) + draws, Scale("log_error"))
    assert accuracy.percent == pytest.approx(12.5, abs=0.05) and accuracy.certain
    crossing = gain(-0.5 + draws, 0.5 + draws, Scale("linear", 0.2))
    assert crossing.percent == pytest.approx(0.2) and not crossing.relative
    assert not gain(np.log(0.9) + draws, np.log(1.0) + draws, Scale("log"), may_be_equal=True).certain


def test_the_best_family_is_first_and_ranks_are_means() -> None:
    comparisons = [compared(table(Recipe(100, 1.0, t), seed=1)) for t in (100, 200)]
    for comparison in comparisons:
        values = [f.objective for f in comparison.families]
        assert values == sorted(values)
    ranks = rank_families(comparisons).ranks
    positions = {f: np.mean([[x.family for x in c.families].index(f) + 1 for c in comparisons]) for f in ranks}
    assert ranks == pytest.approx(positions)


def test_a_finalist_that_is_no_explore_trial_counts_with_its_replicates() -> None:
    rows = table(Recipe(100, 1.0, 200, replicates=0), seed=1)
    own = rows[rows["family"] == "uba"].iloc[[0] * 3].assign(
        phase="replicate", status="completed", finalist="cell/finalist-0040-uba", seed=[101, 102, 103],
        trial_id=["r1", "r2", "r3"], schedule=json.dumps({"family": "uba", "phi": 9.0}), phi=9.0, base_lr=0.5,
        objective=[0.0030, 0.0031, 0.0032], test_metric=[0.5, 0.6, 0.7],
    )  # fmt: skip
    uba = compared(pd.concat([rows, own], ignore_index=True)).get("uba")
    assert uba is not None and uba.replicates == 3
    assert uba.replicate_mean == pytest.approx(0.0031) and uba.test_metric == pytest.approx(0.6)


def test_a_family_without_a_completed_trial_is_not_compared() -> None:
    rows = table(Recipe(100, 1.0, 200), seed=1)
    rows.loc[rows["family"] == "step", "status"] = "diverged"
    assert compared(rows).get("step") is None
