"""Trials that fail in every way, in a real search: the study goes on, and MLflow says what happened."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from phitune.search.stopping.retries import GIVE_UP, RETRIES
from tests.conftest import Run
from tests.system.harness.wholeness import check_runs

WORKLOAD = '''
"""A workload of which one trial fails in the way its parameter names, and the others train."""

import os
import signal
import time
from pathlib import Path

from phitune.trainables.workloads.exact import Quadratic, MomentsLearner

HERE = Path(__file__).parent


class Faulty(Quadratic):
    def __init__(self, how="raises"):
        super().__init__(dim=8)
        self.how = how

    def learner(self, optimizer, seed, horizon, device="cpu"):
        victim = HERE / f"{self.how}.victim"
        try:
            with victim.open("x") as file:
                file.write(str(seed))
        except FileExistsError:
            pass
        learner = Learner(self)
        if victim.read_text() == str(seed) or self.how == "always":
            with (HERE / f"{self.how}.tries").open("a") as file:
                file.write(".")
            learner.how = self.how
            learner.tries = (HERE / f"{self.how}.tries").stat().st_size
        return learner


class Learner(MomentsLearner):
    how = ""

    def step(self, lr, momentum=None):
        if self._steps == 40 and self.how:
            self.fail()
        return super().step(lr, momentum)

    def evaluate(self, split, averaged=False):
        evaluation = super().evaluate(split, averaged)
        return type(evaluation)(evaluation.loss, float("nan")) if self.how == "no_number" else evaluation

    def fail(self):
        if self.how == "raises" or self.how == "always" and not (HERE / "repaired").exists():
            raise ValueError("the weather is odd")
        if self.how == "dies" or self.how == "dies_once" and self.tries == 1:
            os._exit(3)
        if self.how == "exits":
            raise SystemExit(4)
        if self.how == "memory":
            bytearray(1 << 60)
        if self.how == "files" and self.tries == 1:
            raise OSError(5, "Input/output error")
        if self.how == "hangs":
            # First like a deadlock, then like a process that does not answer.
            time.sleep(10_000) if self.tries == 1 else os.kill(os.getpid(), signal.SIGSTOP)
'''

KINDS = ("raises", "dies", "dies_once", "exits", "memory", "files", "hangs", "no_number", "always")
STUDY = f"""
name: s
workloads: [{", ".join(f"{{name: 'faulty:Faulty', how: {how}}}" for how in KINDS)}]
budgets: [64]
families: [linear]
objective: val_metric
early_stopping: none
trials: 7
replicates: 1
failures: {{checkpoint_seconds: 0.001, hung_seconds: 8}}
"""


@pytest.mark.full
def test_the_study_goes_on_and_says_why_each_trial_failed(tmp_path: Path, phitune: Run) -> None:
    (tmp_path / "faulty.py").write_text(WORKLOAD, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    first = phitune("search", "study.yaml", cwd=tmp_path)
    assert first.returncode == 1, first.stdout + first.stderr
    always = "faulty:Faulty(how=always) sgd 64"
    lines = [line for line in first.stdout.splitlines() if line.startswith(f"cell {always}: ")]
    [line] = lines
    assert line.startswith(f"cell {always}: stopped after {GIVE_UP} trials, all failed: ValueError: the weather is odd")
    assert re.search(r"odd \(faulty\.py:\d+\)$", line)
    assert "To go on: phitune search study.yaml" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr

    (tmp_path / "repaired").touch()
    second = phitune("search", "study.yaml", cwd=tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr

    records = Journal(tmp_path / "runs/s/trials.jsonl").records
    ended = {(record.trial.trial_id): record for record in records}
    assert len(ended) == len(records)
    failed: dict[str, list[str]] = {how: [] for how in KINDS}
    for record in records:
        how = record.trial.cell.partition("how=")[2].partition(")")[0]
        if record.status in ("failed", "diverged") and record.trial.phase == "explore":
            failed[how].append(f"{record.status} {record.reason}")
    assert {how: len(reasons) for how, reasons in failed.items()} == {
        **dict.fromkeys(KINDS, 1),
        "dies_once": 0,
        "files": 0,
        "always": GIVE_UP,
    }
    assert re.fullmatch(r"failed ValueError: the weather is odd \(faulty\.py:\d+\)", *failed["raises"])
    assert failed["dies"][0].startswith("failed its process died without a word")
    assert failed["exits"] == ["failed its process died with exit code 4"]
    assert failed["memory"][0].startswith("failed MemoryError")
    assert failed["hangs"][0].startswith("failed hung: ended after ")
    assert failed["no_number"] == ["diverged val_metric is nan"]
    tries = {how: (tmp_path / f"{how}.tries").stat().st_size for how in ("raises", "dies", "exits", "memory", "hangs")}
    assert tries == {"raises": 1, "dies": RETRIES + 1, "exits": RETRIES + 1, "memory": RETRIES + 1, "hangs": 2}

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/runs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=1000)
    check_runs(runs, ended.values())
    for run in runs:
        if run.data.tags["phitune.kind"] == "trial":
            record = ended[run.data.tags["phitune.trial_id"]]
            assert run.data.tags.get("phitune.reason", "") == record.reason
            assert ("weather" in run.data.tags.get("phitune.traceback", "")) == ("weather" in record.reason)
    assert not list((tmp_path / "runs/s/checkpoints").iterdir())


GREEDY = """
import time
from phitune.trainables.workloads.exact import Quadratic


class Greedy(Quadratic):
    def learner(self, optimizer, seed, horizon, device="cpu"):
        held = [b"x" * (1 << 28) for _ in range(12)]
        time.sleep(10)
        return super().learner(optimizer, seed, horizon, device)
"""


@pytest.mark.slow
def test_a_process_that_ray_kills_for_memory_is_a_trial_that_failed(tmp_path: Path, phitune: Run) -> None:
    """Ray's own monitor, set to act at two GiB more than is in use now."""
    (tmp_path / "greedy.py").write_text(GREEDY, encoding="utf-8")
    keys = ("name: s", "workloads: ['greedy:Greedy']", "budgets: [64]", "families: [linear]", "baselines: []")
    (tmp_path / "study.yaml").write_text("\n".join([*keys, "trials: 1", "replicates: 0"]), encoding="utf-8")
    memory = psutil.virtual_memory()
    share = (memory.total - memory.available + 2 * 2**30) / memory.total
    limits = {"RAY_memory_usage_threshold": str(share), "RAY_memory_monitor_refresh_ms": "250"}
    search = phitune("search", "study.yaml", cwd=tmp_path, **limits)
    assert search.returncode == 0, search.stdout + search.stderr
    records = Journal(tmp_path / "runs/s/trials.jsonl").records
    reason = "its process died: Ray killed it, the node running low on memory"
    assert [(record.status, record.reason) for record in records] == [("failed", reason)]
