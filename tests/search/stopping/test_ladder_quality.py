"""The measured quality of ladders, on records whose ranks are known."""

import numpy as np
import pytest

from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder_quality import ENOUGH, ladder_quality, told
from phitune.search.study.model import parse_study

CELLS = parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [100, 200], "trials": 70}).cells()


def record(number: int, cell: str, family: str, at_rung: float, end: float) -> Record:
    trial = Trial(f"{cell}/{number}", cell, "explore", number, family, {"family": family}, 0.1, 0.1, 0)
    return Record(trial, "completed", 100, [(25, at_rung)], [], {"objective": end}, 0.0, 0.1)


def test_a_rung_that_foretells_the_order_correlates_wholly_in_every_cell() -> None:
    records = [
        record(n, cell.key, "uba", scale * n, scale + n)
        for scale, cell in zip((1.0, 1000.0), CELLS, strict=True)
        for n in range(8)
    ]
    overall, uba = ladder_quality(CELLS, records)
    assert (overall.family, uba.family) == ("all", "uba")
    assert (overall.rung, overall.trials) == (1, 16)
    assert overall.correlation == pytest.approx(1)
    assert overall.punished == pytest.approx(0)
    assert not overall.poor
    assert told([overall]) == ["rank correlation of rungs with the end: rung 1 1.00 (n = 16)"]


def test_a_family_that_looks_worse_at_the_rung_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    key = CELLS[0].key
    records = [record(n, key, "uba", n, n) for n in range(20)]
    records += [record(20 + n, key, "linear", 100 + rng.random(), n) for n in range(20)]
    found = {quality.family: quality for quality in ladder_quality(CELLS, records)}
    assert found["linear"].punished > 0.2
    assert found["uba"].punished < -0.2
    assert found["linear"].poor
    assert "rung 1 judges linear poorly" in "\n".join(told(found.values()))


def test_few_trials_say_nothing() -> None:
    records = [record(n, CELLS[0].key, "uba", -n, n) for n in range(ENOUGH - 1)]
    found = ladder_quality(CELLS, records)
    assert not any(quality.poor for quality in found)
    assert told(found) == []
