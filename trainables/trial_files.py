"""Where the files of a trial lie in its study's directory."""

from __future__ import annotations

from pathlib import Path

# A trial id has a slash, which a file name cannot have; no id has this.
_SLASH = "@"


def file_name(trial_id: str) -> str:
    """A trial's id as the name of a file."""
    return trial_id.replace("/", _SLASH)


def files_of(out: Path, trial_id: str) -> Path:
    """The folder of the files that a function workload writes in a trial.

    Args:
        out: The study's directory.
    """
    return out / "files" / file_name(trial_id)
