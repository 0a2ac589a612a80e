"""The report on the study's run in MLflow: its files as artifacts, its answers as the run's description."""

from collections.abc import Sequence
from pathlib import Path

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.note import note
from phitune.analysis.results import Results
from phitune.analysis.results.study_ref import client_of
from phitune.trainables.uri import without_credentials

NOTE_TAG = "mlflow.note.content"
NOT_ONE_STUDY = "it is no single study of it"
NOT_YET = "its search still goes on"


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
    except (MlflowException, OSError) as error:
        return without_credentials(str(error).splitlines()[0])[:200]
    return None
