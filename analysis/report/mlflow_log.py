"""The report in MLflow: on the study's run its files and answers, on each cell's run what is said of that cell."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.cell_answers import ANSWER, answer_metrics, answer_texts
from phitune.analysis.report.charts import cell_pictures
from phitune.analysis.report.words.cells import summary_table
from phitune.analysis.report.words.note import cell_note, note
from phitune.analysis.results import Results
from phitune.analysis.results.study_ref import client_of
from phitune.trainables.mlflow_names import GAIN
from phitune.trainables.uri import without_credentials

NOTE_TAG = "mlflow.note.content"
NOT_ONE_STUDY = "it is no single study of it"
NOT_YET = "its search still goes on"
FIGURE = "surface.png"
# Sections of the metrics that only an analysis writes.
OWN = (ANSWER, GAIN)


def log_report(gathered: Results, guidelines: Guidelines, out: Path, files: Sequence[Path]) -> str | None:
    """Log a report; a store that takes no artifacts costs the log, not the report.

    Args:
        gathered: The results that were analysed.
        guidelines: The conclusions.
        out: The report's directory.
        files: Paths of its files below `out`.

    Returns:
        Why the report was not logged, in one line; None if it was.
    """
    from mlflow.exceptions import MlflowException

    if len(gathered.sources) != 1 or not gathered.studies:
        return NOT_ONE_STUDY
    ref = gathered.studies[0]
    try:
        client = client_of(ref)
        run = results.parent_run_id(ref)
        for path in files:
            client.log_artifact(run, str(out / path), str("report" / path.parent))
        description = client.get_run(run).data.tags.get(NOTE_TAG, "")
        client.set_tag(run, NOTE_TAG, note(guidelines, description))
        _log_cells(client, results.cell_runs(ref, run), gathered, guidelines)
    except (MlflowException, OSError) as error:
        return without_credentials(str(error).splitlines()[0])[:200]
    return None


def _log_cells(
    client: Any, runs: Mapping[tuple[str, str, int], Any], gathered: Results, guidelines: Guidelines
) -> None:
    """Log what is said of each cell on its run."""
    from mlflow.entities import Metric, RunTag

    pictures = cell_pictures(guidelines, gathered.table)
    for cell, row in zip(guidelines.cells, summary_table(guidelines), strict=True):
        key = cell.label, cell.optimizer, cell.budget
        if key not in runs:
            continue
        run = runs[key]
        run_id, tags = run.info.run_id, run.data.tags
        drawn = pictures.get(key)
        if drawn is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, FIGURE)
                path.write_bytes(drawn)
                client.log_artifact(run_id, str(path))
        picture = f"![The surface](get-artifact?path={FIGURE}&run_uuid={run_id})" if drawn is not None else ""
        values, now = answer_metrics(cell), int(1000 * time.time())
        # A metric cannot be taken back: what is no longer known becomes NaN.
        known = {name: value for name, value in run.data.metrics.items() if not math.isnan(value)}
        gone = {name: math.nan for name in known if name.startswith(OWN) and name not in values}
        changed = {name: value for name, value in values.items() if known.get(name) != value}
        texts = answer_texts(guidelines, cell, row) | {NOTE_TAG: cell_note(cell, tags.get(NOTE_TAG, ""), picture)}
        client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in (changed | gone).items()],
            tags=[RunTag(name, text) for name, text in texts.items() if tags.get(name) != text],
        )
