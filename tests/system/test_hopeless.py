"""Studies in which no trial can do well: one line a cell says the likely reason, and the exit code is 1."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run

WORKLOAD = '''
import torch

from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.supervised import Data


class Spoiled(MlpDigits):
    """The MLP on digits whose data or LRs are no use."""

    def __init__(self, how: str) -> None:
        self.how = how
        if how == "hot":
            self.base_lr = {"sgd": (1e6, 1e7)}

    def data(self):
        splits = super().data()
        if self.how == "numbers":
            splits["train"] = Data(torch.full_like(splits["train"].inputs, torch.nan), splits["train"].targets)
        if self.how in splits:
            splits[self.how] = Data(splits[self.how].inputs[:0], splits[self.how].targets[:0])
        return splits
'''
STUDY = """
name: s
workloads:
- {name: "spoiled:Spoiled", how: numbers}
- {name: "spoiled:Spoiled", how: train}
- {name: "spoiled:Spoiled", how: val}
- {name: "spoiled:Spoiled", how: hot}
budgets: [64]
families: [linear]
trials: 3
replicates: 1
early_stopping: none
"""


@pytest.mark.full
def test_the_likely_reason_is_said_and_said_again_and_there_is_nothing_to_analyse(
    tmp_path: Path, phitune: Run, phitune_in_process: Run
) -> None:
    (tmp_path / "spoiled.py").write_text(WORKLOAD, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    for run in (phitune, phitune_in_process):
        result = run("search", "study.yaml", cwd=tmp_path)
        assert result.returncode == 1, result.stdout + result.stderr
        lines = {
            line.partition("how=")[2].partition(")")[0]: line.partition(": ")[2]
            for line in result.stdout.splitlines()
            if line.startswith("cell spoiled:Spoiled(")
        }
        data = "NaN or infinite numbers in the data"
        assert lines["numbers"] == f"all 3 trials diverged: the training loss is nan at iteration 1; likely {data}"
        assert lines["train"] == "all 3 trials failed: ValueError: the train split has no examples"
        assert lines["val"] == "all 3 trials failed: ValueError: the val split has no examples"
        assert lines["hot"].startswith("all 3 trials diverged: the training loss ")
        assert "likely too high a base LR (space.base_lr is 1e+06 to 1e+07)" in lines["hot"]
        assert "No trial came to its end." in result.stdout and "Next: " not in result.stdout
    analysis = phitune_in_process("analyze", "s", cwd=tmp_path)
    assert analysis.returncode == 2
    assert len(analysis.stderr.strip().splitlines()) == 1
    assert "has no completed trial (6 diverged, 6 failed)" in analysis.stderr
    assert not (tmp_path / "runs/s/report").exists()
