"""Which trial comes next: all cells behind one Tune Searcher."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ray.tune.search import Searcher

from phitune.search.cluster.slots import Slots, bundle
from phitune.search.proposing.cell import CellProposer
from phitune.search.records.record import Record, Trial
from phitune.search.stopping.ladder import rungs
from phitune.search.stopping.retries import Failure, Retries
from phitune.search.study.cell import Cell
from phitune.search.study.model import Study
from phitune.trainables.training.checkpoint import CheckpointFolder
from phitune.trainables.trial_files import files_of

# Share of a cell's trials by which a workload may be ahead of the others, so that its trials follow one another.
HEAD_START = 0.1


@dataclass(frozen=True)
class Live:
    """A trial in flight and its last report."""

    trial: Trial
    cell: Cell
    report: dict[str, Any] = field(default_factory=dict)


class Proposer(Searcher):  # type: ignore[misc]
    """Routes Tune's calls to the cells and hands every ended trial to ``on_end``.

    The next trial goes to the cell that has the smallest share of its trials proposed, the largest budget
    first, so that all cells move on together and long trials do not come last. The workload of the process that has
    just become free, whose data it holds, may be ahead of the others by `HEAD_START`. With ``trials: auto`` it goes
    first to the cell where the last proposal was worth most.

    Args:
        checkpoints: Where trials in flight are kept.

    Attributes:
        live: The trials in flight, by Tune's id.
        slots: Room for trials, if that is known. Tune asks for one trial more than it can place, for which Ray would
            make ready a placement group and a process.
    """

    def __init__(
        self,
        cells: Iterable[CellProposer],
        study: Study,
        on_end: Callable[[Record], None],
        checkpoints: CheckpointFolder,
    ) -> None:
        super().__init__(metric="judged", mode="min")
        self._checkpoints = checkpoints
        self._cells = sorted(cells, key=lambda proposer: -proposer.cell.budget)
        self._kinds = {proposer.cell.resources for proposer in self._cells}
        self._by_key = {proposer.cell.key: proposer for proposer in self._cells}
        self._study = study
        self._on_end = on_end
        self._retries = Retries()
        self._failures: dict[str, Failure] = {}
        self.live: dict[str, Live] = {}
        self.slots: Slots | None = None
        self._freed: str | None = None

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        room = {kind for kind in self._kinds if self.slots is None or self.slots.may_start(kind)}
        for proposer in sorted(self._cells, key=self._turn) if room else ():
            cell = proposer.cell
            trial = proposer.propose() if cell.resources in room else None
            if trial is not None:
                self.live[trial_id] = Live(trial, cell)
                if self.slots is not None:
                    self.slots.take(cell.resources)
                return self._config(trial, cell)
        if self.slots is not None and len(room) < len(self._kinds):
            # Those that have room have nothing to propose now; where nothing is in flight, processes that are thought
            # to be kept may have died with their node.
            self.slots.release(room if self.live else self._kinds)
        return None if self.live or len(room) < len(self._kinds) else Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        live = self.live[trial_id]
        self.live[trial_id] = Live(live.trial, live.cell, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        live = self.live.pop(trial_id, None)
        failure = self._failures.pop(trial_id, Failure())
        if live is None:
            return
        self._freed = live.cell.workload.label
        if self.slots is not None:
            self.slots.free(live.cell.resources)
        # Retries are not left to Tune, which gives up a trial whose process dies while it is being reset.
        if error and self._retries.allow(live.trial.trial_id, failure):
            if self._retries.last(live.trial.trial_id):
                self._checkpoints.discard(live.trial.trial_id)
            self._by_key[live.cell.key].retry(live.trial)
            return
        record = _record(live, result or live.report, failure if error else None)
        self._on_end(record)
        self._by_key[live.cell.key].end(record.light())

    def note_failure(self, trial_id: str, failure: Failure) -> None:
        """Takes in, by Tune's id, why a trial that is about to end with an error does so; the first reason counts."""
        if trial_id in self.live:
            self._failures.setdefault(trial_id, failure)

    def _turn(self, proposer: CellProposer) -> tuple[float, float]:
        first, then = proposer.turn(self._study.auto)
        return first, then - (HEAD_START if proposer.cell.workload.label == self._freed else 0.0)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing for Tune to pickle: the records and Optuna's storage are the state, and they are on disk."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as `__getstate__`."""

    def _config(self, trial: Trial, cell: Cell) -> dict[str, Any]:
        replicate = trial.phase == "replicate"
        task: dict[str, Any] = {
            "workload": cell.workload.entry,
            "optimizer": cell.optimizer.label,
            "budget": cell.budget,
            "schedule": trial.schedule,
            "base_lr": trial.base_lr,
            "seed": trial.seed,
            "objective": cell.objective,
            "rungs": () if replicate else rungs(cell, self._study),
            "test": replicate,
            "diagnostics": self._study.diagnostics.of(replicate),
            "threads": cell.resources.cpu,
            "checkpoint": {
                "path": str(self._checkpoints.file_of(trial.trial_id)),
                "seconds": self._study.failures.checkpoint_seconds,
            },
        }
        if cell.is_function:
            task["directory"] = str(files_of(self._checkpoints.out, trial.trial_id))
            # Less than the watchdog's: the trial that waits for the end of this one is not to count as hung.
            task["patience"] = self._study.failures.hung_seconds / 2
        config = {
            "trial_id": trial.trial_id,
            "cell": cell.key,
            "family": trial.family,
            "task": json.dumps(task),
            "bundle": json.dumps(bundle(cell.resources)),
            "nodes": cell.resources.nodes,
        }
        if cell.together is not None:
            whole = cell.together.resources
            config["population"] = json.dumps({"rows": cell.together.rows, "cpu": whole.cpu, "gpu": whole.gpu})
        return config


def _record(live: Live, result: dict[str, Any], failure: Failure | None) -> Record:
    """The record of an ended trial, from its last report."""
    account = json.loads(result["account"]) if "account" in result else {}
    status = account.get("status", "failed")
    if status == "running":
        status = "stopped"
    return Record(
        trial=live.trial,
        status="failed" if failure else status,
        steps=account.get("steps", 0),
        rungs=account.get("rungs", []),
        curve=account.get("curve", []),
        diagnosed=account.get("diagnosed", []),
        final=account.get("final", {}),
        started=account.get("started", 0.0),
        seconds=account.get("seconds", 0.0),
        reason=failure.reason if failure else account.get("reason", ""),
        traceback=failure.traceback if failure else account.get("traceback", ""),
    )
