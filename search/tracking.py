"""The single writer to MLflow: off Tune's loop, batched, idempotent by trial id."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from search.record import Record, Trial
from search.study import Cell, Study
from trainables.errors import InputError

_RUN_STATUS = {"completed": "FINISHED", "stopped": "KILLED", "diverged": "FAILED", "failed": "FAILED"}
_LONG_TRIAL = 5.0
_LONGEST_PAUSE = 10.0
_PAGE = 1000
_LONGEST_TAG = 5000
_SQLITE = "sqlite:///"
# Opens MLflow's pages for training runs rather than those for language-model traces.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


def without_credentials(uri: str) -> str:
    """A tracking URI that may be printed and stored."""
    parts = urlsplit(uri)
    if not parts.username and not parts.password:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def absolute(uri: str) -> str:
    """A tracking URI that means the same from every folder."""
    if not uri.startswith(_SQLITE):
        return uri
    return f"{_SQLITE}{Path(uri.removeprefix(_SQLITE)).resolve()}"


class Tracker:
    """Writes a study to MLflow: one parent run, one child run a trial.

    Events come in from any thread and return at once. A thread of its own writes them; what cannot be
    written now is tried again until it can. A trial already written is not written again, so the records of
    a whole study may be handed in after a restart.

    Args:
        uri: MLflow tracking URI.
        study: The study; its name is the experiment's.
        study_id: Tells apart studies of one name; a tag of the parent run.
        artifacts: Folder for artifacts where the tracking store has no place of its own (SQLite).

    Raises:
        InputError: The tracking store cannot be reached or written.
    """

    def __init__(self, uri: str, study: Study, study_id: str, artifacts: Path) -> None:
        self._cells = {cell.key: cell for cell in study.cells()}
        self._shown_uri = without_credentials(uri)
        # MLflow's own retries would hold up the writer for minutes; it has its own, without end.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        try:
            embedded = uri.startswith(_SQLITE)
            if embedded:
                Path(uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=uri)
            self._experiment = self._open_experiment(study.name, artifacts if embedded else None)
            self.parent_run_id = self._open_parent(study, study_id)
            self._written = self._runs_of_parent()
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"tracking URI: {self._shown_uri!r} cannot be used ({_brief(error)}); "
                "is the server running, or the database writable?"
            ) from error
        self._wake = threading.Condition()
        self._started: dict[str, tuple[Trial, float]] = {}
        self._ended: dict[str, Record] = {}
        self._doubtful: set[str] = set()
        self._closing = False
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._write_on, name="mlflow-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Ended trials not yet in MLflow."""
        return len(self._ended)

    def started(self, trial: Trial, now: float) -> None:
        """A trial has started; it gets a running run if it turns out to be a long one."""
        with self._wake:
            self._started[trial.trial_id] = (trial, now)

    def ended(self, records: Iterable[Record]) -> None:
        """Trials have ended; those already written are passed over."""
        with self._wake:
            for record in records:
                _, done = self._written.get(record.trial.trial_id, ("", False))
                if not done:
                    self._ended[record.trial.trial_id] = record
            self._wake.notify()

    def close(self, status: str, patience: float) -> int:
        """Writes what is left, for at most ``patience`` seconds, and ends the parent run.

        Args:
            status: MLflow run status of the study, such as ``FINISHED`` or ``KILLED``.
            patience: Seconds to wait for a store that does not answer.

        Returns:
            The number of trials that could not be written; a later `ended` may bring them again.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        deadline = time.monotonic() + patience
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(timeout=0.5)
            if self.trouble is None:
                deadline = time.monotonic() + patience
        if not self._thread.is_alive():
            self._try(lambda: self._end_parent(status))
        return len(self._ended)

    def _end_parent(self, status: str) -> None:
        for trial_id, (_, done) in {k: self._written[k] for k in self._started if k in self._written}.items():
            if not done:
                self._client.set_terminated(self._written[trial_id][0], status="KILLED")
        self._client.set_terminated(self.parent_run_id, status=status)

    def _open_experiment(self, name: str, artifacts: Path | None) -> str:
        found: Experiment | None = self._client.get_experiment_by_name(name)
        if found is None:
            location = artifacts.resolve().as_uri() if artifacts else None
            try:
                return str(self._client.create_experiment(name, artifact_location=location, tags=_EXPERIMENT_TAGS))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage != LifecycleStage.ACTIVE:
            raise InputError(
                f"name: experiment {name!r} was deleted in MLflow; restore it there or choose another study name"
            )
        return str(found.experiment_id)

    def _open_parent(self, study: Study, study_id: str) -> str:
        own = f"tags.`phitune.kind` = 'study' AND tags.`phitune.study_id` = '{study_id}'"
        found = self._client.search_runs([self._experiment], own, max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            self._client.update_run(run_id, status="RUNNING")
            return run_id
        tags = {"phitune.kind": "study", "phitune.study_id": study_id}
        run_id = str(self._client.create_run(self._experiment, tags=tags, run_name=study.name).info.run_id)
        self._client.log_text(run_id, study.to_yaml(), "study.yaml")
        return run_id

    def _runs_of_parent(self, and_filter: str = "") -> dict[str, tuple[str, bool]]:
        """Run id and whether it is complete, by trial id; of two runs of a trial the complete one."""
        runs: dict[str, tuple[str, bool]] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent_run_id}'{and_filter}",
                max_results=_PAGE,
                page_token=token,
            )
            for run in page:
                done = run.info.status != "RUNNING" and "phitune.status" in run.data.tags
                trial_id = run.data.tags["phitune.trial_id"]
                if done or trial_id not in runs:
                    runs[trial_id] = (str(run.info.run_id), done)
            token = page.token
            if not token:
                return runs

    def _write_on(self) -> None:
        pause = 0.5
        while True:
            with self._wake:
                if not self._ended and self._closing:
                    return
                if not self._ended:
                    self._wake.wait(timeout=1.0)
                batch = list(self._ended.values())
                long_running = [
                    (trial, since)
                    for key, (trial, since) in self._started.items()
                    if time.time() - since > _LONG_TRIAL and key not in self._written and key not in self._ended
                ]
            if self._try(lambda batch=batch, running=long_running: self._write(batch, running)):  # type: ignore[misc]
                pause = 0.5
            else:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _write(self, batch: list[Record], running: list[tuple[Trial, float]]) -> None:
        """Writes all it can; what fails does not hold up the rest. Raises the last failure."""
        failure: Exception | None = None
        for trial, since in running:
            self._run_of(trial, since)
        for record in batch:
            trial_id = record.trial.trial_id
            try:
                self._write_record(record)
            except Exception as error:
                # Whether the store took it is unknown: the next try looks for it there.
                failure = error
                self._doubtful.add(trial_id)
                self._written.pop(trial_id, None)
                if self._closing:
                    break
                continue
            with self._wake:
                self._ended.pop(trial_id, None)
                self._started.pop(trial_id, None)
        if failure is not None:
            raise failure

    def _write_record(self, record: Record) -> None:
        run_id = self._run_of(record.trial, record.started)
        told = {"phitune.reason": record.reason, "phitune.traceback": record.traceback}
        tags = {"phitune.status": record.status, **{key: text for key, text in told.items() if text}}
        self._client.log_batch(
            run_id,
            metrics=_metrics(record),
            params=[Param(key, str(value)) for key, value in self._params(record.trial).items()],
            tags=[RunTag(key, value[-_LONGEST_TAG:]) for key, value in tags.items()],
        )
        end = int(1000 * (record.started + record.seconds))
        self._client.set_terminated(run_id, status=_RUN_STATUS[record.status], end_time=end)
        self._written[record.trial.trial_id] = (run_id, True)

    def _run_of(self, trial: Trial, started: float) -> str:
        if trial.trial_id in self._doubtful:
            self._written |= self._runs_of_parent(f" AND tags.`phitune.trial_id` = '{trial.trial_id}'")
            self._doubtful.discard(trial.trial_id)
        if trial.trial_id not in self._written:
            self._doubtful.add(trial.trial_id)
            run = self._client.create_run(
                self._experiment,
                start_time=int(1000 * started),
                tags=_tags(trial, self._cells[trial.cell], self.parent_run_id),
                run_name=_run_name(trial),
            )
            self._doubtful.discard(trial.trial_id)
            self._written[trial.trial_id] = (str(run.info.run_id), False)
        return self._written[trial.trial_id][0]

    def _params(self, trial: Trial) -> dict[str, Any]:
        cell = self._cells[trial.cell]
        shape = {key: value for key, value in trial.schedule.items() if key != "family"}
        return {
            "workload": cell.workload.label,
            "optimizer": cell.optimizer.label,
            "budget": cell.budget,
            "family": trial.family,
            **shape,
            "base_lr": trial.base_lr,
            "mean_lr": trial.mean_lr,
            "seed": trial.seed,
            "schedule": json.dumps(trial.schedule),
        }

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except Exception as error:
            self.trouble = f"{self._shown_uri}: {_brief(error)}"
            return False
        self.trouble = None
        return True


def _tags(trial: Trial, cell: Cell, parent_run_id: str) -> dict[str, str]:
    tags = {
        MLFLOW_PARENT_RUN_ID: parent_run_id,
        "phitune.kind": "trial",
        "phitune.trial_id": trial.trial_id,
        "phitune.cell": trial.cell,
        "phitune.phase": trial.phase,
        "phitune.objective": cell.objective,
        "phitune.mode": cell.mode,
        "phitune.metric_name": cell.metric_name,
        "phitune.metric_mode": cell.metric_mode,
        "phitune.full_budget": str(cell.full_budget),
        "phitune.deterministic": str(cell.deterministic).lower(),
    }
    return {**tags, "phitune.finalist": trial.finalist} if trial.finalist else tags


def _run_name(trial: Trial) -> str:
    numbers = {key: value for key, value in trial.schedule.items() if isinstance(value, int | float)}
    shape = "".join(f" {'φ' if key == 'phi' else key}={value:.3g}" for key, value in numbers.items())
    repeat = " replicate" if trial.phase == "replicate" else ""
    return f"{trial.family}{shape} lr={trial.base_lr:.3g}{repeat} · {trial.cell}"


def _metrics(record: Record) -> list[Metric]:
    """Curve points, judged rung values and final figures; times spread over the trial's duration."""

    def at(step: float) -> int:
        return int(1000 * (record.started + record.seconds * step / max(record.steps, 1)))

    metrics = [
        Metric(key, value, at(point["step"]), int(point["step"]))
        for point in [*record.curve, *record.diagnosed]
        for key, value in point.items()
        if key != "step"
    ]
    reached = [int(point["step"]) for point in record.curve]
    for number, (step, value) in enumerate(record.rungs, start=1):
        metrics.append(Metric(f"rung/{number}", value, at(step), int(step)))
    last = reached[-1] if reached else 0
    final: Mapping[str, float] = {**record.final, "steps": record.steps, "seconds": record.seconds}
    return metrics + [Metric(f"final/{key}", value, at(last), last) for key, value in final.items()]


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
