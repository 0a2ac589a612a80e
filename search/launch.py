"""Puts a study on Ray: one Tuner for all its cells; explore, then replicate; resume."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from rich.console import Console

from phitune.search.cluster.connect import connect, quiet, terminated
from phitune.search.cluster.lifeline import Lifeline, RayLostError
from phitune.search.cluster.populations import placed
from phitune.search.cluster.slots import Slots, words
from phitune.search.cluster.storage import require_storage
from phitune.search.progress import Progress
from phitune.search.proposing.cell import CellProposer, link_neighbours
from phitune.search.proposing.warm_start import EarlierCell, earlier_cells
from phitune.search.ray_internals.thrift import Silence
from phitune.search.records.directory import claim, describe, owned, replace
from phitune.search.records.record import Journal, Record, VerdictLog, cut_torn_line
from phitune.search.stopping.ladder import Ladder, rungs
from phitune.search.stopping.ladder_quality import as_json, ladder_quality, told
from phitune.search.stopping.retries import Failure, FailureAsha, survive_memory_kills
from phitune.search.stopping.watchdog import Watchdog
from phitune.search.study.model import Study
from phitune.search.tracking import Tracker, facts_of
from phitune.search.tune.searcher import Proposer
from phitune.trainables.training.checkpoint import CheckpointFolder
from phitune.trainables.trial.actor import TrialActor
from phitune.trainables.trial.relay import start_populations

_PATIENCE = 30.0
_ALL = 10**6


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Attributes:
        finished: Whether every trial of the study has ended.
        fresh: Trials that ended in this process.
        unwritten: Ended trials that MLflow does not have yet.
        trouble: Why it ended before it was finished, if nobody interrupted it.
    """

    finished: bool
    fresh: int
    unwritten: int
    trouble: str = ""


def launch(
    study: Study, out: Path, tracking_uri: str, address: str | None, console: Console, verbose: bool = False
) -> Outcome:
    """Runs a study to its end, or on from where an earlier process left it.

    Args:
        out: The study's output directory; created.
        tracking_uri: MLflow's.
        address: A running Ray cluster; None starts Ray on this machine alone.
        verbose: Whether Ray's and MLflow's own messages are shown.

    Raises:
        InputError: The directory belongs to another study or cannot be written, here or on the cluster's nodes, the
            cluster cannot be reached or cannot hold a trial, the tracking store does not answer.
    """
    quiet(verbose)
    with owned(out):
        study_id, changes = claim(study, out)
        earlier = earlier_cells(study.warm_start, out, study.cells())
        for change in changes:
            console.print(f"study changed: {change}", soft_wrap=True)
        tracker = Tracker(verbose)
        try:
            fresh = study_id is None
            if fresh:
                _join(study, out, address, console, verbose)
            journal = Journal(out / "trials.jsonl")
            study_id = study_id or uuid.uuid4().hex
            describe(out, study, study_id, tracking_uri, {"parent_run_id": None})
            opened = tracker.open(tracking_uri, facts_of(study, study_id, str(out)), out)
            describe(out, study, study_id, tracking_uri, opened)
            search = _Search(study, out, journal, tracker, console, earlier)
            try:
                if not search.finished:
                    if not fresh:
                        _join(study, out, address, console, verbose)
                    search.run()
            finally:
                outcome = search.close()
        finally:
            tracker.abandon()
        return outcome


def _join(study: Study, out: Path, address: str | None, console: Console, verbose: bool) -> None:
    connect(study, address, verbose)
    warning = require_storage(study, out / "checkpoints") if address else ""
    if warning:
        console.print(warning, soft_wrap=True)


class _Search(tune.Callback):  # type: ignore[misc]
    """One process's work on a study; Tune's callback, so that it sees trials start."""

    def __init__(
        self,
        study: Study,
        out: Path,
        journal: Journal,
        tracker: Tracker,
        console: Console,
        earlier: Mapping[str, EarlierCell],
    ) -> None:
        self._study = study
        self._out = out
        self._journal = journal
        self._tracker = tracker
        self._console = console
        cells = study.cells()
        by_cell: dict[str, list[Record]] = {cell.key: [] for cell in cells}
        for record in journal.records:
            by_cell[record.trial.cell].append(record)
        # The study's own lock is held, so whoever left Optuna's is dead; Optuna would wait for it.
        (out / "optuna.log.lock").unlink(missing_ok=True)
        cut_torn_line(out / "optuna.log")
        storage = JournalStorage(JournalFileBackend(str((out / "optuna.log").resolve())))
        self._cells = [CellProposer(study, cell, storage, by_cell[cell.key]) for cell in cells]
        for proposer in self._cells:
            proposer.sources += tuple(filter(None, [earlier.get(proposer.cell.key)]))
        link_neighbours(self._cells)
        self._ladders = {
            cell.key: Ladder(len(rungs(cell, study)), cell.mode, study.ladder) for cell in cells if rungs(cell, study)
        }
        self._verdicts = VerdictLog(out / "rungs.jsonl")
        for verdict in self._verdicts.verdicts:
            self._ladders[verdict.cell].restore(verdict)
        for record in journal.records:
            self._climb(record)
        self._before = len(journal.records)
        tracker.ended(*(record.trial.trial_id for record in journal.records))
        self._checkpoints = CheckpointFolder(out / "checkpoints")
        self._watchdog = Watchdog(study, journal.records)
        self._given_up: set[str] = set()
        self._trouble = ""
        self._progress = Progress(console, cells, self._expected(), journal.records)

    @property
    def finished(self) -> bool:
        return all(cell.finished for cell in self._cells)

    def run(self) -> None:
        """Trains until every cell is finished or the user interrupts."""
        try:
            where = placed(self._study, [cell.cell for cell in self._cells], self._tell)
        except KeyboardInterrupt:
            # While Tune is at work, it takes care of that.
            return
        for proposer, cell in zip(self._cells, where, strict=True):
            proposer.cell = cell
        # Trials of populations find it by its name for as long as it is held here.
        registry = start_populations() if any(cell.together for cell in where) else None
        self._searcher = Proposer(self._cells, self._study, self._end, self._checkpoints)
        began = time.monotonic()
        self._slots = self._searcher.slots = Slots({cell.resources for cell in where})
        # As many as the proposer gives: all processes start at once, not one after the other.
        os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(_ALL))
        self._checkpoints.prune(self._in_flight(), 2 * self._slots.now)
        scratch = self._out / "tune"
        with self._progress:
            self._tune_while_ray_lives(scratch)
        # A trial may have ended while the storage was away, or have been saved once more by a process held for dead.
        self._checkpoints.prune(self._in_flight(), _ALL)
        shutil.rmtree(scratch, ignore_errors=True)
        del registry
        self._report_busy(time.monotonic() - began)

    def close(self) -> Outcome:
        """Waits for MLflow to have everything."""
        unwritten = self._tracker.close("FINISHED" if self.finished else "KILLED", _PATIENCE)
        if self._given_up and not self._trouble and all(cell.finished or cell.gave_up for cell in self._cells):
            self._trouble = (
                f"{len(self._given_up)} of {len(self._cells)} cells were stopped, as all their trials failed"
            )
        return Outcome(self.finished, len(self._journal.records) - self._before, unwritten, self._trouble)

    def _tune_while_ray_lives(self, scratch: Path) -> None:
        """Trains; if Ray dies, ends with that as the trouble."""
        self._lifeline = Lifeline(self._ray_lost)
        try:
            self._tune(scratch)
        except RayLostError:
            self._ray_died()
        except Exception:
            if not self._lifeline.explains():
                raise
            self._ray_died()
        finally:
            self._lifeline.close()

    def _ray_died(self) -> None:
        if not terminated():
            self._trouble = "Ray died"

    def _ray_lost(self, trouble: str) -> int:
        """Told at once: the main thread may be waiting for Ray for ever. Gives the exit code in that case."""
        interrupted = terminated()
        self._tell(f"{'Interrupted' if interrupted else trouble}; nothing is lost, and the same command goes on.")
        return 130 if interrupted else 1

    def _tell(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    def _tune(self, scratch: Path) -> None:
        """One `tune.Tuner` over all cells; what Tune writes to ``scratch`` nobody reads."""
        survive_memory_kills()
        scheduler = FailureAsha(self._ladders, self._verdicts.append, self._slots.warm)
        scheduler.on_failure = self._searcher.note_failure
        tuner = tune.Tuner(
            tune.with_resources(TrialActor, lambda config: tune.PlacementGroupFactory([json.loads(config["bundle"])])),
            tune_config=tune.TuneConfig(
                search_alg=self._searcher,
                scheduler=scheduler,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=uuid.uuid4().hex,
                storage_path=str(scratch.resolve()),
                callbacks=[self, Silence()],
                # Trials report what matters; Tune would otherwise save each one's model at its end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        tuner.fit()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing for Tune to pickle; a new process builds everything from what is on disk."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        live = self._searcher.live.get(trial.trial_id)
        if live is not None:
            self._watchdog.started(trial.trial_id)
            self._tracker.started(live.trial, time.time())

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        self._lifeline.check()
        self._slots.look()
        self._end_hung(trials)
        self._tell_given_up()
        waiting = self._slots.waiting()
        notes = [f"{count} trials wait for a node with {words(kind)}" for kind, count in waiting.items()]
        if trouble := self._tracker.trouble:
            notes.append(f"{self._tracker.waiting} trials wait for {trouble}")
        running = len(self._searcher.live) - waiting.total()
        self._progress.tick(running, self._expected(), "; ".join(notes) or None)

    def _end(self, record: Record) -> None:
        """The only way an ended trial takes: disk first, then everyone who counts it."""
        self._journal.append(record)
        self._climb(record)
        self._checkpoints.discard(record.trial.trial_id)
        self._watchdog.ended(record)
        self._tracker.ended(record.trial.trial_id)
        self._progress.ended(record.light())

    def _end_hung(self, trials: list[TuneTrial]) -> None:
        """Kills the processes of trials that hang; Tune then hears that they have died."""
        overdue = self._watchdog.overdue(self._searcher.live)
        for trial in trials if overdue else []:
            actor = trial.temporary_state.ray_actor
            if trial.trial_id in overdue and actor is not None:
                self._searcher.note_failure(trial.trial_id, Failure(overdue[trial.trial_id], hung=True))
                ray.kill(actor)

    def _tell_given_up(self) -> None:
        for cell in self._cells:
            if cell.gave_up and cell.name not in self._given_up:
                self._given_up.add(cell.name)
                self._tell(f"cell {cell.name}: {cell.gave_up}")

    def _climb(self, record: Record) -> None:
        ladder = self._ladders.get(record.trial.cell)
        if ladder is None or record.trial.phase != "explore":
            return
        for rung, (_, value) in enumerate(record.rungs, start=1):
            ladder.note(record.trial.trial_id, record.trial.family, rung, value)
        if record.status == "diverged":
            ladder.note_diverged(record.trial.trial_id, record.trial.family)

    def _in_flight(self) -> Iterator[str]:
        return (trial_id for cell in self._cells for trial_id in cell.in_flight)

    def _expected(self) -> int:
        """Trials in all; where the finalists are not known yet, one a family is reckoned with."""
        return sum(
            self._study.trials + self._study.replicates * (len(proposer.cell.families) + 1)
            if proposer.total is None
            else proposer.total
            for proposer in self._cells
        )

    def _report_busy(self, wall: float) -> None:
        room = self._slots.seconds
        self._console.print(self._progress.summary())
        self._console.print(
            f"{self._progress.counts()}; {wall:.0f} s on {room / wall:.3g} slots, "
            f"slots busy {100 * self._progress.busy_seconds / room:.0f} %"
        )
        qualities = ladder_quality([cell.cell for cell in self._cells], self._journal.records)
        replace(self._out / "ladder.json", json.dumps(as_json(qualities), indent=1) + "\n")
        for line in told(qualities):
            self._console.print(line, soft_wrap=True)
        for reason, count in self._progress.reasons.most_common(3):
            self._console.print(f"{count} failed: {reason}", soft_wrap=True)
