"""The report of a study while it is searched: reads what the search writes, and leaves it alone."""

import time
from collections.abc import Iterator
from pathlib import Path

from phitune.analysis import results
from phitune.analysis.report.run import Analysis, conclude
from phitune.analysis.results.table import NothingCompletedError


def watch(
    study: str, tracking_uri: str | None = None, out: str | Path | None = None, pause: float = 60.0
) -> Iterator[Analysis]:
    """Analyses of a study, each when trials have ended since the one before, the last one when the search has ended.

    The last one alone is logged to MLflow, where the search writes until then. A search that was killed counts as
    going on until the same command has ended it.

    Args:
        study: See `run.analyze`.
        tracking_uri: See `run.analyze`.
        out: See `run.analyze`.
        pause: Seconds from the end of an analysis to the next look at the study.

    Raises:
        InputError: No such study, or it has ended without a completed trial.
    """
    trials = 0
    while True:
        # Asked before the trials are read, so that none that ends in between is missed.
        ended = not results.is_searched(results.find_study(study, tracking_uri))
        try:
            gathered = results.gather([study], tracking_uri)
        except NothingCompletedError:
            if ended:
                raise
        else:
            if ended or len(gathered.table) > trials:
                trials = len(gathered.table)
                yield conclude(gathered, out, log=ended)
        if ended:
            return
        time.sleep(pause)
