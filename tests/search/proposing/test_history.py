"""Optuna's log emptied, lost, cut, damaged or of another study: the cells go on, and no trial is doubled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.proposing.history import open_history
from phitune.search.records.record import Record, Trial
from phitune.search.study.model import Study
from tests.search.proposing.test_proposer import make_study, outcome, quality

Spoil = Callable[[list[bytes]], list[bytes]]
DAMAGE: dict[str, Spoil] = {
    "lost": lambda lines: [],
    "cut at its start": lambda lines: lines[:1],
    "cut in half": lambda lines: [*lines[: len(lines) // 2], lines[len(lines) // 2][:20]],
    "behind": lambda lines: lines[: -len(lines) // 3],
    "blank lines": lambda lines: [b"", *lines[:7], b" ", *lines[7:], b""],
    "garbage inside": lambda lines: [*lines[:9], b"garbage", *lines[9:]],
    "garbage at the end": lambda lines: [*lines, b"garbage"],
    "no operation": lambda lines: [*lines[:9], b'{"a": 1}', *lines[9:]],
    "no mapping": lambda lines: [*lines[:9], b"17", *lines[9:]],
    "no text": lambda lines: [*lines[:9], b"\xff\xfe\0", *lines[9:]],
    "an unknown operation": lambda lines: [*lines[:9], b'{"op_code": 99, "worker_id": "x"}', *lines[9:]],
    "a doubled trial": lambda lines: [*lines[:4], next(line for line in lines if b'"op_code":4' in line), *lines[4:]],
}


def study() -> Study:
    return make_study(workloads=["mlp/digits"], budgets=[64, 128], trials=9, replicates=2)


def open_cells(folder: Path, records: list[Record]) -> list[CellProposer]:
    return proposers(study(), open_history(folder / "optuna.log", records), records)


def advance(cells: list[CellProposer], records: list[Record], most: int, in_flight: int = 2) -> list[Trial]:
    """Trains until ``most`` more trials have ended, some in flight; returns those left in flight."""
    flight: list[tuple[CellProposer, Trial]] = []
    goal = len(records) + most
    while True:
        for cell in cells:
            if len(flight) < in_flight and (trial := cell.propose()) is not None:
                flight.append((cell, trial))
        if not flight or len(records) == goal:
            return [trial for _, trial in flight]
        cell, trial = flight.pop(0)
        record = outcome(trial, "stopped" if trial.number % 4 == 1 and trial.phase == "explore" else "completed")
        records.append(Record(**{**vars(record), "final": {"objective": quality(trial)}}))
        cell.end(records[-1])


def check(folder: Path, records: list[Record]) -> None:
    """Asserts that the study is whole: every trial once, in the records and in Optuna, with one configuration."""
    ids = [record.trial.trial_id for record in records]
    assert len(ids) == len(set(ids))
    storage = open_history(folder / "optuna.log", records)
    for cell in study().cells:
        explored = {r.trial.number: r for r in records if r.trial.cell == cell.key and r.trial.phase == "explore"}
        assert sorted(explored) == list(range(9))
        trials = optuna.load_study(study_name=cell.key, storage=storage).trials
        assert [trial.number for trial in trials] == list(range(9))
        for trial in trials:
            record = explored[trial.number]
            assert trial.state.is_finished() and trial.params["family"] == record.trial.family
            assert trial.value == (record.final["objective"] if record.status == "completed" else trial.value)
        replicates = [r.trial for r in records if r.trial.cell == cell.key and r.trial.phase == "replicate"]
        assert len({(t.finalist, t.base_lr) for t in replicates}) == len({t.finalist for t in replicates})
        assert {sum(t.finalist == name for t in replicates) for name in {t.finalist for t in replicates}} == {2}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ended", [3, 11, 21, 26])
def test_the_cells_go_on_whatever_happened_to_the_log(tmp_path: Path, damage: str, ended: int) -> None:
    records: list[Record] = []
    advance(open_cells(tmp_path, records), records, ended)
    held = [record.trial for record in records]
    path = tmp_path / "optuna.log"
    path.write_bytes(b"".join(line + b"\n" for line in DAMAGE[damage](path.read_bytes().splitlines())))
    cells = open_cells(tmp_path, records)
    if damage == "lost":
        assert {trial_id for cell in cells for trial_id in cell.known} == {
            trial.trial_id for trial in held if trial.phase == "explore"
        }
    advance(cells, records, 1000)
    assert all(cell.finished for cell in cells)
    assert [record.trial for record in records][:ended] == held
    check(tmp_path, records)
    assert all(cell.finished for cell in open_cells(tmp_path, records))


def test_a_sound_log_is_not_touched_and_what_was_in_flight_starts_again(tmp_path: Path) -> None:
    records: list[Record] = []
    flight = advance(open_cells(tmp_path, records), records, 7, in_flight=3)
    content = (tmp_path / "optuna.log").read_bytes()
    cells = open_cells(tmp_path, records)
    assert (tmp_path / "optuna.log").read_bytes().startswith(content)
    again = [trial for cell in cells for _ in cell.in_flight if (trial := cell.propose()) is not None]
    assert sorted(again, key=lambda trial: trial.trial_id) == sorted(flight, key=lambda trial: trial.trial_id)


def test_a_record_that_was_lost_is_trained_again_as_it_was(tmp_path: Path) -> None:
    """A damaged line of trials.jsonl that was removed."""
    records: list[Record] = []
    advance(open_cells(tmp_path, records), records, 12)
    lost = records.pop(5)
    cells = open_cells(tmp_path, records)
    assert lost.trial in [trial for cell in cells if (trial := cell.propose()) is not None]
    advance(open_cells(tmp_path, records), records, 1000)
    check(tmp_path, records)
