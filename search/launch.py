"""Puts a study on Ray: explore, then replicate; resume."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from phitune.search.cluster.connect import connect, quiet
from phitune.search.cluster.storage import require_storage
from phitune.search.proposing.warm_start import earlier_cells
from phitune.search.ray_internals.checks import missing
from phitune.search.records.directory import claim, describe, owned
from phitune.search.records.journal import Journal
from phitune.search.session import Session
from phitune.search.study.model import Study
from phitune.search.tracking import Tracker, facts_of
from phitune.trainables.uri import require_host_and_port

# Seconds to wait at the end for a tracking store that does not answer.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Attributes:
        finished: Whether every trial of the study has ended.
        fresh: Trials that ended in this process.
        unwritten: Ended trials that MLflow does not have yet.
        trouble: Why it ended before it was finished; empty if it was finished or interrupted.
        hopeless: A line for each cell in which all trials failed or diverged.
        in_vain: Whether there is no other cell.
    """

    finished: bool
    fresh: int
    unwritten: int
    trouble: str
    hopeless: tuple[str, ...]
    in_vain: bool


def launch(
    study: Study, out: Path, tracking_uri: str, address: str | None, console: Console, verbose: bool = False
) -> Outcome:
    """Runs a study to its end, or on from where an earlier process left it.

    Args:
        out: The study's output directory; created.
        tracking_uri: MLflow's.
        address: A running Ray cluster; None starts Ray on this machine alone.
        verbose: Whether Ray's and MLflow's own messages are shown.

    Raises:
        InputError: The directory belongs to another study or cannot be written, here or on the cluster's nodes, the
            cluster cannot be reached or cannot hold a trial, the tracking URI is malformed, its store does not answer.
    """
    require_host_and_port(tracking_uri)
    quiet(verbose)
    with owned(out):
        before = claim(study, out)
        journal = Journal(out / "trials.jsonl")
        earlier = earlier_cells(study.earlier, out, study.cells)
        for line in (before.damage, *(f"study changed: {change}" for change in before.changes)):
            if line:
                console.print(line, soft_wrap=True)
        tracker = Tracker(verbose)
        try:
            fresh = before.study_id is None
            if fresh:
                _join(study, out, address, console, verbose)
            study_id = before.study_id or uuid.uuid4().hex
            facts = facts_of(study, study_id, str(out), before.study, before.cells)
            cells = asdict(facts)["cells"]
            describe(out, study, study_id, tracking_uri, {**before.opened, "cells": cells})
            opened = tracker.open(tracking_uri, facts, out, before.opened.get("parent_run_id"))
            describe(out, study, study_id, tracking_uri, {**opened, "cells": cells})
            session = Session(study, out, journal, tracker, console, earlier, facts.cells)
            if before.moved and session.explored:
                console.print(
                    f"The cells have had their explore trials; with more of them, such as "
                    f"--set trials={2 * study.most}, the search goes on with what is searched now.",
                    soft_wrap=True,
                )
            try:
                if not session.finished:
                    if not fresh:
                        _join(study, out, address, console, verbose)
                    session.run()
            finally:
                unwritten = tracker.close("FINISHED" if session.finished else "KILLED", _PATIENCE)
        finally:
            tracker.abandon()
        hopeless = session.hopeless
        in_vain = len(hopeless) == len(study.cells)
        return Outcome(session.finished, session.fresh, unwritten, session.trouble, hopeless, in_vain)


def _join(study: Study, out: Path, address: str | None, console: Console, verbose: bool) -> None:
    for line in missing():
        console.print(line, soft_wrap=True)
    connect(study, address, verbose)
    warning = require_storage(study, out / "checkpoints") if address else ""
    if warning:
        console.print(warning, soft_wrap=True)
