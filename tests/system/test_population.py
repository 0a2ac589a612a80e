"""A search whose trials train together: the same trials with the same numbers, whatever dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Run
from tests.system.harness.searching import ended, kill, named, start, wait_for
from tests.system.harness.wholeness import check_whole

STUDY = """
name: s
workloads: [{name: mlp/digits, precision: fp64}, quadratic]
optimizers: [sgd]
budgets: [100, 200]
families: [uba, linear]
trials: 8
replicates: 2
space: {base_lr: [0.001, 0.1]}
population: 3
failures: {checkpoint_seconds: 0.2}
"""


@pytest.mark.full
def test_trials_of_a_population_are_what_they_are_alone_whatever_is_killed(
    tmp_path: Path, phitune_in_process: Run
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    process = start(tmp_path)
    for more, victim in ((3, "ray::PopulationHost"), (4, "ray::TrialActor")):
        number = ended(tmp_path) + more
        kill(wait_for(lambda: named(process, victim) if ended(tmp_path) >= number else [], process)[0])  # noqa: B023
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err
    assert "trials of mlp/digits(precision=fp64) with sgd train 3 at a time" in out
    assert "trials of quadratic with sgd train one at a time: Quadratic is not a TorchWorkload" in out
    check_whole(tmp_path, retrain_every=3, within=1e-7)
    assert "finished" in phitune_in_process("search", "study.yaml", cwd=tmp_path).stdout
