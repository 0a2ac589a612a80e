"""The process that trains a population: what it does about a task that is not there, and a GPU that has gone wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, json, sys
from phitune.trainables.errors import TaskGoneError
from phitune.trainables.trial.relay import PopulationHost

task = {
    "workload": sys.argv[1], "optimizer": "sgd", "budget": 4, "schedule": {"family": "linear"}, "base_lr": 0.1,
    "seed": 0, "objective": "val_loss", "rungs": [], "test": False, "diagnostics": {}, "threads": 1,
}

async def train():
    host = PopulationHost(None, 1)
    for call in (host.resume("t"), host.report("t", 1.0)):
        try:
            await call
        except TaskGoneError:
            print("gone")
    assert await host.submit("t", json.dumps(task), 1)
    await host.resume("t")
    while (report := await host.report("t", 5.0)) is None:
        pass
    print(json.loads(report["account"])["status"])

asyncio.run(train())
"""


def trained(workload: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, workload],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=Path(__file__).parents[3],
    )


def test_a_task_that_is_not_there_is_told_apart_from_errors_in_one_that_is() -> None:
    process = trained("mlp/digits")
    assert (process.returncode, process.stdout.split()) == (0, ["gone", "gone", "completed"]), process.stderr


def test_it_ends_when_its_gpu_has_gone_wrong() -> None:
    process = trained("tests.trainables.training.test_task:Poisoned")
    assert process.returncode == 1
    assert "Traceback" not in process.stderr, "it ends by itself, without a word: Ray tells its trials"
