"""The runs of a study's cells and finalists in MLflow: what their trials have come to so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag, ViewType
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from phitune.search.records.record import Record
from phitune.search.tracking.facts import StudyFacts
from phitune.search.tracking.layout import groups as look
from phitune.search.tracking.layout import trials
from phitune.search.tracking.layout.views import ORDER
from phitune.trainables.mlflow_names import CELL, KIND, STUDY_RUN

_PAGE = 1000


class Groups:
    """A run a cell below the study's, and a run a finalist below its cell's.

    All that is written follows from the order of the records, so that writing it again changes nothing.

    Args:
        study_run: Id of the study's run.
        former: Id of the run that it had before, if that was deleted for good.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, study_run: str, former: str | None, facts: StudyFacts
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._study_run = study_run
        self._studies = list(dict.fromkeys(filter(None, (study_run, former))))
        self._facts = facts
        self._order = {key: f"{number:04d}" for number, key in enumerate(facts.cells)}
        self._runs: dict[str, str] = {}
        self._sent: dict[str, int] = {}
        self._texts: dict[str, dict[str, str]] = {}

    def run_of(self, cell: str) -> str:
        """Id of a cell's run; of the study's for one that is not known. The first call opens those of all cells."""
        if not self._runs:
            self._open()
        return self._runs.get(cell, self._study_run)

    def write(self, cell: str, records: Sequence[Record]) -> None:
        """Writes what the records of a cell, in the order in which they ended, have come to."""
        facts = self._facts.cells[cell]
        run = self.run_of(cell)
        try:
            self._log(run, look.best_so_far(records, facts), look.cell_texts(records, facts))
            for finalist, replicates in _replicates(records).items():
                if finalist not in self._runs:
                    self._runs[finalist] = self._create_finalist(finalist, replicates[0], run)
                run_id = self._runs[finalist]
                if run_id not in self._sent:
                    # Said again by every process, as the run may have been created and no more.
                    self._client.log_batch(run_id, params=self._params(replicates[0]))
                if self._log(run_id, look.spread(replicates), {}):
                    end = max(look.end_of(record) for record in replicates)
                    self._client.set_terminated(run_id, end_time=end)
        except Exception:
            # One that was deleted is looked for, and made anew.
            self._runs.clear()
            self._sent.clear()
            self._texts.clear()
            raise

    def end(self, status: str) -> None:
        """Ends the runs of cells."""
        for key in self._facts.cells:
            self._client.set_terminated(self.run_of(key), status=status)

    def _log(self, run: str, metrics: list[Metric], texts: dict[str, str]) -> bool:
        """Writes what this process has not written; whether there was any."""
        fresh = metrics[self._sent.get(run, 0) :]
        changed = bool(fresh) or texts != self._texts.get(run, {})
        if changed:
            self._client.log_batch(run, metrics=fresh, tags=[RunTag(key, text) for key, text in texts.items()])
            self._sent[run], self._texts[run] = len(metrics), texts
        return changed

    def _open(self) -> None:
        """Finds the runs, restores those that were deleted, creates those of new cells."""
        known: dict[str, Run] = {}
        for run in sorted(self._search(), key=lambda run: run.info.lifecycle_stage == LifecycleStage.ACTIVE):
            known[run.data.tags.get("phitune.finalist") or run.data.tags[CELL]] = run
        opened = {}
        for key in self._facts.cells:
            opened[key] = self._reopen(key, known[key]) if key in known else self._create_cell(key)
        for key in known.keys() - opened.keys():
            opened[key] = self._reopen(key, known[key], opened.get(known[key].data.tags[CELL]))
        self._runs = opened

    def _search(self) -> Iterator[Run]:
        for study in self._studies:
            for kind in ("cell", "finalist"):
                query = f"tags.`{STUDY_RUN}` = '{study}' AND tags.`{KIND}` = '{kind}'"
                yield from search(self._client, self._experiment_id, query)

    def _reopen(self, key: str, run: Run, cell_run: str | None = None) -> str:
        run_id = str(run.info.run_id)
        if run.info.lifecycle_stage != LifecycleStage.ACTIVE:
            self._client.restore_run(run_id)
        tags = self._tags(run.data.tags[CELL], cell_run)
        if key in self._facts.cells:
            # Said again, as the run may have been created and no more.
            self._client.log_batch(run_id, params=look.cell_params(self._facts.cells[key]))
            self._client.update_run(run_id, status="RUNNING")
            note = self._note(key)
            tags |= {} if note in run.data.tags.get(trials.NOTE, "") else {trials.NOTE: note}
        changed = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        if changed:
            self._client.log_batch(run_id, tags=changed)
        return run_id

    def _create_cell(self, key: str) -> str:
        cell = self._facts.cells[key]
        tags = {**self._tags(key), KIND: "cell", CELL: key, trials.NOTE: self._note(key)}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=cell.name)
        self._client.log_batch(run.info.run_id, params=look.cell_params(cell))
        return str(run.info.run_id)

    def _create_finalist(self, finalist: str, replicate: Record, cell_run: str) -> str:
        trial = replicate.trial
        cell = self._facts.cells[trial.cell]
        tags = {KIND: "finalist", CELL: trial.cell, "phitune.finalist": finalist}
        run = self._client.create_run(
            self._experiment_id,
            start_time=int(1000 * replicate.started),
            tags={**self._tags(trial.cell, cell_run), **tags},
            run_name=look.finalist_name(trial, cell),
        )
        return str(run.info.run_id)

    def _params(self, replicate: Record) -> list[Param]:
        """A finalist's."""
        params = trials.params(replicate.trial, self._facts.cells[replicate.trial.cell])
        return [param for param in params if param.key != "seed"]

    def _tags(self, cell: str, parent: str | None = None) -> dict[str, str]:
        return {
            MLFLOW_PARENT_RUN_ID: parent or self._study_run,
            STUDY_RUN: self._study_run,
            ORDER: self._order.get(cell, ""),
        }

    def _note(self, key: str) -> str:
        return look.cell_note(self._facts, key, self._experiment_id, self._study_run)


def search(client: MlflowClient, experiment_id: str, query: str) -> Iterator[Run]:
    """Runs by MLflow's query, deleted ones too."""
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], query, ViewType.ALL, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _replicates(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Completed replicates by their finalist."""
    by_finalist: dict[str, list[Record]] = {}
    for record in records:
        if record.trial.finalist and record.status == "completed":
            by_finalist.setdefault(record.trial.finalist, []).append(record)
    return by_finalist
