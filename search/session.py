"""One process's work on a study: it trains what has not ended and records what ends."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from phitune.search.cluster.connect import terminated
from phitune.search.cluster.lifeline import Lifeline, RayLostError
from phitune.search.cluster.populations import placed
from phitune.search.cluster.slots import Slots, room
from phitune.search.progress import Progress
from phitune.search.proposing.cell import CellProposer, proposers
from phitune.search.proposing.history import open_history
from phitune.search.proposing.warm_start import EarlierCell, cells_of
from phitune.search.records.journal import Journal, VerdictLog
from phitune.search.records.record import Record
from phitune.search.stopping.hopeless import hopeless
from phitune.search.stopping.ladder import Ladder, Stopping, rungs
from phitune.search.stopping.ladder_quality import ladder_quality, summary_lines
from phitune.search.stopping.predict import Prediction
from phitune.search.stopping.watchdog import Watchdog
from phitune.search.study.model import Study
from phitune.search.study.sections import Resources
from phitune.search.tracking import Tracker
from phitune.search.tune.callback import SearchCallback
from phitune.search.tune.scheduler import Scheduler
from phitune.search.tune.searcher import Proposer
from phitune.search.tune.tuner import train
from phitune.trainables.atomic import whole_file
from phitune.trainables.errors import InputError
from phitune.trainables.training.checkpoint import CheckpointFolder
from phitune.trainables.trial.relay import start_populations

_ALL = 10**6


class Session:
    """Runs the trials of a study that have not ended, on a Ray that is there.

    Everything is built from the study's directory, so that a new process goes on where the last one died.

    Args:
        out: The study's directory; this process holds its lock.
        journal: The trials that have ended.
        tracker: Open.
        earlier: Cells of an earlier study, whose trials are evidence.
        known: Keys of the study's cells, and of those that were left out of it. Trials of these stay in all records,
            and are evidence for cells of the same workload and optimizer.

    Raises:
        InputError: A record is of another study.
    """

    def __init__(
        self,
        study: Study,
        out: Path,
        journal: Journal,
        tracker: Tracker,
        console: Console,
        earlier: Iterable[EarlierCell],
        known: Container[str],
    ) -> None:
        self._study = study
        self._out = out
        self._journal = journal
        self._tracker = tracker
        self._console = console
        _require_known(journal, known)
        own = self._own_records()
        self._cells = _proposers(study, out, journal, earlier)
        self._ladders = {
            proposer.name: _stopping(study, proposer) for proposer in self._cells if rungs(proposer.cell, study)
        }
        self._verdicts = VerdictLog(out / "rungs.jsonl")
        for number in self._verdicts.damaged:
            self._print(f"{out / 'rungs.jsonl'}: line {number} is damaged and left out; its trial may be judged anew")
        # Optuna's log may have been lost while trials were in flight.
        remembered = {trial_id for proposer in self._cells for trial_id in proposer.known}
        verdicts = [verdict for verdict in self._verdicts.verdicts if verdict.cell in self._ladders]
        self._verdicts.forget({verdict.trial_id for verdict in verdicts} - remembered)
        for verdict in verdicts:
            if verdict.trial_id in remembered:
                self._ladders[verdict.cell].restore(verdict)
        for record in own:
            self._note_rungs(record)
        self._before = len(journal.records)
        tracker.ended(*(record.trial.trial_id for record in journal.records))
        self._checkpoints = CheckpointFolder(out / "checkpoints")
        self._watchdog = Watchdog(study, own)
        self._given_up: set[str] = set()
        self._ray_trouble = ""
        self._progress = Progress(console, self._cells, self._expected(), own)

    @property
    def finished(self) -> bool:
        """Whether every trial of the study has ended."""
        return all(cell.finished for cell in self._cells)

    @property
    def explored(self) -> bool:
        """Whether no cell will have another explore trial."""
        return all(cell.explored for cell in self._cells)

    @property
    def fresh(self) -> int:
        """Trials that ended in this session."""
        return len(self._journal.records) - self._before

    @property
    def trouble(self) -> str:
        """Why it cannot go on; empty if it can."""
        if self._ray_trouble or not self._given_up:
            return self._ray_trouble
        if all(cell.finished or cell.gave_up for cell in self._cells):
            return f"{len(self._given_up)} of {len(self._cells)} cells were stopped, as all their trials failed"
        return ""

    @property
    def hopeless(self) -> tuple[str, ...]:
        """A line for each finished cell in which all trials failed or diverged."""
        return tuple(line for cell in self._cells if cell.finished and (line := hopeless(cell.cell, cell.ended)))

    def run(self) -> None:
        """Trains until every cell is finished or the user interrupts."""
        try:
            cells = placed(self._study, [proposer.cell for proposer in self._cells], self._print)
        except KeyboardInterrupt:
            # Later, while Tune is at work, Tune handles it.
            return
        for proposer, cell in zip(self._cells, cells, strict=True):
            proposer.cell = cell
        # Trials of populations find it by its name for as long as it is held here.
        registry = start_populations() if any(cell.together for cell in cells) else None
        began = time.monotonic()
        searcher = Proposer(self._cells, self._study, self._end, self._checkpoints)
        slots = searcher.slots = Slots({cell.resources for cell in cells})
        self._checkpoints.prune(self._in_flight(), 2 * slots.now)
        scratch = self._out / "tune"
        # The surrogate's matrices are small: threads of the BLAS cost many times what they save.
        with self._progress, threadpool_limits(1, "blas"):
            self._tune_while_ray_lives(searcher, slots, scratch)
        # A trial may have ended while the storage was away, or have been saved once more by a process held for dead.
        self._checkpoints.prune(self._in_flight(), _ALL)
        shutil.rmtree(scratch, ignore_errors=True)
        del registry
        self._print_summary(time.monotonic() - began, slots.seconds)

    def _tune_while_ray_lives(self, searcher: Proposer, slots: Slots, scratch: Path) -> None:
        """Trains; if Ray dies, ends with that as the trouble."""
        lifeline = Lifeline(self._ray_lost)
        callback = SearchCallback(searcher, slots, lifeline, self._watchdog, self._tracker, self._show)
        scheduler = Scheduler(self._ladders, self._verdicts.append, searcher.note_failure, slots.warm)
        try:
            train(searcher, scheduler, callback, scratch)
        except RayLostError:
            self._ray_died()
        except Exception:
            if not lifeline.explains():
                raise
            self._ray_died()
        finally:
            lifeline.close()

    def _ray_died(self) -> None:
        if not terminated():
            self._ray_trouble = "Ray died"

    def _ray_lost(self, trouble: str) -> int:
        """Prints at once that Ray is lost, as the main thread may wait for Ray for ever; the exit code in that case."""
        interrupted = terminated()
        self._print(f"{'Interrupted' if interrupted else trouble}; nothing is lost, and the same command goes on.")
        return 130 if interrupted else 1

    def _end(self, record: Record) -> None:
        """Records an ended trial: on disk first, then everywhere it counts."""
        self._journal.append(record)
        self._note_rungs(record)
        self._checkpoints.discard(record.trial.trial_id)
        self._watchdog.ended(record)
        self._tracker.ended(record.trial.trial_id)
        self._progress.ended(record.light())

    def _note_rungs(self, record: Record) -> None:
        """Counts an ended explore trial at the rungs of its cell."""
        ladder = self._ladders.get(record.trial.cell)
        if ladder is None or record.trial.phase != "explore":
            return
        for rung, (_, value) in enumerate(record.rungs, start=1):
            ladder.note(record.trial.trial_id, record.trial.family, rung, value)
        if record.status == "diverged":
            ladder.note_diverged(record.trial.trial_id, record.trial.family)

    def _show(self, live: int, waiting: Counter[Resources]) -> None:
        """Shows the state after a step of Tune: ``live`` trials in flight, those of each kind that wait for a node."""
        for cell in self._cells:
            if cell.gave_up and cell.name not in self._given_up:
                self._given_up.add(cell.name)
                self._print(f"cell {cell.name}: {cell.gave_up}")
        if self._watchdog.nothing_started(live - waiting.total()):
            self._print(
                "no process of a trial has started after a minute; Ray's logs say what it waits for "
                "(session_latest/logs in Ray's folder, which is /tmp/ray if you chose no other)"
            )
        notes = [f"{count} trials wait for {room(kind)}" for kind, count in waiting.items()]
        if trouble := self._tracker.trouble:
            notes.append(f"{self._tracker.waiting} trials wait for {trouble}")
        self._progress.tick(live - waiting.total(), self._expected(), "; ".join(notes) or None)

    def _own_records(self) -> list[Record]:
        """The ended trials of the cells that the study has now."""
        cells = {cell.key for cell in self._study.cells}
        return [record for record in self._journal.records if record.trial.cell in cells]

    def _in_flight(self) -> Iterator[str]:
        return (trial_id for cell in self._cells for trial_id in cell.in_flight)

    def _expected(self) -> int:
        """Trials in all; where the finalists are not known yet, the baselines and another one are assumed."""
        return sum(
            proposer.expected + self._study.replicates * (len(self._study.baselines) + 1)
            if proposer.total is None
            else proposer.total
            for proposer in self._cells
        )

    def _print_summary(self, wall: float, room: float) -> None:
        """Prints the closing lines and writes ``ladder.json``.

        Args:
            wall: Seconds that the search took.
            room: Slots × seconds.
        """
        self._console.print(self._progress.summary())
        self._console.print(
            f"{self._progress.counts()}; {wall:.0f} s on {room / wall:.3g} slots, "
            f"slots busy {100 * self._progress.busy_seconds / room:.0f} %"
        )
        if saved := sum(proposer.saved for proposer in self._cells):
            self._print(f"{saved} of {self._study.most * len(self._cells)} explore trials saved: not worth their cost")
        qualities = ladder_quality(self._own_records())
        with whole_file(self._out / "ladder.json") as file:
            file.write_text(json.dumps([vars(quality) for quality in qualities], indent=1) + "\n", encoding="utf-8")
        # Prediction does not go by the rank at a rung.
        for line in [] if self._study.early_stopping == "predict" else summary_lines(qualities):
            self._print(line)
        for reason, count in self._progress.reasons.most_common(3):
            self._print(f"{count} failed: {reason}")

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _require_known(journal: Journal, known: Container[str]) -> None:
    for record in journal.records:
        if record.trial.cell not in known:
            raise InputError(
                f"{journal.path}: the trial {record.trial.trial_id!r} is of no cell of this study; remove its line, or "
                "let the study file have the cell"
            )


def _proposers(study: Study, out: Path, journal: Journal, earlier: Iterable[EarlierCell]) -> list[CellProposer]:
    """The study's cells as the records and Optuna's journal left them."""
    cells, groups = {cell.key for cell in study.cells}, {cell.group: cell for cell in study.cells}
    own = [record for record in journal.records if record.trial.cell in cells]
    left_out = cells_of((record for record in journal.records if record.trial.cell not in cells), groups)
    history = open_history(out / "optuna.log", journal.records)
    return proposers(study, history, own, [*earlier, *left_out])


def _stopping(study: Study, proposer: CellProposer) -> Stopping:
    """What judges the trials of a cell that has rungs."""
    cell = proposer.cell
    if study.early_stopping == "predict":
        return Prediction(proposer.group, cell, [rung / cell.budget for rung in rungs(cell, study)])
    return Ladder(len(rungs(cell, study)), cell.mode, study.ladder)
