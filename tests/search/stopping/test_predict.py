"""Early stopping by what a trial's end is worth, on the real belief of a cell."""

import math

import numpy as np
import optuna
from optuna.storages import InMemoryStorage

from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.records.record import Record, Trial, Verdict
from phitune.search.stopping.predict import FEWEST, Prediction
from phitune.search.study.model import parse_study

optuna.logging.set_verbosity(optuna.logging.ERROR)
RUNG, SHARES = 32, [0.5]


def end_of(trial: Trial) -> float:
    """The final loss: the best LR is 0.1, and a seed is worth 1 %."""
    noise = np.random.default_rng(trial.seed).normal()
    return math.exp(0.4 * math.log(trial.mean_lr / 0.1) ** 2 + 0.01 * noise)


def half_way(trial: Trial) -> float:
    """The judged loss: that at the end and a half of it more."""
    return 1.5 * end_of(trial)


def searched(trials: int) -> tuple[CellProposer, Prediction]:
    """A cell of which so many trials were completed, with the rungs they passed."""
    study = parse_study(
        {"name": "s", "workloads": ["mlp/digits"], "budgets": [64], "sampler": "random", "early_stopping": "predict"}
    )
    [cell] = proposers(study, InMemoryStorage())
    for _ in range(trials):
        trial = started(cell)
        cell.end(Record(trial, "completed", 64, [(RUNG, half_way(trial))], [], {"objective": end_of(trial)}, 0.0, 0.1))
    return cell, Prediction(cell.group, cell.cell, SHARES)


def started(cell: CellProposer) -> Trial:
    trial = cell.propose()
    assert trial is not None
    return trial


def in_flight(cell: CellProposer, mean_lr: float, number: int = 100) -> Trial:
    """A trial of cosine's in flight."""
    trial = Trial(
        f"made-{number}", cell.name, "explore", number, "cosine", {"family": "cosine"}, 2 * mean_lr, mean_lr, number
    )
    cell.group.start(trial)
    return trial


def test_a_hopeless_trial_is_stopped_and_nobody_before_a_few_were_completed() -> None:
    for completed, goes_on in ((FEWEST - 1, True), (14, False)):
        cell, prediction = searched(completed)
        trial = in_flight(cell, 0.01)
        assert prediction.judge(trial.trial_id, trial.family, 1, half_way(trial)) is goes_on


def test_the_trial_that_would_become_best_goes_on() -> None:
    cell, prediction = searched(14)
    trial = in_flight(cell, 0.1)
    assert end_of(trial) < min(record.final["objective"] for record in cell.ended)
    assert prediction.judge(trial.trial_id, trial.family, 1, half_way(trial))


def test_a_verdict_stands_whatever_is_judged_later_or_by_an_earlier_process() -> None:
    cell, prediction = searched(14)
    trial = in_flight(cell, 0.01)
    assert not prediction.judge(trial.trial_id, trial.family, 1, half_way(trial))
    assert not prediction.judge(trial.trial_id, trial.family, 1, 0.01)
    again = Prediction(cell.group, cell.cell, SHARES)
    again.restore(Verdict(trial.trial_id, cell.name, trial.family, 1, half_way(trial), True))
    assert again.judge(trial.trial_id, trial.family, 1, half_way(trial))


def test_a_value_that_is_no_number_is_stopped() -> None:
    cell, prediction = searched(14)
    trial = started(cell)
    assert not prediction.judge(trial.trial_id, trial.family, 1, math.nan)


def test_the_same_records_give_the_same_verdict() -> None:
    verdicts = []
    for _ in range(2):
        cell, prediction = searched(16)
        trials = [in_flight(cell, lr, number) for number, lr in enumerate((0.005, 0.02, 0.08, 0.1, 0.12, 0.5))]
        verdicts.append([prediction.judge(t.trial_id, t.family, 1, half_way(t)) for t in trials])
    assert verdicts[0] == verdicts[1]
    assert len(set(verdicts[0])) == 2
