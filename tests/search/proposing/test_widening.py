"""A study whose file changes between one run and the next: what was done stays, proposals follow the new file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.records.record import Record, Trial
from phitune.search.study.model import Study
from tests.search.proposing.test_proposer import make_study, searched, storage

NARROW: dict[str, Any] = {
    "workloads": ["mlp/digits"],
    "families": ["uba"],
    "baselines": ["linear"],
    "space": {"phi": [5, 10], "base_lr": [0.01, 0.05]},
    "trials": 10,
    "replicates": 2,
}


def study(**change: Any) -> Study:
    return make_study(**{**NARROW, **change})


def one_cell(study: Study, store: BaseStorage, records: list[Record]) -> CellProposer:
    [cell] = proposers(study, store, records)
    return cell


def of_phase(records: list[Record], phase: str) -> list[Trial]:
    return [record.trial for record in records if record.trial.phase == phase]


def go_on(study: Study, store: BaseStorage, records: list[Record], most: int = 10_000) -> CellProposer:
    """Runs the study from its records on; they grow."""
    cell = one_cell(study, store, records)
    records += searched([cell], most)
    return cell


@pytest.mark.parametrize("sampler", ["surrogate", "tpe", "random"])
@pytest.mark.parametrize("ended", [3, 6, 10, 14])
def test_a_wider_range_is_searched_by_what_is_left_of_the_trials(sampler: str, ended: int) -> None:
    store = InMemoryStorage()
    records: list[Record] = []
    go_on(study(sampler=sampler), store, records, ended)
    held = list(records)
    wide = study(sampler=sampler, space={"phi": [0.1, 50], "base_lr": [0.001, 1]}, trials=24)
    cell = go_on(wide, store, records)
    assert cell.finished and records[: len(held)] == held
    explored = of_phase(records, "explore")
    assert sorted(trial.number for trial in explored) == list(range(24))
    new = [trial for trial in explored if trial.number >= min(ended, 10)]
    assert any(trial.base_lr > 0.05 for trial in new)
    # The surrogate has seen that a lower LR is worse.
    assert sampler == "surrogate" or any(trial.base_lr < 0.01 for trial in new)
    assert any(not 5 <= trial.schedule.get("phi", 5) <= 10 for trial in new)
    assert all(0.001 <= trial.base_lr <= 1 for trial in new)


def test_the_search_follows_the_better_ones_out_of_the_old_range() -> None:
    """The best mean LR is 0.1, which the first range does not reach."""
    store, records = InMemoryStorage(), list[Record]()
    go_on(study(), store, records)
    go_on(study(space={"phi": [0.1, 50], "base_lr": [0.001, 1]}, trials=24), store, records)
    best = [trial for trial in of_phase(records, "replicate") if "-0024-" in trial.trial_id]
    assert best and all(trial.mean_lr == pytest.approx(0.1, rel=0.3) for trial in best)


@pytest.mark.parametrize("sampler", ["surrogate", "tpe", "random"])
def test_a_trial_in_flight_keeps_its_configuration_in_a_wider_range(tmp_path: Path, sampler: str) -> None:
    """Of Optuna's samplers' proposals the base LR is often the end of its range, which moves."""
    records: list[Record] = []
    first = one_cell(study(sampler=sampler, trials=40), storage(tmp_path), [])
    flying = [trial for _ in range(12) if (trial := first.propose()) is not None]
    wide = study(sampler=sampler, trials=40, space={"phi": [1, 20], "base_lr": [0.001, 1]})
    second = one_cell(wide, storage(tmp_path), records)
    assert [second.propose() for _ in flying] == flying


@pytest.mark.parametrize("sampler", ["surrogate", "tpe", "random"])
def test_a_new_family_is_tried_and_one_left_out_is_kept_without_new_trials(sampler: str) -> None:
    store, records = InMemoryStorage(), list[Record]()
    go_on(study(sampler=sampler), store, records)
    go_on(study(sampler=sampler, families=["cosine", "rex"], baselines=["cosine"], trials=30), store, records)
    explored = of_phase(records, "explore")
    assert sorted(trial.number for trial in explored) == list(range(30))
    assert {trial.family for trial in explored if trial.number < 10} == {"uba", "linear"}
    assert {trial.family for trial in explored if trial.number >= 10} == {"cosine", "rex"}
    finalists = {trial.family for trial in of_phase(records, "replicate") if "-0030-" in trial.trial_id}
    assert finalists <= {"cosine", "rex"} and "cosine" in finalists


def test_trials_in_flight_of_a_family_left_out_or_out_of_range_are_not_started_again(tmp_path: Path) -> None:
    first = one_cell(study(families=["uba"], baselines=["linear"], trials=20), storage(tmp_path), [])
    flying = [trial for _ in range(12) if (trial := first.propose()) is not None]
    assert {trial.family for trial in flying} == {"uba", "linear"}
    narrow = study(families=["uba"], baselines=[], trials=20, space={"phi": [6, 8], "base_lr": [0.01, 0.05]})
    second = one_cell(narrow, storage(tmp_path), [])
    kept = [trial for trial in flying if trial.family == "uba" and 6 <= trial.schedule["phi"] <= 8]
    assert second.in_flight == [trial.trial_id for trial in kept] != []
    records = searched([second])
    ids = [record.trial.trial_id for record in records]
    assert len(ids) == len(set(ids)) and len(of_phase(records, "explore")) == 20
    assert all(t.family == "uba" and 6 <= t.schedule["phi"] <= 8 for t in of_phase(records, "explore"))


def test_a_baseline_added_to_a_finished_study_is_replicated_and_the_others_stay() -> None:
    store, records = InMemoryStorage(), list[Record]()
    go_on(study(), store, records)
    before = of_phase(records, "replicate")
    go_on(study(baselines=["linear", "cosine"]), store, records)
    after = of_phase(records, "replicate")
    assert after[: len(before)] == before
    assert Counter(trial.family for trial in after[len(before) :]) == {"cosine": 2}
    assert len(of_phase(records, "explore")) == 10
    assert one_cell(study(), store, records).finished
    again = one_cell(study(baselines=["linear", "cosine", "rex"], replicates=3), store, records)
    more = [record.trial for record in searched([again])]
    assert {trial.finalist for trial in after} < {trial.finalist for trial in more}
    for trial in [*after, *more]:
        same = {t.base_lr for t in [*after, *more] if t.finalist == trial.finalist}
        assert same == {trial.base_lr}


def test_fewer_trials_end_a_cell_and_more_take_up_what_was_in_flight(tmp_path: Path) -> None:
    records: list[Record] = []
    cell = one_cell(study(trials=20), storage(tmp_path), records)
    records += searched([cell], 8)
    flying = [trial.trial_id for _ in range(2) if (trial := cell.propose()) is not None]
    fewer = one_cell(study(trials=9, replicates=1), storage(tmp_path), records)
    assert fewer.in_flight == flying[:1]
    records += searched([fewer])
    assert fewer.finished and len(of_phase(records, "explore")) == 9
    assert {trial.trial_id.split("-")[-2] for trial in of_phase(records, "replicate")} == {"0009"}
    done = len(records)
    assert one_cell(study(trials=5, replicates=0), storage(tmp_path), records).finished
    more = one_cell(study(trials=12), storage(tmp_path), records)
    records += searched([more])
    assert records[done].trial.trial_id == flying[1]
    explored = of_phase(records, "explore")
    assert sorted(trial.number for trial in explored) == list(range(12)) and more.finished


def test_with_auto_a_cell_that_had_had_enough_goes_on_in_a_wider_space(tmp_path: Path) -> None:
    small = study(trials={"most": 60}, replicates=0)
    records = searched([one_cell(small, storage(tmp_path), [])])
    assert one_cell(small, storage(tmp_path), records).finished and len(records) < 60
    wide = study(trials={"most": 60}, replicates=0, space={"phi": [0.1, 50], "base_lr": [0.001, 1]})
    cell = one_cell(wide, storage(tmp_path), records)
    assert not cell.explored
    more = searched([cell])
    assert any(record.trial.base_lr > 0.05 for record in more)
    assert one_cell(wide, storage(tmp_path), records + more).finished
    fewer = one_cell(study(trials={"most": 12}, replicates=0), storage(tmp_path), records + more)
    assert fewer.finished and fewer.saved == 0
