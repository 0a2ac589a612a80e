"""One trial in a process of its own, timed together with others: `packed`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from subprocess import PIPE
from typing import Any

import torch

from phitune.trainables.population.bench.measure import bench_workload
from phitune.trainables.population.rates import clock, wait
from phitune.trainables.spec import Spec

_BLOCK = 0.1


def packed(count: int, label: str, synthetic: bool, optimizer: str, device: str, seconds: float) -> dict[str, Any]:
    """So many processes at once on a device, each with one trial, over one stretch of time (of `clock`).

    Returns:
        Their steps a second in all, and how much of the device's memory one takes, its CUDA context included.
    """
    request = json.dumps([label, synthetic, optimizer, device, seconds])
    command = [sys.executable, "-m", "benchmarks.population.single", request]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    free = _free(device)
    with ExitStack() as ended:
        processes = []
        for _ in range(count):
            process = subprocess.Popen(command, env=environment, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE)
            processes.append(ended.enter_context(process))
            ended.callback(process.kill)
        said = [_line(process) for process in processes]
        taken = free - _free(device)
        if all(said):
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            said = [_line(process) for process in processes]
            if all(said):
                memory = taken / count / 2**20 if device == "cuda" else None
                return {"processes": count, "steps_a_second": sum(map(float, said)), "mib_a_trial": memory}
        # Those that said nothing are ending.
        errors = [p.stderr.read() for p, line in zip(processes, said, strict=True) if p.stderr and not line]
    return {"processes": count, "failed": (" ".join(errors).strip() or "it ended").splitlines()[-1]}


def _line(process: subprocess.Popen[str]) -> str:
    """What a process says next; nothing if it ended."""
    assert process.stdout is not None
    return process.stdout.readline()


def _free(device: str) -> int:
    if device != "cuda":
        return 0
    # What this process no longer needs is the others'.
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0]


def _train(label: str, synthetic: bool, optimizer: str, device: str, seconds: float) -> None:
    """Prints a line when it is ready, waits for one, and prints its steps a second."""
    workload, spec = bench_workload(label, synthetic), Spec.parse(optimizer, "optimizers")
    learner, lr = workload.learner(spec, 0, workload.full_budget, device), workload.base_lr[spec.name][0]
    learner.step(lr)
    wait(device)
    began = clock(device)
    learner.step(lr)
    wait(device)
    # The host may run ahead of the device, but not out of the stretch of time.
    block = max(1, int(_BLOCK / (clock(device) - began)))
    print("ready", flush=True)
    sys.stdin.readline()
    began, steps = clock(device), 0
    while clock(device) - began < seconds:
        for _ in range(block):
            learner.step(lr)
        wait(device)
        steps += block
    print(steps / (clock(device) - began), flush=True)
    # Until it is ended, so that the others keep its company.
    sys.stdin.readline()


if __name__ == "__main__":
    _train(*json.loads(sys.argv[1]))
