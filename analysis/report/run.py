"""From a study to its report: load, conclude, write, log."""

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
from phitune.analysis.guidelines.equal import SHARE
from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.mlflow_log import log_report
from phitune.analysis.report.pages import write_report
from phitune.analysis.results import Results, StudyRef
from phitune.trainables.percentage import percentage
from phitune.trainables.schedules import Uba

DEFAULT_PHI_RANGE = (Uba.parameters["phi"].low, Uba.parameters["phi"].high)
PACKAGES = ("phitune", "ray", "optuna", "mlflow", "torch", "numpy", "scipy")


@dataclass(frozen=True)
class Analysis:
    """A study's table, its conclusions and its report.

    Attributes:
        study: The study's name.
        out: The report's directory, with guidelines.json, results.parquet, report.html, report.md and figures/.
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
        study: The study's name or its output directory, or a CSV file of other results; several are joined. See
            `results.gather`.
        tracking_uri: See `results.find_study`.
        out: Where to write; by default `report` in the study's output directory, else runs/<name>/report; several
            names are joined by a plus.
        date: For the record; by default today (UTC).

    Raises:
        InputError: No such study, or no finished trial. Nothing is written then.
    """
    gathered = results.gather([study] if isinstance(study, str) else study, tracking_uri)
    today = date or datetime.now(UTC).date().isoformat()
    phi_range, equal = searched_phi(gathered.studies), equal_share(gathered.studies)
    guidelines = build(gathered.table, provenance(gathered, today), phi_range, equal=equal)
    target = Path(out) if out is not None else gathered.out_dir / "report"
    files = write_report(gathered.table, guidelines, gathered.name, target)
    not_logged = log_report(gathered, guidelines, target, files)
    return Analysis(gathered.name, target, gathered.table, guidelines, not_logged)


def provenance(gathered: Results, date: str) -> dict[str, Any]:
    """Origin of the figures: study, tracking URI without credentials, counts, date, versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "study": gathered.name,
        "tracking_uri": ", ".join(gathered.sources),
        "trials": int((gathered.table["phase"] == "explore").sum()),
        "replicates": int((gathered.table["phase"] == "replicate").sum()),
        "left_out": list(gathered.notes),
        "date": date,
        "versions": versions,
    }


def searched_phi(studies: Sequence[StudyRef]) -> tuple[float, float] | None:
    """Range of phi in the studies' study.yaml, from the lowest to the highest; None if one cannot be read."""
    ranges = [_searched_phi(_study_file(ref)) for ref in studies]
    known = [each for each in ranges if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known and None not in ranges else None


def equal_share(studies: Sequence[StudyRef]) -> float:
    """Share of the budget whose worth counts as nothing: the smallest in the studies' study.yaml, else `SHARE`."""
    shares = []
    for ref in studies:
        content = _study_file(ref)
        with suppress(AttributeError, TypeError, ValueError):
            shares.append(percentage(content.get("equal", f"{SHARE:%}")))
    return min(shares, default=SHARE)


def _study_file(ref: StudyRef) -> Any:
    """The content of a study's study.yaml; None where it cannot be read."""
    path = ref.out_dir / "study.yaml" if ref.out_dir is not None else None
    if path is None or not path.is_file():
        return None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError):
        return None


def _searched_phi(content: Any) -> tuple[float, float] | None:
    try:
        low, high = (content.get("space") or {}).get("phi", DEFAULT_PHI_RANGE)
        return (float(low), float(high)) if 0 < float(low) < float(high) else None
    except (AttributeError, TypeError, ValueError):
        return None
