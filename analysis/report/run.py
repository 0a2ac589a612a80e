"""From a study to its report: load, compute, write, and log on the study's MLflow run."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.pages import MOST_OF_TAG, cut, note, write_files
from phitune.analysis.results import Results, StudyRef
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import Uba

DEFAULT_PHI_RANGE = (Uba.parameters["phi"].low, Uba.parameters["phi"].high)
PACKAGES = ("phitune", "ray", "optuna", "mlflow", "torch", "numpy", "scipy")
NOTE = "mlflow.note.content"
SEARCHED = "## What was searched"


@dataclass(frozen=True)
class Analysis:
    """What `analyze` did.

    Attributes:
        study: The study's name.
        out: Directory with guidelines.json, results.parquet, report.html, report.md and figures/.
        table: The results table.
        guidelines: The conclusions.
        not_logged: Why the report could not be logged to MLflow; None if it was.
    """

    study: str
    out: Path
    table: pd.DataFrame
    guidelines: Guidelines
    not_logged: str | None = None


def analyze(
    study: str | Sequence[str], tracking_uri: str | None = None, out: str | Path | None = None, date: str | None = None
) -> Analysis:
    """Analyse a study and write its report.

    Args:
        study: The study's name or its output directory, or a file of one's own results; several are joined. See
            `results.gather`.
        tracking_uri: See `results.find_study`.
        out: Where to write; by default `report` in the study's output directory, else runs/<name>/report; several
            names are joined by a plus.
        date: For the record; by default today (UTC).

    Returns:
        Table, conclusions and where they are written.

    Raises:
        InputError: No such study, or no finished trial. Nothing is written then.
    """
    found = results.gather([study] if isinstance(study, str) else study, tracking_uri)
    today = date or datetime.now(UTC).date().isoformat()
    guidelines = build(found.table, provenance(found, today), searched_phi(found.studies))
    target = Path(out) if out is not None else found.out_dir / "report"
    written = write(found.table, guidelines, found.name, target)
    return Analysis(found.name, target, found.table, guidelines, _log(found, guidelines, target, written))


def provenance(found: Results, date: str) -> dict[str, Any]:
    """Where the figures come from, without credentials."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "study": found.name,
        "tracking_uri": ", ".join(found.sources),
        "trials": int((found.table["phase"] == "explore").sum()),
        "replicates": int((found.table["phase"] == "replicate").sum()),
        "left_out": list(found.notes),
        "date": date,
        "versions": versions,
    }


def searched_phi(studies: Sequence[StudyRef]) -> tuple[float, float] | None:
    """The range of phi in the studies' own study.yaml, from the lowest to the highest; None if one cannot be read."""
    ranges = [_searched_phi(ref) for ref in studies]
    known = [each for each in ranges if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known and None not in ranges else None


def _searched_phi(ref: StudyRef) -> tuple[float, float] | None:
    path = ref.out_dir / "study.yaml" if ref.out_dir is not None else None
    if path is None or not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        low, high = (content.get("space") or {}).get("phi", DEFAULT_PHI_RANGE)
        return (float(low), float(high)) if 0 < float(low) < float(high) else None
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        return None


def write(table: pd.DataFrame, guidelines: Guidelines, study: str, out: Path) -> list[Path]:
    """Write all files; they appear only when all of them are complete.

    Returns:
        Their paths below `out`.

    Raises:
        InputError: The directory cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".report-", dir=out.parent))
    except OSError as error:
        raise InputError(f"--out: cannot write to {str(out)!r} ({error.strerror})") from None
    try:
        write_files(table, guidelines, study, made)
        (out / "figures").mkdir(exist_ok=True)
        written = sorted(p.relative_to(made) for p in made.rglob("*") if p.is_file())
        for path in written:
            os.replace(made / path, out / path)
        return written
    finally:
        shutil.rmtree(made, ignore_errors=True)
        with suppress(OSError):
            # Only an empty one goes.
            out.rmdir()


def _log(found: Results, guidelines: Guidelines, out: Path, written: list[Path]) -> str | None:
    """Log the report on the study's run; a store that takes no artifacts costs the log, not the report."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    if len(found.sources) != 1 or not found.studies:
        return "it is no single study of it"
    ref = found.studies[0]
    try:
        client = MlflowClient(tracking_uri=ref.tracking_uri)
        run = results.parent_run_id(ref)
        for path in written:
            client.log_artifact(run, str(out / path), str("report" / path.parent))
        told = client.get_run(run).data.tags.get(NOTE, "")
        # Whoever made the run described what was searched; the answers go before it, in place of earlier ones.
        searched = told[told.find(SEARCHED) :] if SEARCHED in told else ""
        client.set_tag(run, NOTE, cut("\n\n".join(filter(None, [note(guidelines), searched])), MOST_OF_TAG))
    except (MlflowException, OSError) as error:
        return without_credentials(str(error).splitlines()[0])[:200]
    return None
