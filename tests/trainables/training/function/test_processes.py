"""Several processes train one trial: the same numbers however often they start, one verdict, one end."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import phitune
from phitune.trainables.errors import ProcessLostError
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training.function import FunctionTraining, HandTrial
from phitune.trainables.training.function.link import Plan
from phitune.trainables.training.requests import serve
from phitune.trainables.training.task import may_pass
from phitune.trainables.workloads.function import function
from tests.trainables.training.function import loops
from tests.trainables.training.function.local_node import LocalNode, local_nodes

pytestmark = pytest.mark.full


def hand(how: str) -> HandTrial:
    return phitune.trial(f'{loops.__name__}:pair(how="{how}")', phi=2.0, base_lr=0.05, budget=20)


def test_a_process_that_dies_takes_the_others_along_and_the_rest_is_exact() -> None:
    whole = hand("").run()
    cut = hand("dies")
    with pytest.raises(ChildProcessError, match="process 1 of 2 died: exit code 3"):
        cut.run()
    rest = cut.resumed()
    assert rest.start == 13
    assert cut.curve + rest.run() == whole


def test_an_error_of_any_process_is_that_of_the_trial() -> None:
    with pytest.raises(ZeroDivisionError, match="nothing to share") as error:
        hand("raises").run()
    assert "loops.py" in "".join(error.value.__notes__)


def far(how: str, folder: Path) -> tuple[FunctionTraining, LocalNode]:
    """A trial on two nodes, and the other one."""
    nodes = local_nodes(2)
    plan = replace(hand("")._plan, directory=folder)
    (other,) = nodes.others
    assert isinstance(other, LocalNode)
    return FunctionTraining(function(Spec.parse(f'{loops.__name__}:apart(how="{how}")')), plan, nodes), other


def test_a_process_on_another_node_trains_the_same_and_its_death_is_told(tmp_path: Path) -> None:
    whole, _ = far("", tmp_path)
    serve(whole.requests(20), lambda request: None)
    assert whole.curve == hand("").run()
    cut, _ = far("dies", tmp_path)
    with pytest.raises(ChildProcessError, match="process 1 of 2 died: exit code 3"):
        serve(cut.requests(20), lambda request: None)


@pytest.mark.slow
def test_a_node_that_goes_silent_ends_the_trial_for_another_try(tmp_path: Path) -> None:
    training, other = far("sleeps", tmp_path)
    threading.Timer(0.5, lambda: setattr(other, "gone", True)).start()
    with pytest.raises(ProcessLostError, match="a node of the trial is gone") as error:
        serve(training.requests(20), lambda request: None)
    assert may_pass(error.value) and not other._starter.exit_codes().count(None)


@pytest.mark.parametrize("how", ["", "deaf"])
def test_all_hear_the_verdict_and_those_that_do_not_end_are_killed(how: str, tmp_path: Path) -> None:
    plan = Plan(
        budget=20,
        seed=0,
        device="cpu",
        schedule=schedule("linear"),
        base_lr=0.05,
        objective="val_loss",
        rungs=(5,),
        directory=tmp_path,
        patience=4.0,
    )
    training = FunctionTraining(function(Spec.parse(f'{loops.__name__}:pair(how="{how}")')), plan)
    serve(training.requests(5), lambda request: None)
    assert not list(tmp_path.iterdir())
    began = time.monotonic()
    assert training.close(60.0)
    assert time.monotonic() - began < 30.0
    assert {path.name for path in tmp_path.iterdir()} == {"0.stopped", "1.stopped"}
