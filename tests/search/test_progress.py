"""What a search shows while it runs: how each cell stands by the belief."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from rich.console import Console

from phitune.search.progress import Progress
from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.records.record import Record, Trial
from phitune.search.study.model import parse_study

BEST_PHI, BEST_LR = 4.0, 0.1


def record(trial: Trial) -> Record:
    """A completed trial of a smooth surface: UBA is best at φ = 4, and so is each family at the same mean LR."""
    shape = math.log(trial.schedule.get("phi", 1.0) / BEST_PHI)
    loss = math.exp(0.03 * shape**2 + 0.1 * math.log(trial.mean_lr / BEST_LR) ** 2)
    return Record(trial, "completed", 64, [], [], {"objective": loss}, 0.0, 0.1)


def cells(**change: Any) -> list[CellProposer]:
    study = {"name": "s", "workloads": ["mlp/digits"], "budgets": [64], "families": ["uba", "linear"], "trials": 30}
    return proposers(parse_study({**study, **change}), InMemoryStorage())


def explore(proposer: CellProposer, count: int) -> list[Record]:
    records = []
    for _ in range(count):
        trial = proposer.propose()
        assert trial is not None
        records.append(record(trial))
        proposer.end(records[-1])
    return records


def shown(proposers: list[CellProposer], records: list[Record], height: int = 40, terminal: bool = True) -> list[str]:
    """The lines that a console of a height shows after one step, before it draws them anew."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=140, height=height, no_color=True, legacy_windows=False)
    with Progress(console, proposers, 99, records) as progress:
        progress.tick(2, 99, "a note")
    first = file.getvalue().partition("\x1b[2K")[0]
    return [line.rstrip() for line in re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", first).splitlines()]


def test_the_belief_finds_phi_and_expects_less_and_less() -> None:
    [proposer] = cells()
    assert proposer.standing is None
    explore(proposer, 8)
    early = proposer.standing
    explore(proposer, 22)
    late = proposer.standing
    assert early is not None and late is not None and early.gain is not None and late.gain is not None
    assert (late.family, late.phi_of) == ("uba", "uba")
    assert late.phi == late.parameters["phi"] == pytest.approx(BEST_PHI, rel=0.4)
    assert 0 <= late.gain < early.gain < 1
    assert late.relative


def test_a_terminal_shows_the_belief_of_each_cell() -> None:
    [proposer] = cells()
    records = explore(proposer, 12)
    standing = proposer.standing
    assert standing is not None and standing.gain is not None
    lines = shown([proposer], records)
    head = next(line for line in lines if line.startswith("cell"))
    assert re.split(r" {2,}", head) == ["cell", "trials", "best so far", "belief", "one more gains"]
    [row] = [line for line in lines if line.startswith("mlp/digits sgd 64")]
    assert row.endswith(f"{100 * standing.gain:.2g} %") and f"φ={standing.phi:.2g}" in row
    assert any(line.startswith("12/99 trials, 2 running; starting; a note") for line in lines)
    explore(proposer, 18)
    assert proposer.explored
    [row] = [line for line in shown([proposer], records) if line.startswith("mlp/digits sgd 64")]
    assert row.endswith("–")


def test_a_low_terminal_shows_the_cells_with_most_to_gain() -> None:
    several = cells(budgets=list(range(20, 40)), trials=12)
    records = [each for number, proposer in enumerate(several) for each in explore(proposer, 5 + number % 3)]
    by_gain = sorted(several, key=lambda proposer: -proposer.value)
    lines = shown(several, records, height=11)
    assert [line.split("  ")[0] for line in lines if line.startswith("mlp")] == [each.name for each in by_gain[:6]]
    assert "and 14 more cells" in lines


def test_a_log_says_in_one_line_where_most_is_to_gain() -> None:
    several = cells(budgets=[32, 64])
    records = [each for proposer in several for each in explore(proposer, 9)]
    [line] = shown(several, records, terminal=False)
    most = max(several, key=lambda proposer: proposer.value)
    assert line.startswith("18/99 trials, 2 running; starting; most to gain by one more trial: ")
    assert line.endswith(f" % ({most.name}); a note")


def test_samplers_without_a_belief_show_none() -> None:
    [proposer] = cells(sampler="random")
    lines = shown([proposer], explore(proposer, 9))
    assert any(line.startswith("mlp/digits sgd 64") for line in lines)
    assert not [line for line in lines if "belief" in line]
