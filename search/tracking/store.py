"""A study in MLflow: its run, and a run a trial below that of its cell; what is there is not written again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from textwrap import shorten

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, UNAUTHENTICATED, ErrorCode
from mlflow.store.db.db_types import DATABASE_ENGINES
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy import create_engine

from phitune.search.records.record import Record, Trial
from phitune.search.tracking.facts import StudyFacts
from phitune.search.tracking.groups import Groups, search
from phitune.search.tracking.layout import groups as look
from phitune.search.tracking.layout import trials as runs
from phitune.search.tracking.layout.views import views
from phitune.search.tracking.sqlite import prepared, settle
from phitune.trainables.mlflow_names import CELL, KIND, STUDY_RUN
from phitune.trainables.trial_files import files_of
from phitune.trainables.uri import absolute, database_file, without_credentials


class Refused(Exception):
    """The tracking store cannot be used; the message is for the user."""


class Store:
    """The runs of one study.

    Args:
        uri: MLflow tracking URI.
        facts: The study; its name is the experiment's.
        artifacts: Folder for artifacts where the tracking store has no place of its own (a database).
        former: The id of the study's run when it was opened last, whose trials are the study's though it may be gone.

    Raises:
        Refused: The tracking store cannot be reached or written.
    """

    def __init__(self, uri: str, facts: StudyFacts, artifacts: Path, former: str | None = None) -> None:
        self._facts = facts
        self._file = database_file(uri)
        shown, uri = without_credentials(uri), absolute(uri)
        self._ladder = artifacts.parent / "ladder.json"
        try:
            with prepared(self._file) if self._file else nullcontext():
                if _is_database(uri):
                    _connect(uri)
                self._client = MlflowClient(tracking_uri=uri)
                self.experiment_id = self._open_experiment(facts.name, artifacts if _is_database(uri) else None)
            self.parent_run_id = self._open_parent()
            self._describe_experiment()
            self._groups = Groups(self._client, self.experiment_id, self.parent_run_id, former, facts)
            self._places: dict[str, dict[str, str]] = {}
            self._studies = list(dict.fromkeys(filter(None, (self.parent_run_id, former))))
            self._written = self._find_runs()
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"tracking URI: {shown!r} {_refusal(error)}") from error
        self._doubtful: set[str] = set()

    def has(self, trial_id: str) -> bool:
        """Whether a trial's run is complete."""
        return self._written.get(trial_id, ("", False))[1]

    @property
    def misplaced(self) -> int:
        """Trials of which it has not been seen to that they are below their cell's run."""
        return len(self._places)

    def adopt(self, most: int) -> None:
        """Puts trials below their cell's run: those of an earlier layout, and of runs that were deleted for good."""
        for run_id, tags in list(self._places.items())[:most]:
            place = {MLFLOW_PARENT_RUN_ID: self._groups.run_of(tags[CELL]), STUDY_RUN: self.parent_run_id}
            changed = [RunTag(key, value) for key, value in place.items() if tags.get(key) != value]
            if changed:
                self._client.log_batch(run_id, tags=changed)
            del self._places[run_id]

    def summarise(self, cell: str, records: Sequence[Record]) -> None:
        """Writes what the trials of a cell have come to so far on the runs of the cell and its finalists."""
        self._groups.write(cell, records)

    def start(self, trial: Trial, since: float) -> None:
        """Shows a trial as running."""
        self._look_up_if_doubtful(trial.trial_id)
        if trial.trial_id not in self._written:
            self._create(trial, since, {})
        elif not self.has(trial.trial_id):
            self._client.update_run(self._written[trial.trial_id][0], status="RUNNING")

    def write(self, record: Record) -> None:
        """Writes a trial that has ended, unless it is there."""
        trial_id = record.trial.trial_id
        self._look_up_if_doubtful(trial_id)
        if self.has(trial_id):
            return
        cell = self._facts.cells[record.trial.cell]
        tags = runs.end_tags(record, cell)
        fresh = trial_id not in self._written
        run_id = self._create(record.trial, record.started, tags) if fresh else self._written[trial_id][0]
        # Until the run has ended it is unknown whether the store has all of it; after a failure it is looked up.
        self._doubtful.add(trial_id)
        files = files_of(self._ladder.parent, trial_id)
        if cell.artifacts in ("all", f"{record.trial.phase}s") and files.is_dir():
            # First, as a run counts as complete once it has its figures.
            self._client.log_artifacts(run_id, str(files))
        self._client.log_batch(
            run_id,
            metrics=runs.metrics(record),
            params=runs.params(record.trial, cell),
            tags=[] if fresh else [RunTag(key, value) for key, value in tags.items()],
        )
        end = int(1000 * (record.started + record.seconds))
        self._client.set_terminated(run_id, status=runs.RUN_STATUS[record.status], end_time=end)
        self._doubtful.discard(trial_id)
        self._written[trial_id] = (run_id, True)

    def end(self, status: str, records: Iterable[Record]) -> None:
        """Ends the study's run, and those of interrupted trials.

        Args:
            status: MLflow run status such as ``FINISHED`` or ``KILLED``.
            records: All trials that have ended.
        """
        for run_id, done in self._written.values():
            if not done:
                self._client.set_terminated(run_id, status="KILLED")
        self._groups.end(status)
        if self._client.get_run(self.parent_run_id).info.lifecycle_stage != LifecycleStage.ACTIVE:
            self._client.restore_run(self.parent_run_id)
        self._client.set_tag(self.parent_run_id, "phitune.trials", look.counts(records))
        if self._ladder.exists():
            self._client.log_artifact(self.parent_run_id, str(self._ladder))
        self._client.set_terminated(self.parent_run_id, status=status)
        if self._file:
            settle(self._file)

    def _create(self, trial: Trial, started: float, end_tags: dict[str, str]) -> str:
        cell = self._facts.cells[trial.cell]
        self._doubtful.add(trial.trial_id)
        run = self._client.create_run(
            self.experiment_id,
            start_time=int(1000 * started),
            tags={**runs.tags(trial, cell, self._groups.run_of(trial.cell), self.parent_run_id), **end_tags},
            run_name=runs.run_name(trial, cell),
        )
        self._doubtful.discard(trial.trial_id)
        run_id = str(run.info.run_id)
        self._written[trial.trial_id] = (run_id, False)
        return run_id

    def _look_up_if_doubtful(self, trial_id: str) -> None:
        if trial_id in self._doubtful:
            self._written.pop(trial_id, None)
            self._written |= self._find_runs(f" AND tags.`phitune.trial_id` = '{trial_id}'")
            self._doubtful.discard(trial_id)

    def _open_experiment(self, name: str, artifacts: Path | None) -> str:
        experiment: Experiment | None = self._client.get_experiment_by_name(name)
        if experiment is None:
            location = artifacts.resolve().as_uri() if artifacts else None
            try:
                return str(self._client.create_experiment(name, location, look.EXPERIMENT_TAGS))
            except MlflowException:
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            raise Refused(
                f"name: experiment {name!r} was deleted in MLflow; restore it there or choose another study name"
            )
        return str(experiment.experiment_id)

    def _describe_experiment(self) -> None:
        experiment = self._client.get_experiment(self.experiment_id)
        tags = views(self._facts, int(experiment.creation_time or 0))
        tags[runs.NOTE] = look.experiment_note(self.experiment_id, self.parent_run_id)
        for key, value in tags.items():
            if experiment.tags.get(key) != value:
                self._client.set_experiment_tag(self.experiment_id, key, value)

    def _open_parent(self) -> str:
        """The id of the study's run: the one there is, restored if it was deleted, else a new one."""
        own = f"tags.`phitune.kind` = 'study' AND tags.`phitune.study_id` = '{self._facts.study_id}'"
        parents = self._client.search_runs([self.experiment_id], own, ViewType.ALL)
        # Where there are two, an older version made the second after the first had been deleted.
        for run in sorted(parents, key=lambda run: run.info.lifecycle_stage != LifecycleStage.ACTIVE)[:1]:
            run_id = str(run.info.run_id)
            if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
                self._client.restore_run(run_id)
            self._client.update_run(run_id, status="RUNNING")
            # A study that has grown says so; what the analysis put above is of the smaller one.
            if self._facts.note not in run.data.tags.get(runs.NOTE, ""):
                self._client.set_tag(run_id, runs.NOTE, self._facts.note)
                self._client.log_text(run_id, self._facts.yaml, "study.yaml")
            return run_id
        tags = {"phitune.kind": "study", "phitune.study_id": self._facts.study_id, runs.NOTE: self._facts.note}
        run_id = str(self._client.create_run(self.experiment_id, tags=tags, run_name=self._facts.name).info.run_id)
        self._client.log_text(run_id, self._facts.yaml, "study.yaml")
        return run_id

    def _find_runs(self, and_filter: str = "") -> dict[str, tuple[str, bool]]:
        """Run id and whether it is complete, by trial id; of two runs of a trial the complete one.

        A complete run that was deleted is restored, as it would otherwise be written again. In an earlier layout trials
        were children of the study's run; of a study's run that was deleted for good its trials are left.
        """
        found: dict[str, tuple[bool, bool, str]] = {}
        places: dict[str, dict[str, str]] = {}
        for tag, study in product((STUDY_RUN, MLFLOW_PARENT_RUN_ID), self._studies):
            query = f"tags.`{tag}` = '{study}' AND tags.`{KIND}` = 'trial'{and_filter}"
            for run in search(self._client, self.experiment_id, query):
                tags = run.data.tags
                # A run that was broken off is ended as KILLED, but only a whole one has its last figures.
                done = run.info.status != "RUNNING" and "phitune.status" in tags and "final/seconds" in run.data.metrics
                active = run.info.lifecycle_stage == LifecycleStage.ACTIVE
                if done or active:
                    one = done, active, str(run.info.run_id)
                    found[tags["phitune.trial_id"]] = max(one, found.get(tags["phitune.trial_id"], one))
                    places[one[2]] = {key: tags.get(key, "") for key in (CELL, MLFLOW_PARENT_RUN_ID, STUDY_RUN)}
        for _, active, run_id in found.values():
            if not active:
                self._client.restore_run(run_id)
        self._places |= {run_id: places[run_id] for _, _, run_id in found.values()}
        return {trial_id: (run_id, done) for trial_id, (done, _, run_id) in found.items()}


def _connect(uri: str) -> None:
    """One try; MLflow's own would take minutes before it gave up."""
    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _refusal(error: Exception) -> str:
    code = getattr(error, "error_code", "")
    if code == ErrorCode.Name(UNAUTHENTICATED):
        return (
            "lets in only those with an account; export its MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or put them right"
        )
    if code == ErrorCode.Name(PERMISSION_DENIED):
        return f"does not let this account write the study ({brief(error)}); ask for EDIT on its experiment"
    return f"cannot be used ({brief(error)}); is the server running, or the database writable?"


def _is_database(uri: str) -> bool:
    return re.split(r"[:+]", uri, maxsplit=1)[0] in DATABASE_ENGINES


def brief(error: Exception) -> str:
    """An error in one short line, without the credentials of a URI that it quotes."""
    # Of a database's error its own words, without SQLAlchemy's around them.
    words = str(getattr(error, "orig", None) or error)
    return shorten(without_credentials(words), 200, placeholder=" …") or type(error).__name__
