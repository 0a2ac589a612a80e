"""The process that writes to MLflow: follows the study's journal and retries until the store accepts it.

It talks with the search over its standard streams, one line of JSON a message.

    in:  {"open": {"uri", "facts", "out", "former"}}   once; the process imports MLflow before it reads this
         {"started": trial, "since": time}   a trial has started
         {"close": status}                   the journal is complete; write the rest and end
    out: {"opened": run_id, "experiment_id": id} or {"refused": why}
         {"done": records in MLflow, "misplaced": runs to be moved below their cell's, "trouble": reason or null}
         {"closed": true}                    the last message

When its input ends, the search is dead: it ends at once, and the next start of the search completes what it left.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from phitune.search.records.journal import Follower
from phitune.search.records.record import Record, Trial
from phitune.search.tracking.facts import StudyFacts
from phitune.search.tracking.store import Refused, Store, brief
from phitune.trainables.uri import without_credentials

_LOOK_EVERY = 0.25
_REPORT_EVERY = 0.5
_SUMMARISE_EVERY = 5.0
# So many take seconds; a search that closes waits as long as there is progress.
_ADOPT_AT_ONCE = 200
_LONG_TRIAL = 5.0
_LONGEST_PAUSE = 10.0
_NICE = 19


class Writer:
    """Writes the records of the journal that the store lacks."""

    def __init__(self, store: Store, shown_uri: str, journal: Path, say: Callable[[dict[str, Any]], None]) -> None:
        self._store = store
        self._shown_uri = shown_uri
        self._follower = Follower(journal)
        self._say = say
        self._records: dict[str, Record] = {}
        self._waiting: dict[str, Record] = {}
        self._by_cell: dict[str, list[Record]] = {}
        self._changed: set[str] = set()
        self._summarised_at = 0.0
        self._wake = threading.Condition()
        self._started: dict[str, tuple[Trial, float]] = {}
        self._close: str | None = None
        self._trouble: str | None = None
        self._reported: tuple[int, int, str | None] = (-1, 0, None)
        self._reported_at = 0.0

    def hear(self, message: dict[str, Any]) -> None:
        """Handles a message; may be called from any thread."""
        with self._wake:
            if "started" in message:
                trial = Trial(**message["started"])
                self._started[trial.trial_id] = (trial, message["since"])
            elif "close" in message:
                self._close = message["close"]
                self._wake.notify()

    def run(self) -> None:
        """Writes until the journal is complete and the study's run has ended."""
        pause = _LOOK_EVERY
        while True:
            with self._wake:
                closing = self._close
            self._read_on()
            if self._try(lambda now=closing is not None: self._write(now)):  # type: ignore[misc]
                if closing is not None and self._try(lambda status=closing: self._end(status)):  # type: ignore[misc]
                    self._report(now=True)
                    return
                pause = _LOOK_EVERY
            self._report(now=True)
            with self._wake:
                if self._trouble is not None or self._close is None:
                    self._wake.wait(timeout=pause)
            if self._trouble is not None:
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _read_on(self) -> None:
        for record in self._follower.read():
            trial_id = record.trial.trial_id
            if trial_id not in self._records:
                self._by_cell.setdefault(record.trial.cell, []).append(record.light())
                self._changed.add(record.trial.cell)
            self._records[trial_id] = record
            if not self._store.has(trial_id):
                self._waiting[trial_id] = record

    def _write(self, closing: bool) -> None:
        """Writes all it can; what fails does not hold up the rest. Raises the last failure."""
        failure: Exception | None = None
        for trial, since in self._long_running():
            self._store.start(trial, since)
            with self._wake:
                self._started.pop(trial.trial_id, None)
        for trial_id, record in list(self._waiting.items()):
            try:
                self._store.write(record)
            except Exception as error:
                failure = error
                self._trouble = self._reason(error)
            else:
                del self._waiting[trial_id]
                with self._wake:
                    self._started.pop(trial_id, None)
            self._report()
        if failure is not None:
            raise failure
        while self._store.misplaced:
            self._store.adopt(_ADOPT_AT_ONCE)
            self._report()
            if not closing:
                break
        if closing or time.monotonic() - self._summarised_at > _SUMMARISE_EVERY:
            for cell in sorted(self._changed):
                self._store.summarise(cell, self._by_cell[cell])
                self._changed.remove(cell)
            self._summarised_at = time.monotonic()

    def _long_running(self) -> list[tuple[Trial, float]]:
        now = time.time()
        with self._wake:
            for key in self._started.keys() & self._records.keys():
                del self._started[key]
            return [(trial, since) for trial, since in self._started.values() if now - since > _LONG_TRIAL]

    def _end(self, status: str) -> None:
        self._store.end(status, self._records.values())

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:
            self._trouble = self._reason(error)
            return False
        self._trouble = None
        return True

    def _reason(self, error: Exception) -> str:
        return f"{self._shown_uri}: {brief(error)}"

    def _report(self, now: bool = False) -> None:
        progress = (len(self._records) - len(self._waiting), self._store.misplaced, self._trouble)
        if progress != self._reported and (now or time.monotonic() - self._reported_at > _REPORT_EVERY):
            self._reported, self._reported_at = progress, time.monotonic()
            self._say(dict(zip(("done", "misplaced", "trouble"), progress, strict=True)))


def main() -> None:
    """Runs the writer's process."""
    # Ctrl-C on the terminal reaches the search, which says when to close.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # What libraries print must not get between the messages.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(message) + "\n")
            out.flush()
        except BrokenPipeError:
            os._exit(1)

    first = sys.stdin.readline()
    if not first:
        return
    opening = json.loads(first)["open"]
    folder = Path(opening["out"])
    # A writer whose search was killed may still have a request on its way.
    with (folder / ".writer.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            facts = StudyFacts.of(opening["facts"])
            store = Store(opening["uri"], facts, folder / "artifacts", opening["former"])
        except Refused as refusal:
            say({"refused": str(refusal)})
            return
        writer = Writer(store, without_credentials(opening["uri"]), folder / "trials.jsonl", say)
        threading.Thread(target=_listen, args=(sys.stdin, writer), daemon=True).start()
        say({"opened": store.parent_run_id, "experiment_id": store.experiment_id})
        # What is written late is written all the same; trials, which Ray runs at 15, are waited for.
        os.nice(_NICE - os.nice(0))
        # What is loaded stays; collecting it again and again costs a fifth of the time.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        writer.run()
        say({"closed": True})
    # MLflow's threads have nothing left to do.
    os._exit(0)


def _listen(stream: TextIO, writer: Writer) -> None:
    for line in stream:
        writer.hear(json.loads(line))
    os._exit(0)
