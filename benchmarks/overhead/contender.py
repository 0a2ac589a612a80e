"""What a contender is: a command, run in its own process and folder, that notes when each trial ended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENDS = "ends.jsonl"
# Seed, processes and slots are the same for all.
SEED = 0
SLOTS = 2


@dataclass(frozen=True)
class End:
    """A trial that ended: Unix time, and the iterations it trained."""

    at: float
    steps: int


@dataclass(frozen=True)
class Contender:
    """One way to run the same trials.

    Attributes:
        name: On the command line and in the table.
        says: One line: what is on.
        command: Interpreter and arguments, from the folder to work in and the number of trials.
        ends: Reads the ended trials from the folder.
        most: Trials at most, where each costs seconds.
        database: MLflow's SQLite file in the folder; None if it does not record there.
    """

    name: str
    says: str
    command: Callable[[Path, int], list[str]]
    ends: Callable[[Path], list[End]]
    most: int | None = None
    database: str | None = None


def module_command(module: str, *options: str, python: str = sys.executable) -> Callable[[Path, int], list[str]]:
    """``python -m module FOLDER TRIALS OPTIONS``."""
    return lambda folder, trials: [python, "-m", module, str(folder), str(trials), *options]


def note_end(folder: Path, steps: int) -> None:
    """Appends an ended trial to the folder's file; for the contenders that have no journal of their own."""
    with (folder / ENDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": time.time(), "steps": steps}) + "\n")


def noted_ends(folder: Path) -> list[End]:
    """What `note_end` wrote, in order of time."""
    path = folder / ENDS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sorted((End(**json.loads(line)) for line in lines), key=lambda end: end.at)
