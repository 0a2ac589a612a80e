"""Several studies, and files of a user's results, as one table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from phitune.analysis.results.csv_file.read import read_csv
from phitune.analysis.results.load import load_with_notes
from phitune.analysis.results.study_ref import StudyRef, find_study
from phitune.analysis.results.table import (
    CELL,
    read_parquet,
    require_comparable,
    require_completed,
    tidy,
)
from phitune.trainables.errors import InputError


@dataclass(frozen=True)
class Results:
    """Results to analyse.

    Attributes:
        name: The study's name; several names are joined by a plus.
        table: The results table; see `load`. Of several sources, trial ids (and `finalist`) begin with their study.
        studies: The studies among the sources that are in MLflow.
        sources: A tracking URI without credentials, or a file, for each source.
        notes: Sentences on what was left out, or read elsewhere than in MLflow.
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

    Cells of the same workload, optimizer and budget become one. A training that several sources have, which has the
    same configuration, seed and result, counts once.

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
            table, lacking = load_with_notes(ref)
            notes += lacking
            studies.append(ref)
            sources.append(ref.public_uri)
        tables.append(table)
    study_names = [study for table in tables for study in table["study"].unique()]
    for study in study_names:
        if study_names.count(study) > 1:
            raise InputError(f"STUDY: {study!r} is given twice; results of one name cannot be told apart")
    joined, repeated = (tables[0], 0) if len(tables) == 1 else _joined(tables)
    if repeated:
        several = " and ".join(study_names)
        trials = "trial is" if repeated == 1 else "trials are"
        notes.append(f"{repeated} {trials} left out, as several of {several} have them; each training counts once")
    require_comparable(joined)
    lost = (joined["status"] == "completed") & ~np.isfinite(joined["objective"])
    if lost.any():
        notes.append(f"{int(lost.sum())} completed trials have no finite objective and are left out")
        joined = joined[~lost].reset_index(drop=True)
        require_completed(joined, " and ".join(study_names))
    title = "+".join(study_names)
    own = studies[0].out_dir if len(names) == len(studies) == 1 else None
    return Results(title, joined, tuple(studies), tuple(sources), tuple(notes), own or Path("runs") / title)


def _joined(tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """Each training once, with trial ids that tell the studies apart; and how many rows were left out."""
    prefixed = [
        table.assign(
            trial_id=table["study"] + ":" + table["trial_id"], finalist=table["study"] + ":" + table["finalist"]
        )
        for table in tables
    ]
    out = tidy(pd.concat(prefixed, ignore_index=True))
    schedules = {text: json.dumps(json.loads(text), sort_keys=True) for text in out["schedule"].unique()}
    # The steps of a completed trial are its budget; a file of results need not say so.
    same = out.assign(schedule=out["schedule"].map(schedules), steps=out["steps"].mask(out["status"] == "completed"))
    configuration = [*CELL, "schedule", "base_lr"]
    training = same.groupby([*configuration, "seed", "status", "objective", "steps"], dropna=False).ngroup()
    # A finalist that is left out is known by the id of the same one that stays, and so is one of which another study
    # has replicates.
    stays = dict(zip(out["trial_id"], out.groupby(training)["trial_id"].transform("first"), strict=True))
    same["finalist"] = out["finalist"].map(lambda name: stays.get(name, name), na_action="ignore")
    replicates = same[same["finalist"].notna()]
    first = replicates.groupby(configuration)["finalist"].transform("first")
    out = tidy(out.assign(finalist=first.reindex(out.index)))
    repeated = training.duplicated()
    return out[~repeated].reset_index(drop=True), int(repeated.sum())
