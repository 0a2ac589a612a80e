"""The report of a study that is searched; with a real search in tests/system/test_end_to_end.py."""

import shutil
from pathlib import Path
from threading import Timer

import pytest
from mlflow import MlflowClient

from phitune.analysis.report.watch import watch
from phitune.analysis.results import StudyRef
from phitune.analysis.results.table import NothingCompletedError
from tests.analysis.synthetic_study import add_trials


def test_a_watch_waits_for_a_first_trial_until_the_search_has_ended(study: StudyRef, tmp_path: Path) -> None:
    shutil.copy(study.tracking_uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    parent = add_trials(uri, "watched")
    client = MlflowClient(tracking_uri=uri)
    search = Timer(1.0, client.set_terminated, [parent])
    search.start()
    with pytest.raises(NothingCompletedError, match="has no finished trial yet"):
        next(watch("watched", uri, tmp_path / "out", pause=0.1))
    # Ended before the watch gave up, not after.
    assert client.get_run(parent).info.status == "FINISHED"
    search.join()
    assert not (tmp_path / "out").exists()
