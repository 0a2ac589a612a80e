"""The measured quality of ladders, on records whose ranks are known."""

import numpy as np
import pytest

from phitune.analysis.surrogate.rungs import FEWEST
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder_quality import ENOUGH, ladder_quality, summary_lines


def record(number: int, cell: str, family: str, at_rung: float, end: float) -> Record:
    trial = Trial(f"{cell}/{number}", cell, "explore", number, family, {"family": family}, 0.1, 0.1, 0)
    return Record(trial, "completed", 100, [(25, at_rung)], [], {"objective": end}, 0.0, 0.1)


def test_a_rung_that_foretells_the_order_correlates_wholly_in_every_cell() -> None:
    records = [
        record(n, cell, "uba", scale * n, scale + n) for scale, cell in ((1.0, "a"), (1000.0, "b")) for n in range(8)
    ]
    overall, uba = ladder_quality(records)
    assert (overall.family, uba.family) == (None, "uba")
    assert (overall.rung, overall.trials) == (1, 16)
    assert overall.correlation == pytest.approx(1)
    assert not overall.poor
    assert summary_lines([overall]) == ["rank correlation of rungs with the end: rung 1 1.00 (n = 16)"]


def test_cells_count_by_their_trials_and_tiny_ones_not_at_all() -> None:
    records = [record(n, "right", "uba", n, n) for n in range(15)]
    records += [record(n, "wrong", "uba", -n, n) for n in range(FEWEST)]
    records += [record(n, "tiny", "uba", -n, n) for n in range(FEWEST - 1)]
    overall = ladder_quality(records)[0]
    assert overall.trials == 15 + FEWEST
    assert overall.correlation == pytest.approx((15 - FEWEST) / (15 + FEWEST))


def test_a_family_that_a_rung_judges_poorly_is_named() -> None:
    rng = np.random.default_rng(0)
    records = [record(n, "a", "uba", n, n) for n in range(20)]
    records += [record(20 + n, "a", "linear", 100 + rng.random(), n) for n in range(20)]
    qualities = {quality.family: quality for quality in ladder_quality(records)}
    assert qualities["linear"].poor
    assert not qualities["uba"].poor
    assert "rung 1 judges linear poorly" in "\n".join(summary_lines(qualities.values()))


def test_few_trials_say_nothing() -> None:
    qualities = ladder_quality([record(n, "a", "uba", -n, n) for n in range(ENOUGH - 1)])
    assert not any(quality.poor for quality in qualities)
    assert summary_lines(qualities) == []
