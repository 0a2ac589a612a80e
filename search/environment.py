"""The environment variables that phitune sets: for its own process, and so for every process that it starts.

Call `environment` before Ray and MLflow are imported, which read some of them then. A value that the user has set
stands. A trial's own process sets the devices and threads of that trial (`trainables.trial`).
"""

from __future__ import annotations

import atexit
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

_SETTINGS = {
    # No telemetry that nobody asked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Trials are logged by the writer.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune's own state would be saved twice: it is in the journal and in Optuna's storage.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # The reasons of failed trials are in their records.
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    # The searcher limits the trials that wait: all processes start at once, not one after the other.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    # The table of `search.progress` takes the place of Tune's.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths of a study mean the same in trials.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Workers use this environment as it is; Ray would have `uv run` build one for each, which takes for ever where a
    # project's path is relative.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # They would be of no use: a trial's process has an environment of its own.
    "RAY_prestart_worker_first_driver": "0",
    # A trial without a GPU must not hide those of a population's host.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# MLflow's own retries would hold up the writer for minutes; the writer retries without end.
_WRITER = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
_UNLESS_VERBOSE = {"RAY_DEDUP_LOGS": "1", "GIT_PYTHON_REFRESH": "quiet"}


def environment(verbose: bool) -> None:
    """Sets everything that a search or an analysis needs.

    Args:
        verbose: Whether Ray's and MLflow's own messages are shown.
    """
    for name, value in (_SETTINGS if verbose else _SETTINGS | _UNLESS_VERBOSE).items():
        os.environ.setdefault(name, value)
    _do_without_home()


def writable(folder: Path) -> bool:
    """Whether this process may write to a folder, or may make it."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def forget_cluster_addresses() -> None:
    """Removes the variables that Ray's job client prefers to the address that it is given."""
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        os.environ.pop(name, None)


@cache
def _do_without_home() -> None:
    """Gives Matplotlib, which keeps a cache, and Ray, which fails without a home, a folder where there is none."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    if home is not None and writable(home):
        return
    scratch = mkdtemp(prefix="phitune-home-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    os.environ.setdefault("MPLCONFIGDIR", scratch)
    if home is None:
        os.environ["HOME"] = scratch


def writer() -> dict[str, str]:
    """The environment of the process that writes to MLflow."""
    return _WRITER | os.environ


def workers() -> dict[str, str]:
    """The variables of Ray's workers: a user's own modules are searched for in the working directory first."""
    path = [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(path)}
