"""Trials of studies as one tidy table: from MLflow, from a user's CSV, from Parquet."""

from phitune.analysis.results.csv_file.read import read_csv
from phitune.analysis.results.gather import Results, gather
from phitune.analysis.results.load import load
from phitune.analysis.results.mlflow_runs.client import cell_runs, curves, is_searched, parent_run_id
from phitune.analysis.results.study_ref import StudyRef, find_study
from phitune.analysis.results.table import COLUMNS, read_parquet, tidy, write_parquet

__all__ = [
    "COLUMNS",
    "Results",
    "StudyRef",
    "cell_runs",
    "curves",
    "find_study",
    "gather",
    "is_searched",
    "load",
    "parent_run_id",
    "read_csv",
    "read_parquet",
    "tidy",
    "write_parquet",
]
