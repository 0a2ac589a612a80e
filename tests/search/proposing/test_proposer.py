"""The proposer on a real Optuna journal: what comes next, and what comes after a restart."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial
from ray.tune.search import Searcher

from phitune.search.cluster.slots import Slots
from phitune.search.proposing.cell import CellProposer
from phitune.search.proposing.finalists import finalists
from phitune.search.proposing.sampler import START
from phitune.search.proposing.space import distributions, stable_seed
from phitune.search.proposing.warm_start import earlier_cells
from phitune.search.records.journal import Journal, cut_torn_line
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


def test_a_cell_explores_in_shares_then_replicates_its_finalists(tmp_path: Path) -> None:
    study = make_study(workloads=["mlp/digits"], budgets=[40])
    proposer = CellProposer(study, study.cells[0], storage(tmp_path), [])
    trials = run(proposer)
    explore = [t for t in trials if t.phase == "explore"]
    replicates = [t for t in trials if t.phase == "replicate"]
    assert Counter(t.schedule["family"] for t in explore) == {"uba": 8, "rex": 2, "linear": 2, "cosine": 1, "step": 1}
    assert len({t.seed for t in explore}) == 14
    best = {t.finalist for t in replicates}
    assert Counter(t.finalist for t in replicates) == dict.fromkeys(best, 3)
    assert len({t.seed for t in replicates}) == 3
    assert not {t.seed for t in replicates} & {t.seed for t in explore}
    assert proposer.finished
    assert proposer.total == len(trials)


def test_replicates_wait_for_the_last_explore_trial(tmp_path: Path) -> None:
    study = make_study()
    proposer = CellProposer(study, study.cells[0], storage(tmp_path), [])
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
    trials = run(CellProposer(study, study.cells[0], storage(tmp_path), []))
    assert set(Counter(t.finalist for t in trials if t.phase == "replicate").values()) == {1}


@pytest.mark.parametrize("killed_after", [0, 3, 9, 14, 16])
@pytest.mark.parametrize("in_flight", [0, 2])
def test_a_new_process_goes_on_where_the_old_one_died(tmp_path: Path, killed_after: int, in_flight: int) -> None:
    study = make_study()
    cell = study.cells[0]
    first = CellProposer(study, cell, storage(tmp_path), [])
    ended = run(first, killed_after)
    records = list(first.ended)
    running = [trial for _ in range(in_flight) if (trial := first.propose()) is not None]

    second = CellProposer(study, cell, storage(tmp_path), records)
    rest = run(second)
    assert {t.trial_id: t for t in running}.items() <= {t.trial_id: t for t in rest}.items()
    ids = [t.trial_id for t in ended + rest]
    assert len(ids) == len(set(ids)) == second.total
    trials = optuna.load_study(study_name=cell.key, storage=storage(tmp_path)).trials
    assert [t.number for t in trials] == list(range(14))
    assert all(t.state.is_finished() for t in trials)


def test_a_resumed_cell_proposes_the_same_trials_as_an_uninterrupted_one(tmp_path: Path) -> None:
    study = make_study(trials=30)
    cell = study.cells[0]
    uninterrupted = run(CellProposer(study, cell, InMemoryStorage(), []))
    assert "tpe" in {trial.origin for trial in uninterrupted[:20]}
    resumed: list[Trial] = []
    ended: list[Record] = []
    for most in (7, 4, 9, 1000):
        proposer = CellProposer(study, cell, storage(tmp_path), ended)
        resumed += run(proposer, most)
        ended = list(proposer.ended)
    assert resumed == uninterrupted


def test_a_record_that_optuna_lacks_is_added_after_the_restart(tmp_path: Path) -> None:
    """Killed between the journal and Optuna."""
    study = make_study()
    cell = study.cells[0]
    first = CellProposer(study, cell, storage(tmp_path), [])
    trial = first.propose()
    assert trial is not None
    second = CellProposer(study, cell, storage(tmp_path), [outcome(trial, value=0.125)])
    assert trial.trial_id not in {t.trial_id for t in run(second)}
    frozen = optuna.load_study(study_name=cell.key, storage=storage(tmp_path)).trials[0]
    assert (frozen.state, frozen.value) == (TrialState.COMPLETE, 0.125)


def test_the_start_is_quasi_random_and_tpe_sees_its_own_family(tmp_path: Path) -> None:
    study = make_study(trials=120, families=["uba", {"name": "uba", "label": "other"}], baselines=[])
    cell = study.cells[0]
    trials = []
    proposer = CellProposer(study, cell, storage(tmp_path), [])
    while (trial := proposer.propose()) is not None and trial.phase == "explore":
        trials.append(trial)
        # One family is a thousand times worse everywhere; it is still searched for its own best, LR 0.1.
        far = abs(math.log(trial.mean_lr / 0.1)) + (1000 if trial.family == "other" else 0)
        proposer.end(outcome(trial, value=far))
    for label in ("uba", "other"):
        own = [t for t in trials if t.family == label]
        start = math.ceil(START * len(own))
        assert [t.origin for t in own] == ["quasi-random"] * start + ["tpe"] * (len(own) - start)
        near = [abs(math.log(t.mean_lr / 0.1)) for t in own]
        assert np.median(near[start:]) < np.median(near[:start])


def test_tpe_proposes_what_it_would_in_a_study_of_the_family_alone(tmp_path: Path) -> None:
    study = make_study(trials=60)
    cell = study.cells[0]
    trials = run(CellProposer(study, cell, storage(tmp_path), []), 60)
    history = optuna.load_study(study_name=cell.key, storage=storage(tmp_path)).trials
    models = [trial for trial in trials if trial.origin == "tpe"]
    assert {trial.family for trial in models} >= {"uba", "linear"}
    for trial in models:
        own = [other for other in history[: trial.number + 1] if other.params["family"] == trial.family]
        ranges = distributions(next(space for space in cell.families if space.label == trial.family), cell)
        seed = stable_seed(stable_seed(study.seed, cell.key, trial.family), len(own) - 1)
        alone = optuna.create_study(sampler=TPESampler(seed=seed, multivariate=True, n_startup_trials=0))
        for other in own[:-1]:
            alone.add_trial(
                create_trial(
                    state=other.state,
                    value=other.value,
                    params={key: other.params[key] for key in ranges},
                    distributions=dict(ranges),
                    intermediate_values=other.intermediate_values,
                    constraints=other.constraints,
                )
            )
        assert alone.ask(dict(ranges)).params == {key: own[-1].params[key] for key in ranges}


def test_the_best_of_each_source_is_tried_once_after_the_start(tmp_path: Path) -> None:
    study = make_study(budgets=[64, 128], trials=28)
    small, large = (CellProposer(study, cell, storage(tmp_path), []) for cell in study.cells)
    run(small, 28)
    large.sources = (small,)
    trials = run(large, 20)
    restarted = CellProposer(study, large.cell, storage(tmp_path), list(large.ended))
    restarted.sources = (small,)
    trials += run(restarted)
    warm = [t for t in trials if t.origin == small.name]
    assert sorted(t.family for t in warm) == sorted(space.label for space in small.cell.families)
    for trial in warm:
        best = small.best(trial.family)
        assert best is not None
        assert trial.mean_lr == pytest.approx(best.trial.mean_lr)
        assert trial.schedule == best.trial.schedule


def test_more_trials_and_replicates_go_on_from_fewer(tmp_path: Path) -> None:
    few = make_study(workloads=["mlp/digits"], budgets=[40])
    first = CellProposer(few, few.cells[0], storage(tmp_path), [])
    run(first)
    more = make_study(workloads=["mlp/digits"], budgets=[40], trials=24, replicates=4)
    second = CellProposer(more, more.cells[0], storage(tmp_path), list(first.ended))
    assert not second.finished
    run(second)
    ids = [record.trial.trial_id for record in second.ended]
    assert len(ids) == len(set(ids)) == second.total
    assert sorted(r.trial.number for r in second.ended if r.trial.phase == "explore") == list(range(24))
    best = finalists(second.ended, "min")
    replicates = Counter(r.trial.finalist for r in second.ended if r.trial.phase == "replicate")
    assert all(replicates[r.trial.trial_id] == 4 for r in best)


def test_a_torn_line_in_optunas_journal_costs_nothing(tmp_path: Path) -> None:
    """Killed while Optuna was writing: whatever the line was about, the study goes on."""
    study = make_study()
    cell = study.cells[0]
    first = CellProposer(study, cell, storage(tmp_path), [])
    run(first, 3)
    path = tmp_path / "optuna.log"
    path.write_bytes(path.read_bytes()[:-7])
    cut_torn_line(path)
    second = CellProposer(study, cell, storage(tmp_path), list(first.ended))
    run(second)
    assert second.finished
    assert sorted(r.trial.number for r in second.ended if r.trial.phase == "explore") == list(range(14))


def test_an_earlier_study_is_tried_first(tmp_path: Path) -> None:
    earlier = make_study(budgets=[32, 100], trials=28)
    journal = Journal(tmp_path / "earlier/trials.jsonl")
    journal.path.parent.mkdir()
    for cell in earlier.cells:
        first = CellProposer(earlier, cell, storage(journal.path.parent), [])
        run(first, 28)
        for record in first.ended:
            journal.append(record)
    study = make_study(trials=28)
    sources = earlier_cells("earlier", tmp_path / "s", study.cells)
    source = sources[study.cells[0].key]
    assert source.name == "earlier: quadratic sgd 100"
    proposer = CellProposer(study, study.cells[0], storage(tmp_path), [])
    proposer.sources = (source,)
    warm = [t for t in run(proposer) if t.origin == source.name]
    assert {t.family: t.mean_lr for t in warm} == pytest.approx(
        {label: record.trial.mean_lr for label, record in source.records.items()}
    )
    for wrong in ("nothing", "s"):
        with pytest.raises(InputError, match="warm_start: "):
            earlier_cells(wrong, tmp_path / "s", study.cells)


def test_how_ends_are_recorded_in_optuna(tmp_path: Path) -> None:
    study = make_study()
    cell = study.cells[0]
    proposer = CellProposer(study, cell, storage(tmp_path), [])
    for status in ("completed", "stopped", "diverged", "failed"):
        trial = proposer.propose()
        assert trial is not None
        proposer.end(outcome(trial, status, 0.5))
    trials = optuna.load_study(study_name=cell.key, storage=storage(tmp_path)).trials
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL]
    assert [t.state for t in trials] == states
    assert trials[1].intermediate_values == {16: 0.5}
    assert trials[2].constraints == {"diverged": 1.0}


def test_finalists_are_the_best_of_each_family_and_the_best_overall(tmp_path: Path) -> None:
    values = {"a": ("uba", 0.1), "b": ("uba", 0.2), "c": ("rex", 0.4), "d": ("rex", 0.3), "e": ("uba", 0.5)}
    records = [
        outcome(Trial(name, "c", "explore", 0, family, {"family": family}, 0.1, 0.1, 0), value=value)
        for name, (family, value) in values.items()
    ]
    records.append(outcome(Trial("f", "c", "explore", 0, "step", {"family": "step"}, 0.1, 0.1, 0), "stopped", 0.0))
    assert [r.trial.trial_id for r in finalists(records, "min")] == ["a", "b", "d"]
    assert [r.trial.trial_id for r in finalists(records, "max")] == ["e", "c"]


def test_cells_advance_together_and_every_end_is_reported(tmp_path: Path) -> None:
    study = make_study(budgets=[32, 64], replicates=0)
    store = storage(tmp_path)
    ends: list[Record] = []
    cells = [CellProposer(study, cell, store, []) for cell in study.cells]
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
    cells = [CellProposer(study, cell, store, []) for cell in study.cells]
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
    cell = CellProposer(study, study.cells[0], storage(tmp_path), [])
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
    cells = [CellProposer(study, cell, storage(folder), []) for cell in study.cells]
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
