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
from phitune.analysis.report.mlflow_log import NOT_YET, log_report
from phitune.analysis.report.pages import write_report
from phitune.analysis.results import Results, StudyRef
from phitune.trainables.percentage import percentage
from phitune.trainables.schedules import Uba

# Of parameters that are searched where a study file says nothing.
DEFAULT_RANGES = {"phi": (Uba.parameters["phi"].low, Uba.parameters["phi"].high)}
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
    return conclude(results.gather([study] if isinstance(study, str) else study, tracking_uri), out, date)


def conclude(gathered: Results, out: str | Path | None = None, date: str | None = None, log: bool = True) -> Analysis:
    """Fit guidelines to results and write the report.

    Args:
        gathered: The results.
        out: See `analyze`.
        date: See `analyze`.
        log: Whether the report is logged to MLflow too.

    Raises:
        InputError: The directory cannot be written.
    """
    today = date or datetime.now(UTC).date().isoformat()
    ranges, equal = searched_ranges(gathered.studies), equal_share(gathered.studies)
    guidelines = build(gathered.table, provenance(gathered, today), ranges, equal=equal)
    target = Path(out) if out is not None else gathered.out_dir / "report"
    files = write_report(gathered.table, guidelines, gathered.name, target)
    not_logged = log_report(gathered, guidelines, target, files) if log else NOT_YET
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


def searched_ranges(studies: Sequence[StudyRef]) -> dict[str, tuple[float, float]]:
    """Ranges of parameters, each from the lowest to the highest value in the studies that searched it.

    Empty where a study's file cannot be read: nobody knows what that one searched.
    """
    known = [_searched_ranges(_study_file(ref)) for ref in studies]
    ends = [(name, *pair) for each in known for name, pair in each.items()] if all(known) else []
    return {
        name: (min(low for n, low, _ in ends if n == name), max(high for n, _, high in ends if n == name))
        for name in dict.fromkeys(name for name, _, _ in ends)
    }


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


def _searched_ranges(content: Any) -> dict[str, tuple[float, float]]:
    if not isinstance(content, dict):
        return {}
    space, ranges = content.get("space"), dict[str, tuple[float, float]]()
    for name, ends in {**DEFAULT_RANGES, **(space if isinstance(space, dict) else {})}.items():
        with suppress(TypeError, ValueError):
            low, high = map(float, ends)
            ranges |= {str(name): (low, high)} if 0 < low < high else {}
    return ranges
