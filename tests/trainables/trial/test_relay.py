"""The process that trains a population, when a task is unknown and when its GPU is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio, json, sys
from phitune.trainables.errors import TaskGoneError
from phitune.trainables.trial.relay import PopulationHost

task = {
    "workload": "mlp/digits", "optimizer": "sgd", "budget": 4, "schedule": {"family": "linear"}, "base_lr": 0.1,
    "seed": 0, "objective": "val_loss", "rungs": [], "test": False, "diagnostics": {}, "threads": 1,
}

async def train():
    host = PopulationHost(None, 1)
    for call in (host.resume("t"), host.report("t", 1.0)):
        try:
            await call
        except TaskGoneError:
            print("gone")
    for workload in sys.argv[1:]:
        assert await host.submit("t", json.dumps(task | {"workload": workload}), 1)
        await host.resume("t")
        while (report := await host.report("t", 5.0)) is None:
            pass
        print(json.loads(report["account"])["status"], flush=True)

asyncio.run(train())
"""


def host_process(*workloads: str) -> subprocess.CompletedProcess[str]:
    """Runs a host that trains a task of each workload, one after another."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *workloads],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=Path(__file__).parents[3],
    )


def test_an_unknown_task_is_an_error_of_the_call_and_a_broken_gpu_ends_the_process() -> None:
    process = host_process("mlp/digits", "tests.trainables.training.test_task:Poisoned")
    assert process.stdout.split() == ["gone", "gone", "completed"], process.stderr
    assert process.returncode == 1
    assert "Traceback" not in process.stderr, "it exits without output: Ray tells its trials"


@pytest.mark.full
def test_a_host_that_has_trained_exits_without_an_error() -> None:
    process = host_process("mlp/digits")
    assert (process.returncode, process.stdout.split()) == (0, ["gone", "gone", "completed"]), process.stderr
