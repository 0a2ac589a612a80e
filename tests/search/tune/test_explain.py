"""Ray's errors, each in one line."""

from __future__ import annotations

import pytest
from ray.exceptions import RayActorError, RayTaskError

from phitune.search.stopping.retries import Failure
from phitune.search.tune.explain import explain
from phitune.trainables.errors import ProcessLostError
from phitune.trainables.trial.relay import PopulationLostError


@pytest.mark.parametrize(
    ("message", "reason"),
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
def test_reasons_of_a_process_that_died(message: str, reason: str) -> None:
    assert explain(RayActorError(error_msg=message)) == Failure(reason, lost=reason.endswith("node has died"))


def test_that_a_trials_population_or_process_was_lost_says_little_of_the_trial() -> None:
    def failed(error: Exception) -> Failure:
        return explain(RayTaskError("step", "Traceback", error))

    assert failed(PopulationLostError("the process that trains its population died")).lost
    assert failed(ProcessLostError("the trial before it does not stop")).lost
    assert not failed(OSError("Input/output error")).lost
