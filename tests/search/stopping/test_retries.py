"""How often a failed trial is started again, and when a cell is given up."""

from __future__ import annotations

from phitune.search.records.record import Record, Status, Trial
from phitune.search.stopping.retries import GIVE_UP, HUNG_RETRIES, LOST_RETRIES, RETRIES, Failure, Luck, Retries


def record(status: Status) -> Record:
    trial = Trial("c/explore-0000", "c", "explore", 0, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)
    return Record(trial, status, 7, [], [], {}, 1.5, 0.25, reason="odd weather")


def test_deaths_and_hangs_are_retried_each_so_often() -> None:
    retries = Retries()
    assert [retries.allow("a", Failure()) for _ in range(RETRIES + 1)] == [True] * RETRIES + [False]
    assert [retries.allow("a", Failure(hung=True)) for _ in range(HUNG_RETRIES + 1)] == [True] * HUNG_RETRIES + [False]
    assert retries.allow("b", Failure())


def test_the_death_of_a_node_is_not_held_against_a_trial() -> None:
    retries, lost = Retries(), Failure(lost=True)
    assert [retries.allow("a", lost) for _ in range(LOST_RETRIES + 1)] == [True] * LOST_RETRIES + [False]
    assert not retries.last("a"), "its checkpoint is as good as before"
    assert [retries.allow("a", Failure()) for _ in range(RETRIES)] == [True] * RETRIES
    assert retries.last("a")


def test_a_cell_is_given_up_when_its_first_trials_all_failed() -> None:
    luck = Luck()
    for _ in range(GIVE_UP - 1):
        luck.ended(record("failed"))
        assert not luck.gave_up
    luck.ended(record("failed"))
    assert luck.gave_up == f"stopped after {GIVE_UP} trials, all failed: odd weather"


def test_one_trial_that_works_is_enough_to_go_on() -> None:
    luck = Luck()
    luck.ended(record("diverged"))
    for _ in range(2 * GIVE_UP):
        luck.ended(record("failed"))
    assert not luck.gave_up
