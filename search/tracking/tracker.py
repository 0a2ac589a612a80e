"""Client of the MLflow writer process: starts it, sends events, reads its progress."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from phitune.search.environment import writer
from phitune.search.records.record import Trial
from phitune.search.tracking.facts import StudyFacts
from phitune.trainables.errors import InputError
from phitune.trainables.uri import without_credentials

_RESTART_AFTER = 1.0
_LONGEST_PAUSE = 30.0
# With the search's own module path, whose first entry is the user's folder or not, as the search was started.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from phitune.search.tracking.writer import main; main()"
)


class Tracker:
    """Writes a study to MLflow: its run, below it a run a cell, below each a run a trial and a run a finalist.

    A separate process follows the study's journal and writes its records. A failed write is retried until it
    succeeds, and a trial is never written twice. If the process dies, another goes on. It starts with this object, so
    that it has imported MLflow when `open` needs it.

    Args:
        verbose: Whether MLflow's own messages are shown.
    """

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._opening: dict[str, Any] = {}
        self._running: dict[str, dict[str, Any]] = {}
        self._closing: str | None = None
        self._closed = False
        self._ended = 0
        self._done = 0
        self._misplaced = 0
        self._lock = threading.Lock()
        self.trouble: str | None = None
        self._process = self._spawn()

    def open(self, uri: str, facts: StudyFacts, out: Path, former: str | None = None) -> dict[str, str]:
        """Opens the study's run, or creates it.

        Args:
            uri: MLflow tracking URI.
            out: The study's directory, with the journal ``trials.jsonl``; artifacts of an embedded store go there.
            former: The id of the study's run when it was opened last; None for a new study.

        Returns:
            ``parent_run_id`` and ``experiment_id``.

        Raises:
            InputError: The tracking store cannot be reached or written.
        """
        self._opening = {"uri": uri, "facts": asdict(facts), "out": str(out.resolve()), "former": former}
        answer = self._open(self._process)
        if "opened" not in answer:
            raise InputError(
                answer.get("refused")
                or f"tracking URI: {without_credentials(uri)!r} cannot be used (the writer ended; see --verbose)"
            )
        threading.Thread(target=self._listen, name="mlflow-writer", daemon=True).start()
        return {"parent_run_id": answer["opened"], "experiment_id": answer["experiment_id"]}

    @property
    def waiting(self) -> int:
        """Ended trials not yet in MLflow."""
        return max(0, self._ended - self._done)

    def started(self, trial: Trial, now: float) -> None:
        """Reports that a trial has started; MLflow shows it as running if it takes long."""
        message = {"started": asdict(trial), "since": now}
        with self._lock:
            self._running[trial.trial_id] = message
            _send(self._process, message)

    def ended(self, *trial_ids: str) -> None:
        """Counts trials that are in the journal."""
        with self._lock:
            self._ended += len(trial_ids)
            for trial_id in trial_ids:
                self._running.pop(trial_id, None)

    def close(self, status: str, patience: float) -> int:
        """Waits until everything is written, for at most ``patience`` seconds without progress; ends the study's run.

        Args:
            status: MLflow run status of the study, such as ``FINISHED`` or ``KILLED``.
            patience: Seconds to wait for a store that does not answer.

        Returns:
            The number of trials that could not be written; the next start of the study writes them.
        """
        with self._lock:
            self._closing = status
            _send(self._process, {"close": status})
        deadline, before = time.monotonic() + patience, (self._done, self._misplaced)
        while not self._closed and time.monotonic() < deadline:
            time.sleep(0.02)
            if self.trouble is None and (self._done, self._misplaced) != before:
                deadline, before = time.monotonic() + patience, (self._done, self._misplaced)
        self.abandon()
        return self.waiting

    def abandon(self) -> None:
        """Kills the process."""
        with self._lock:
            self._closed = True
            self._process.kill()
        self._process.wait()

    def _spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if self._verbose else subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=writer(),
            # Out of the terminal's reach: Ctrl-C is for the search.
            start_new_session=True,
        )

    def _open(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        _send(process, {"open": self._opening})
        assert process.stdout is not None
        answer: dict[str, Any] = json.loads(process.stdout.readline() or "{}")
        return answer

    def _listen(self) -> None:
        pause = _RESTART_AFTER
        while not self._closed:
            assert self._process.stdout is not None
            for line in self._process.stdout:
                message = json.loads(line)
                if message.get("closed"):
                    self._closed = True
                    return
                self._done, self._misplaced, self.trouble = (message[key] for key in ("done", "misplaced", "trouble"))
                pause = _RESTART_AFTER
            code = self._process.wait()
            if not self._closed:
                self.trouble = f"the process that writes to MLflow; it ended ({code}) and is started anew"
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._start_anew()

    def _start_anew(self) -> None:
        process = self._spawn()
        answer = self._open(process)
        with self._lock:
            self._process = process
            if self._closed or "opened" not in answer:
                process.kill()
                return
            for message in self._running.values():
                _send(process, message)
            if self._closing is not None:
                _send(process, {"close": self._closing})


def _send(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    # If the process has died, `_listen` starts another and sends everything that matters again.
    with suppress(OSError):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
