"""`phitune search --range-test`: where the lowest loss is known, it is found; the same line says it again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from phitune.search.records.journal import Journal
from phitune.search.study.range_test import ITERATIONS, searched
from phitune.trainables.spec import Spec
from phitune.trainables.workloads import workload
from tests.conftest import Run

STUDY = """
name: s
workloads: ["quadratic(kappa=10)"]
budgets: [500]
"""


def lowest() -> float:
    """The constant LR with the lowest loss, on a grid finer than one can see."""
    lrs = np.geomspace(0.01, 2.0, 600)
    losses = []
    for lr in lrs:
        learner = workload(Spec.parse("quadratic(kappa=10)")).learner(Spec("sgd"), 0, ITERATIONS)
        for _ in range(ITERATIONS):
            learner.step(float(lr))
        losses.append(learner.evaluate("val").loss)
    return float(lrs[int(np.argmin(losses))])


@pytest.mark.full
def test_the_lowest_loss_is_found_and_told_again(
    tmp_path: Path, phitune_on_one_ray: Run, phitune_in_process: Run
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    line = ("search", "study.yaml", "--range-test")
    found = phitune_on_one_ray(*line, cwd=tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    told = re.search(r"LR is (\S+) \(90 %: (\S+) to (\S+)\)\n  base_lr: \[(\S+), (\S+)\]", found.stdout)
    assert told is not None, found.stdout
    lr, low, high, *ends = map(float, told.groups())
    assert low <= lr <= high and 1 / 1.3 < lr / lowest() < 1.3
    assert tuple(ends) == pytest.approx(searched(lr), rel=0.02)
    assert f"phitune search study.yaml --set 'space.base_lr=[{ends[0]:g},{ends[1]:g}]'" in found.stdout
    trials = [record.trial for record in Journal(tmp_path / "runs/s-range-test/trials.jsonl").records]
    assert len(trials) == 12 and not (tmp_path / "runs/s").exists()

    again = phitune_in_process(*line, cwd=tmp_path)
    assert again.returncode == 0 and "finished already" in again.stdout and told[0] in again.stdout
