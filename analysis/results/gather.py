"""Several studies, and files of a user's results, as one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from phitune.analysis.results.csv_file.read import read_csv
from phitune.analysis.results.load import load
from phitune.analysis.results.study_ref import StudyRef, find_study
from phitune.analysis.results.table import read_parquet, require_comparable, require_completed, rung_columns
from phitune.trainables.errors import InputError


@dataclass(frozen=True)
class Results:
    """Results to analyse.

    Attributes:
        name: The study's name; several names are joined by a plus.
        table: The results table; see `load`. Of several sources, trial ids (and `finalist`) begin with their study.
        studies: The studies among the sources that are in MLflow.
        sources: A tracking URI without credentials, or a file, for each source.
        notes: Sentences on what was left out.
        out_dir: The study's output directory if there is one study, else runs/<name>.
    """

    name: str
    table: pd.DataFrame
    studies: tuple[StudyRef, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    out_dir: Path


def gather(names: Sequence[str], tracking_uri: str | None = None) -> Results:
    """Load studies by name or output directory, CSV files (`read_csv`) and Parquet files, and join them.

    Cells of the same workload, optimizer and budget become one.

    Args:
        names: Studies and files as the user names them; a name that ends in .csv or .parquet is a file.
        tracking_uri: See `find_study`.

    Returns:
        The joined results.

    Raises:
        InputError: A source cannot be found or read, two have the same name, or a cell's objective, metric, direction
            or full budget is not the same throughout.
    """
    tables, studies, sources, notes = [], [], [], []
    for name in names:
        path = Path(name)
        if path.suffix == ".csv":
            table, omissions = read_csv(path)
            notes += omissions
            sources.append(str(path))
        elif path.suffix == ".parquet":
            table = read_parquet(path)
            sources.append(str(path))
        else:
            ref = find_study(name, tracking_uri)
            table = load(ref)
            studies.append(ref)
            sources.append(ref.public_uri)
        tables.append(table)
    study_names = [study for table in tables for study in table["study"].unique()]
    for study in study_names:
        if study_names.count(study) > 1:
            raise InputError(f"STUDY: {study!r} is given twice; results of one name cannot be told apart")
    joined = tables[0] if len(tables) == 1 else _joined(tables)
    require_comparable(joined)
    lost = (joined["status"] == "completed") & ~np.isfinite(joined["objective"])
    if lost.any():
        notes.append(f"{int(lost.sum())} completed trials have no finite objective and are left out")
        joined = joined[~lost].reset_index(drop=True)
        require_completed(joined, " and ".join(study_names))
    title = "+".join(study_names)
    own = studies[0].out_dir if len(names) == len(studies) == 1 else None
    return Results(title, joined, tuple(studies), tuple(sources), tuple(notes), own or Path("runs") / title)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    prefixed = [
        table.assign(
            trial_id=table["study"] + ":" + table["trial_id"], finalist=table["study"] + ":" + table["finalist"]
        )
        for table in tables
    ]
    out = pd.concat(prefixed, ignore_index=True)
    rungs = rung_columns(out.columns)
    return out[[c for c in out.columns if c not in rungs] + rungs]
