"""What is said of a trial that failed, how often it is tried again, and when a cell is given up."""

from __future__ import annotations

import pytest
from ray.exceptions import RayActorError, RayTaskError

from phitune.search.records.record import Record, Status, Trial
from phitune.search.stopping.retries import (
    GIVE_UP,
    HUNG_RETRIES,
    LOST_RETRIES,
    RETRIES,
    Failure,
    Luck,
    Retries,
    explain,
)
from phitune.trainables.trial.relay import PopulationLostError


def record(status: Status) -> Record:
    trial = Trial("c/explore-0000", "c", "explore", 0, "uba", {"family": "uba", "phi": 0.1}, 0.3, 0.2, 5)
    return Record(trial, status, 7, [], [], {}, 1.5, 0.25, reason="odd weather")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        # As Ray 2.60 says it.
        (
            "The actor died unexpectedly before finishing this task.\n\tclass_name: A\nThe actor is dead because its "
            "worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker exits unexpectedly. "
            "Worker exits with an exit code 4.",
            "its process died with exit code 4",
        ),
        (
            "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
            "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1)",
            "its process died without a word: killed (perhaps by the kernel, for memory), crashed or exited",
        ),
        (
            "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2) was",
            "its process died: Ray killed it, the node running low on memory",
        ),
        (
            "The actor died.\nThe actor is dead because its node has died.\nNode Id: 3ce0",
            "its process died: its node has died",
        ),
        ("", "its process died"),
    ],
)
def test_reasons_of_a_process_that_died(said: str, reason: str) -> None:
    assert explain(RayActorError(error_msg=said)) == Failure(reason, lost=reason.endswith("node has died"))


def test_that_a_trials_population_died_says_little_of_the_trial() -> None:
    def failed(error: Exception) -> Failure:
        return explain(RayTaskError("step", "Traceback", error))

    assert failed(PopulationLostError("the process that trains its population died")).lost
    assert not failed(OSError("Input/output error")).lost


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
