"""What is run, one process at a time, and the file that remembers it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from phitune.trainables.schedules import Schedule, from_dict
from phitune.trainables.schedules.refinement import refine
from phitune.trainables.spec import Spec
from phitune.trainables.training import Diagnostics, Training, TrialConfig
from phitune.trainables.training.gradient_norms import gradient_norms
from phitune.trainables.workloads import workload
from phitune.trainables.workloads.learning.torch_workload import TorchWorkload

Result = dict[str, Any]

# Of the figure's curves.
_POINTS = 24


@dataclass(frozen=True)
class Job:
    """One trial, and which of its results are needed.

    Attributes:
        kind: ``trial`` for its final losses, ``refine`` for the schedule refined from its gradients, ``curve`` for
            the norms of full gradient and weights along the way.
        schedule: As JSON, so that a job can be a key.
    """

    kind: Literal["trial", "refine", "curve"]
    workload: str
    optimizer: str
    horizon: int
    schedule: str
    base_lr: float
    seed: int


def described(schedule: Schedule) -> str:
    """A schedule as `Job` has it."""
    return json.dumps(schedule.to_dict(), sort_keys=True)


@lru_cache(maxsize=1024)
def rebuilt(text: str) -> Schedule:
    """The schedule that `described` described."""
    return from_dict(json.loads(text))


def single_thread() -> None:
    """Called first in every process."""
    torch.set_num_threads(1)


def run(job: Job) -> Result:
    """Runs a job; a diverged trial has infinite losses."""
    begun = time.perf_counter()
    problem = workload(Spec.parse(job.workload))
    assert isinstance(problem, TorchWorkload)
    config = TrialConfig(job.optimizer, job.horizon, rebuilt(job.schedule), job.base_lr, job.seed)
    result = {"trial": _trial, "refine": _refine, "curve": _curve}[job.kind](problem, config)
    return {**result, "seconds": time.perf_counter() - begun}


def _trial(problem: TorchWorkload, config: TrialConfig) -> Result:
    training = Training(problem, config, points=1)
    training.advance(config.horizon)
    if training.diverged:
        worst = -math.inf if problem.metric_mode == "max" else math.inf
        return {"val_loss": math.inf, "test_loss": math.inf, "test_metric": worst}
    return {"val_loss": training.curve[-1]["val_loss"], **training.evaluate("test")}


def _refine(problem: TorchWorkload, config: TrialConfig) -> Result:
    order: Literal[1, 2] = 2 if config.optimizer.startswith("sgd") else 1
    norms = gradient_norms(problem, config, order)
    return {"schedule": described(refine(norms, config.optimizer))}


def _curve(problem: TorchWorkload, config: TrialConfig) -> Result:
    diagnostics = Diagnostics(gradient_points=_POINTS + 1)
    training = Training(problem, config, points=_POINTS, diagnostics=diagnostics)
    training.advance(config.horizon)
    return {"curve": training.curve, "diagnosed": training.diagnosed}


class Store:
    """Results by job, one JSON line each; a line that a kill cut short is run again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.results: dict[Job, Result] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                self.results[Job(**entry["job"])] = entry["result"]
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, job: Job, result: Result) -> None:
        self.results[job] = result
        with self._path.open("a", encoding="utf-8") as file:
            # The newline comes first: what a kill cut short spoils no other line.
            file.write("\n" + json.dumps({"job": asdict(job), "result": result}))
