"""Trials of studies as one tidy table: from MLflow, from a CSV of one's own, from Parquet."""

from analysis.results.csv_file import read_csv
from analysis.results.gather import Results, gather
from analysis.results.load import load
from analysis.results.mlflow_client import curves, parent_run_id
from analysis.results.study_ref import StudyRef, find_study
from analysis.results.table import COLUMNS, read_parquet, tidy, write_parquet

__all__ = [
    "COLUMNS",
    "Results",
    "StudyRef",
    "curves",
    "find_study",
    "gather",
    "load",
    "parent_run_id",
    "read_csv",
    "read_parquet",
    "tidy",
    "write_parquet",
]
