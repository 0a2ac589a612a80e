"""The proposer on a real Optuna journal: what comes next, and what comes after a restart."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search import Searcher

from phitune.search.cluster.slots import Slots
from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.proposing.group import START, WARM, WINDOW
from phitune.search.proposing.space import values_at
from phitune.search.proposing.warm_start import earlier_cells
from phitune.search.records.journal import Journal, mend_tail
from phitune.search.records.record import Record, Status, Trial
from phitune.search.stopping.retries import RETRIES
from phitune.search.study.model import Study, parse_study
from phitune.search.study.sections import Resources
from phitune.search.tune.searcher import Proposer
from phitune.trainables.errors import InputError
from phitune.trainables.training.checkpoint import CheckpointFolder

optuna.logging.set_verbosity(optuna.logging.ERROR)


# The report of a trial that has ended, as Tune hands it on.
ENDED = {"account": json.dumps({"status": "completed", "steps": 64, "final": {"objective": 1.0}})}


def make_study(**change: Any) -> Study:
    return parse_study({"name": "s", "workloads": ["quadratic"], "budgets": [64], "trials": 14, **change})


def storage(path: Path) -> BaseStorage:
    return JournalStorage(JournalFileBackend(str(path / "optuna.log")))


def outcome(trial: Trial, status: Status = "completed", value: float | None = None) -> Record:
    value = trial.mean_lr if value is None else value
    rungs = [(16, value)] if status == "stopped" else []
    return Record(trial, status, 64, rungs, [], {"objective": value}, 0.0, 0.1)


def run(proposer: CellProposer, most: int = 1000) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < most and (trial := proposer.propose()) is not None:
        trials.append(trial)
        status: Status = ("completed", "stopped", "completed", "diverged")[trial.number % 4]  # type: ignore[assignment]
        proposer.end(outcome(trial, "completed" if trial.phase == "replicate" else status))
    return trials


def test_a_cell_explores_then_replicates_the_best_and_the_baselines(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[40], trials=20)
    [proposer] = proposers(study, storage(tmp_path))
    trials = run(proposer)
    explore = [t for t in trials if t.phase == "explore"]
    replicates = [t for t in trials if t.phase == "replicate"]
    assert [t.origin for t in explore] == ["quasi-random"] * START + ["surrogate"] * (20 - START)
    assert len({t.seed for t in explore}) == 20
    best = replicates[0].family
    finalists = list(dict.fromkeys([best, "linear", "cosine"]))
    assert [t.trial_id for t in replicates] == [
        f"mlp-digits.sgd.40/replicate-0020-{family}.{seed}" for seed in range(3) for family in finalists
    ]
    assert {t.finalist for t in replicates} == {f"mlp-digits.sgd.40/finalist-0020-{family}" for family in finalists}
    assert len({t.seed for t in replicates}) == 3
    assert not {t.seed for t in replicates} & {t.seed for t in explore}
    assert proposer.finished
    assert proposer.total == len(trials)


def test_replicates_wait_for_the_last_explore_trial(tmp_path: Path) -> None:
    study = make_study()
    [proposer] = proposers(study, storage(tmp_path))
    pending = [proposer.propose() for _ in range(14)]
    assert proposer.propose() is None
    for trial in pending:
        assert trial is not None
        proposer.end(outcome(trial))
    following = proposer.propose()
    assert following is not None
    assert following.phase == "replicate"


def test_a_deterministic_workload_is_replicated_once(tmp_path: Path) -> None:
    study = make_study()
    trials = run(proposers(study, storage(tmp_path))[0])
    assert set(Counter(t.finalist for t in trials if t.phase == "replicate").values()) == {1}


@pytest.mark.parametrize("killed_after", [0, 3, 9, 14, 16])
@pytest.mark.parametrize("in_flight", [0, 2])
def test_a_new_process_goes_on_where_the_old_one_died(tmp_path: Path, killed_after: int, in_flight: int) -> None:
    study = make_study()
    first = proposers(study, storage(tmp_path))[0]
    ended = run(first, killed_after)
    records = list(first.ended)
    running = [trial for _ in range(in_flight) if (trial := first.propose()) is not None]

    second = proposers(study, storage(tmp_path), records)[0]
    rest = run(second)
    assert {t.trial_id: t for t in running}.items() <= {t.trial_id: t for t in rest}.items()
    ids = [t.trial_id for t in ended + rest]
    assert len(ids) == len(set(ids)) == second.total
    trials = optuna.load_study(study_name=study.cells[0].key, storage=storage(tmp_path)).trials
    assert [t.number for t in trials] == list(range(14))
    assert all(t.state.is_finished() for t in trials)


@pytest.mark.parametrize("sampler", ["surrogate", "tpe", "random"])
def test_a_resumed_cell_proposes_the_same_trials_as_an_uninterrupted_one(tmp_path: Path, sampler: str) -> None:
    study = make_study(trials=30, sampler=sampler)
    uninterrupted = run(proposers(study, InMemoryStorage())[0])
    assert study.sampler in {trial.origin for trial in uninterrupted[:20]}
    resumed: list[Trial] = []
    ended: list[Record] = []
    for most in (7, 4, 9, 1000):
        [proposer] = proposers(study, storage(tmp_path), ended)
        resumed += run(proposer, most)
        ended = list(proposer.ended)
    assert resumed == uninterrupted


def test_a_record_that_optuna_lacks_is_added_after_the_restart(tmp_path: Path) -> None:
    """Killed between the journal and Optuna."""
    study = make_study()
    first = proposers(study, storage(tmp_path))[0]
    trial = first.propose()
    assert trial is not None
    second = proposers(study, storage(tmp_path), [outcome(trial, value=0.125)])[0]
    assert trial.trial_id not in {t.trial_id for t in run(second)}
    frozen = optuna.load_study(study_name=study.cells[0].key, storage=storage(tmp_path)).trials[0]
    assert (frozen.state, frozen.value) == (TrialState.COMPLETE, 0.125)


def searched(cells: list[CellProposer], most: int = 10_000) -> list[Record]:
    """Trains the cells' trials in turn, two in flight; the best LR is 0.1 and the best φ 2, cosine's."""
    records: list[Record] = []
    flight: list[tuple[CellProposer, Trial]] = []
    while len(records) < most:
        for cell in cells:
            if len(flight) < 2 and (trial := cell.propose()) is not None:
                flight.append((cell, trial))
        if not flight:
            break
        cell, trial = flight.pop(0)
        records.append(outcome(trial, value=quality(trial)))
        cell.end(records[-1])
    return records


def quality(trial: Trial) -> float:
    noise = np.random.default_rng(trial.seed).normal()
    shape = {"uba": abs(math.log(trial.schedule.get("phi", 2) / 2)), "cosine": 0.0}.get(trial.family, 0.5)
    return math.exp(0.3 * math.log(trial.mean_lr / 0.1) ** 2 + 0.05 * shape + 0.005 * noise)


def test_the_search_closes_in_on_the_best_and_its_finalists_are_near_it(tmp_path: Path) -> None:
    records = searched(proposers(make_study(workloads=["mlp/digits"], trials=24), storage(tmp_path)))
    replicates = [record.trial for record in records if record.trial.phase == "replicate"]
    for trial in replicates:
        assert trial.mean_lr == pytest.approx(0.1, rel=0.2)
    assert quality(replicates[0]) < 1.05


@pytest.mark.parametrize("ended", [2, 7, 18, 31, 41, 48])
def test_a_new_process_proposes_what_the_old_one_would_have(tmp_path: Path, ended: int) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[64, 128], trials=20)
    cells = proposers(study, storage(tmp_path))
    records = searched(cells, ended)
    copied = tmp_path / "copied"
    copied.mkdir()
    copy(tmp_path / "optuna.log", copied)
    for old, new in zip(cells, proposers(study, storage(copied), records), strict=True):
        waiting = old.in_flight
        # What the old process had in flight starts again.
        assert new.in_flight == waiting
        begun = [trial for _ in waiting if (trial := new.propose()) is not None]
        assert [trial.trial_id for trial in begun] == waiting
        # Of a cell that is explored, all replicates are known.
        assert old.propose() in ([new.propose()] if old.total is None else [*begun, None])


def test_finalists_stay_what_they_are_while_other_cells_go_on(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[64, 128], trials=16)
    small, large = proposers(study, storage(tmp_path))
    records = searched([small], 17)
    begun = [record.trial for record in records if record.trial.phase == "replicate"]
    records += searched([large], 16)
    small, _ = proposers(study, storage(tmp_path), records)
    replicates = [trial for _ in range(9) if (trial := small.propose()) is not None]
    finalists = {(t.family, t.base_lr) for t in replicates + begun}
    assert len({t.finalist for t in replicates + begun}) == len(finalists)


def test_a_neighbouring_budget_and_an_earlier_study_shorten_the_start(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[64, 128], trials=14, replicates=0)
    small, large = proposers(study, storage(tmp_path))
    searched([small])
    origins = [record.trial.origin for record in searched([large])]
    assert origins == ["quasi-random"] * WARM + ["surrogate"] * (14 - WARM)

    journal = Journal(tmp_path / "earlier/trials.jsonl")
    journal.path.parent.mkdir()
    for record in small.ended:
        journal.append(record)
    (tmp_path / "earlier/study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    earlier = earlier_cells(["earlier"], tmp_path / "s", study.cells)
    assert [(other.group, other.budget, len(other.records)) for other in earlier] == [("mlp/digits sgd", 64, 14)]
    cells = proposers(make_study(workloads=["mlp/digits"], budgets=[64, 256]), InMemoryStorage(), earlier=earlier)
    for cell in cells:
        trials = [record.trial for record in searched([cell], WARM + 2)]
        assert [trial.origin for trial in trials] == ["quasi-random"] * WARM + ["surrogate"] * 2
        assert all(0.02 < trial.mean_lr < 0.5 for trial in trials[WARM:]), "near the best of the earlier study"
    for wrong in ("nowhere", str(tmp_path / "nowhere")):
        with pytest.raises(InputError, match="warm_start: "):
            earlier_cells([wrong], tmp_path / "s", study.cells)


def test_neighbouring_budgets_save_trials(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"workloads": ["mlp/digits"], "replicates": 0}
    together = proposers(make_study(budgets=[64, 128, 256, 512], trials=6, **keys), InMemoryStorage())
    searched(together)
    alone = proposers(make_study(budgets=[512], trials=6, **keys), InMemoryStorage())
    searched(alone)

    def left(cell: CellProposer) -> float:
        at = cell.group.choice(cell.cell)
        assert at is not None
        values = {name: value for name, value in values_at(cell.cell, at, 0).items() if name.endswith("mean_lr")}
        return abs(math.log(float(next(iter(values.values()))) / 0.1))

    assert left(together[-1]) < min(0.1, left(alone[0]))


def test_a_cell_that_has_had_enough_says_so_and_a_larger_bound_goes_on(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], trials={"most": 60}, replicates=0)
    [cell] = proposers(study, storage(tmp_path))
    records = searched([cell])
    assert cell.finished
    assert 12 <= len(records) < 60
    assert cell.saved == 60 - len(records)
    [again] = proposers(study, storage(tmp_path), records)
    assert (again.finished, again.saved) == (True, cell.saved)
    [more] = proposers(make_study(workloads=["mlp/digits"], trials=60, replicates=0), storage(tmp_path), records)
    records += searched([more])
    assert more.finished
    assert (len(records), more.saved) == (60, 0)


def test_with_auto_trials_go_first_where_they_are_worth_most(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[64, 128], trials="auto")
    small, large = proposers(study, storage(tmp_path))
    assert small.turn(auto=True)[0] == large.turn(auto=True)[0] == -math.inf
    searched([small], 30)
    searched([large], WARM + 2)
    assert large.value > small.value
    assert sorted([small, large], key=lambda cell: cell.turn(auto=True)) == [large, small]
    assert sorted([small, large], key=lambda cell: cell.turn(auto=False)) == [large, small]


def test_a_cell_with_more_trials_than_the_window_goes_on(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], trials=WINDOW + 20, replicates=1, sampler="random")
    [cell] = proposers(study, storage(tmp_path))
    records = searched([cell])
    assert cell.finished
    best = next(record.trial for record in records if record.trial.phase == "replicate")
    assert quality(best) < 1.05
    more = study.model_copy(update={"trials": WINDOW + 22, "sampler": "surrogate"})
    [grown] = proposers(more, storage(tmp_path), records)
    assert [record.trial.origin for record in searched([grown], 2)] == ["surrogate"] * 2


def test_more_trials_and_replicates_go_on_from_fewer(tmp_path: Path) -> None:
    few = make_study(workloads=["mlp/digits"], budgets=[40])
    [first] = proposers(few, storage(tmp_path))
    run(first)
    more = make_study(workloads=["mlp/digits"], budgets=[40], trials=24, replicates=4)
    [second] = proposers(more, storage(tmp_path), list(first.ended))
    assert not second.finished
    run(second)
    ids = [record.trial.trial_id for record in second.ended]
    assert len(ids) == len(set(ids)) == second.total
    assert sorted(r.trial.number for r in second.ended if r.trial.phase == "explore") == list(range(24))
    replicates = Counter(r.trial.finalist for r in second.ended if r.trial.phase == "replicate")
    assert {count for name, count in replicates.items() if "finalist-0014-" in str(name)} == {3}
    assert {count for name, count in replicates.items() if "finalist-0024-" in str(name)} == {4}


def test_a_torn_line_in_optunas_journal_costs_nothing(tmp_path: Path) -> None:
    """Killed while Optuna was writing: whatever the line was about, the study goes on."""
    study = make_study()
    first = proposers(study, storage(tmp_path))[0]
    run(first, 3)
    path = tmp_path / "optuna.log"
    path.write_bytes(path.read_bytes()[:-7])
    mend_tail(path)
    second = proposers(study, storage(tmp_path), list(first.ended))[0]
    run(second)
    assert second.finished
    assert sorted(r.trial.number for r in second.ended if r.trial.phase == "explore") == list(range(14))


def test_how_ends_are_recorded_in_optuna(tmp_path: Path) -> None:
    study = make_study()
    proposer = proposers(study, storage(tmp_path))[0]
    for status in ("completed", "stopped", "diverged", "failed"):
        trial = proposer.propose()
        assert trial is not None
        proposer.end(outcome(trial, status, 0.5))
    trials = optuna.load_study(study_name=study.cells[0].key, storage=storage(tmp_path)).trials
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL]
    assert [t.state for t in trials] == states
    assert trials[1].intermediate_values == {16: 0.5}
    assert trials[2].constraints == {"diverged": 1.0}


def test_cells_advance_together_and_every_end_is_reported(tmp_path: Path) -> None:
    study = make_study(budgets=[32, 64], replicates=0)
    store = storage(tmp_path)
    ends: list[Record] = []
    cells = proposers(study, store)
    searcher = Proposer(cells, study, ends.append, CheckpointFolder(tmp_path))
    configs = []
    while (config := searcher.suggest(f"tune {len(configs)}")) != Searcher.FINISHED:
        assert isinstance(config, dict)
        configs.append(config)
        account = {"status": "completed", "steps": 32, "final": {"objective": 0.5}, "started": 1.0}
        searcher.on_trial_complete(f"tune {len(configs) - 1}", {"account": json.dumps(account)})
    assert [json.loads(c["task"])["budget"] for c in configs] == [64, 32] * 14
    assert [r.trial.trial_id for r in ends] == [c["trial_id"] for c in configs]
    assert {r.final["objective"] for r in ends} == {0.5}


def test_trials_of_a_workload_follow_one_another_but_none_is_left_behind(tmp_path: Path) -> None:
    study = make_study(workloads=["quadratic", {"name": "quadratic", "kappa": 10}], trials=40, replicates=0)
    store = storage(tmp_path)
    cells = proposers(study, store)
    searcher = Proposer(cells, study, lambda record: None, CheckpointFolder(tmp_path))
    order = []
    while (config := searcher.suggest(str(len(order)))) != Searcher.FINISHED:
        assert isinstance(config, dict)
        searcher.on_trial_complete(
            str(len(order)), {"account": json.dumps({"status": "completed", "final": {"objective": 1}})}
        )
        order.append(config["cell"])
    changes = sum(a != b for a, b in pairwise(order))
    assert changes <= 20
    for length in range(1, 81):
        counts = Counter(order[:length])
        assert max(counts.values()) - (min(counts.values()) if len(counts) == 2 else 0) <= 5


def test_a_trial_whose_worker_dies_is_tried_again_and_fails_in_the_end(tmp_path: Path) -> None:
    study = make_study()
    ends: list[Record] = []
    cell = proposers(study, storage(tmp_path))[0]
    searcher = Proposer([cell], study, ends.append, CheckpointFolder(tmp_path))
    configs = []
    for number in range(RETRIES + 1):
        assert not ends
        configs.append(searcher.suggest(f"tune {number}"))
        searcher.on_trial_complete(f"tune {number}", error=True)
    assert configs == [configs[0]] * (RETRIES + 1)
    assert (ends[0].status, ends[0].reason) == ("failed", "its process died")


def mixed(folder: Path, nodes: list[dict[str, float]]) -> tuple[Proposer, dict[str, str]]:
    """Two cells, whose trials take one CPU and two, on these nodes; and a place for the running trials."""
    large = {"name": "quadratic", "kappa": 10, "resources": {"cpu": 2}}
    study = make_study(workloads=["quadratic", large], families=["linear"], baselines=[], trials=2, replicates=0)
    cells = proposers(study, storage(folder))
    proposer = Proposer(cells, study, lambda record: None, CheckpointFolder(folder))
    clock = iter(range(0, 10_000, 10))
    proposer.slots = Slots(
        {cell.cell.resources for cell in cells}, lambda: nodes, lambda: 0, lambda: float(next(clock))
    )
    return proposer, {}


def start_all(proposer: Proposer, running: dict[str, str], names: Iterator[str]) -> None:
    while isinstance(config := proposer.suggest(name := next(names)), dict):
        running[name] = config["bundle"]


def test_a_cell_without_room_is_passed_over_and_has_its_turn(tmp_path: Path) -> None:
    proposer, running = mixed(tmp_path, [{"CPU": 3.0}])
    names = (f"t{i}" for i in range(1000))
    order = []
    for _ in range(20):
        start_all(proposer, running, names)
        order.append(sorted(running.values()))
        for name in list(running)[:1]:
            proposer.on_trial_complete(name, ENDED)
            del running[name]
    assert [json.loads(kind)["CPU"] for kind in order[0]] == [1, 2], "three CPUs hold one of each"
    assert proposer.suggest("last") == Searcher.FINISHED


def test_processes_that_died_with_their_node_hold_no_places(tmp_path: Path) -> None:
    nodes = [{"CPU": 1.0}, {"CPU": 2.0}]
    proposer, running = mixed(tmp_path, nodes)
    names = (f"t{i}" for i in range(1000))
    start_all(proposer, running, names)
    assert sorted(json.loads(kind)["CPU"] for kind in running.values()) == [1, 2]
    for name in running:
        proposer.on_trial_complete(name, ENDED)
    nodes.pop(0)
    assert proposer.slots is not None
    proposer.slots.look()
    assert not any(proposer.slots.may_start(Resources(cpu=cpu)) for cpu in (1, 2)), "each is kept a place by the other"
    assert any(isinstance(proposer.suggest(next(names)), dict) for _ in range(2))
