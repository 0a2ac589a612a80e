"""A `JointTrainer` in a thread of its own, for callers that submit one task each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from phitune.trainables.errors import TaskGoneError
from phitune.trainables.population.trainer import JointTrainer, Report

# Seconds without a call after which a task's process is taken for dead.
LEASE = 20.0


@dataclass(eq=False)
class _Submission:
    """A task in the host's care.

    Attributes:
        rows: Capacity of its population.
        last_call: Time of its process's last call (`time.monotonic`).
        failure: Reason why it cannot be resumed.
        report: Its next report.
    """

    rows: int
    last_call: float
    failure: Exception | None = None
    report: Future[Report] = field(default_factory=Future)

    def resolve(self, outcome: Report | Exception) -> None:
        """Sets the report or the error in its place, unless one is set."""
        if self.report.done():
            return
        if isinstance(outcome, Exception):
            self.report.set_exception(outcome)
        else:
            self.report.set_result(outcome)


class Host:
    """Accepts tasks, trains them together in a thread and returns their reports; thread-safe.

    Args:
        device: A torch device.
        lease: Seconds without a call after which a task is dropped.
    """

    def __init__(self, device: str, lease: float = LEASE) -> None:
        self._device = device
        self._trainer = JointTrainer(device)
        self._lease = lease
        self._submissions: dict[str, _Submission] = {}
        self._commands: list[tuple[_Submission, Callable[[], None]]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="population", daemon=True).start()

    @property
    def stuck(self) -> bool:
        """Whether the thread has been busy so long that a task whose lease ended long ago has not been dropped."""
        with self._changed:
            return any(time.monotonic() - each.last_call > 2 * self._lease for each in self._submissions.values())

    def submit(self, key: str, text: str, rows: int) -> bool:
        """Accepts a task (`JointTrainer.add`) if there is room for it.

        Returns:
            Whether it was accepted.
        """
        with self._changed:
            load = sum(1 / other.rows for name, other in self._submissions.items() if name != key)
            if load + 1 / rows > 1 + 1e-9:
                return False
            self._drop(key)
            submission = self._submissions[key] = _Submission(rows, time.monotonic())
            self._enqueue(submission, lambda: self._trainer.add(key, text, rows))
        return True

    def resume(self, key: str) -> None:
        """Has a task train to its next report.

        Raises:
            TaskGoneError: The host does not know the task, or has dropped it.
        """
        with self._changed:
            submission = self._submission(key)
            submission.report = Future()
            self._enqueue(submission, lambda: self._resume(key, submission))

    def report(self, key: str) -> Future[Report]:
        """The report to which the task was last resumed, or an error that a fresh process may not meet.

        Raises:
            TaskGoneError: The host does not know the task, or has dropped it; the future may raise it too.
        """
        with self._changed:
            return self._submission(key).report

    def remove(self, key: str) -> None:
        """Removes a task, if it is here."""
        with self._changed:
            submission = self._drop(key)
            if submission is not None:
                self._enqueue(submission, lambda: self._trainer.remove(key))

    def _submission(self, key: str) -> _Submission:
        if key not in self._submissions:
            raise TaskGoneError(key)
        submission = self._submissions[key]
        submission.last_call = time.monotonic()
        return submission

    def _drop(self, key: str) -> _Submission | None:
        submission = self._submissions.pop(key, None)
        if submission is not None:
            submission.resolve(TaskGoneError(key))
            # An error refers to the frames that raised it, and so to a population's memory. Callers that wait for the
            # report hold it themselves; the submission may outlive it.
            submission.report, submission.failure = Future(), None
        return submission

    def _enqueue(self, submission: _Submission, command: Callable[[], None]) -> None:
        self._commands.append((submission, command))
        self._changed.notify()

    def _work(self) -> None:
        while True:
            self._turn()

    def _turn(self) -> None:
        """Runs the queued commands and one step of the trainer; waits if there are neither commands nor work."""
        with self._changed:
            if self._trainer.idle and not self._commands:
                self._changed.wait(self._lease)
            for key, submission in list(self._submissions.items()):
                if time.monotonic() - submission.last_call > self._lease:
                    self.remove(key)
            commands, self._commands = self._commands, []
            submissions = dict(self._submissions)
        for submission, command in commands:
            try:
                command()
            except Exception as error:
                with self._changed:
                    submission.failure = error
                    submission.resolve(error)
        self._step(submissions)
        if not submissions:
            # Others may train on this device before the next task comes.
            self._trainer.release_memory()

    def _resume(self, key: str, submission: _Submission) -> None:
        if submission.failure is not None:
            raise submission.failure
        self._trainer.resume(key)

    def _step(self, submissions: Mapping[str, _Submission]) -> None:
        """One step of the trainer; resolves the reports of those that were here when it began."""
        results: Mapping[str, Report | Exception]
        try:
            outcomes = self._trainer.step()
            results = {**outcomes.reports, **outcomes.errors}
        except Exception as error:
            # No caller may wait for ever: tasks in training get the error, idle ones TaskGoneError when resumed.
            self._trainer = JointTrainer(self._device)
            results = dict.fromkeys(submissions, error)
            for key, submission in submissions.items():
                submission.failure = TaskGoneError(key)
        with self._changed:
            for key, submission in submissions.items():
                if key in results:
                    submission.resolve(results[key])
