"""A study's last report, read back without fitting anew."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phitune.analysis.results.journal import count_ended
from phitune.analysis.results.study_ref import JOURNAL_FILE, STUDY_FILE
from phitune.trainables.errors import InputError
from phitune.trainables.suggestion import did_you_mean

GUIDELINES_FILE = "guidelines.json"


@dataclass(frozen=True)
class SavedReport:
    """What a report said.

    Attributes:
        folder: The report's directory.
        summary: As of `words.summary.summary`.
        date: Of the analysis.
        since: Trials that have ended since, as far as is known here.
    """

    folder: Path
    summary: dict[str, Any]
    date: str
    since: int


def saved_report(study: str) -> SavedReport:
    """The last report of a study.

    Args:
        study: The study's name, its output directory, or the report's directory.

    Raises:
        InputError: There is no such study or no report of it, or the report is damaged or of an earlier version.
    """
    places = [Path(study), Path("runs") / study]
    folders = [folder for place in places for folder in (place / "report", place)]
    folder = next((folder for folder in folders if (folder / GUIDELINES_FILE).is_file()), None)
    if folder is None:
        raise InputError(_nothing(study, places))
    try:
        content = json.loads((folder / GUIDELINES_FILE).read_text(encoding="utf-8"))
        provenance = content["provenance"]
        journal = folder.parent / JOURNAL_FILE
        ended = count_ended(journal) if journal.is_file() else 0
        since = max(ended - provenance["trials"] - provenance["replicates"], 0)
        return SavedReport(folder, dict(content["summary"]), str(provenance["date"]), since)
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"STUDY: {str(folder / GUIDELINES_FILE)!r} is damaged or of an earlier version; write it anew: "
            f"phitune analyze {study}"
        ) from None


def _nothing(study: str, places: list[Path]) -> str:
    if any((place / file).is_file() for place in places for file in (STUDY_FILE, JOURNAL_FILE)):
        return f"STUDY: {study!r} has no report yet; write it: phitune analyze {study}"
    known = sorted(path.parent.name for path in Path("runs").glob(f"*/{STUDY_FILE}"))
    there = f"there are: {', '.join(known)}" if known else "phitune search searches one"
    return f"STUDY: no study {study!r} here;{did_you_mean(study, known)} {there}"
