"""A search in a process of its own, to be watched and disturbed: its trials, its processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

from tests.conftest import command, environment

_Found = TypeVar("_Found")


def ended(folder: Path) -> int:
    """How many trials of the study ``s`` have ended."""
    path = folder / "runs/s/trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start(folder: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    """``phitune search study.yaml``, with options and with more in its environment."""
    return subprocess.Popen(
        command("search", "study.yaml", *options),
        cwd=folder,
        env=environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], _Found], process: subprocess.Popen[str]) -> _Found:
    """Waits for something to be so, or to be there, while the search is at work; returns what there is."""
    deadline = time.monotonic() + 300
    while not (found := condition()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The search and all it has started, as far as it lives."""
    with suppress(psutil.NoSuchProcess):
        driver = psutil.Process(process.pid)
        return [driver, *driver.children(recursive=True)]
    return []


def named(process: subprocess.Popen[str], *starts: str) -> list[psutil.Process]:
    """Those of the family whose names start so."""
    found = []
    for member in family(process):
        with suppress(psutil.NoSuchProcess):
            if member.name().startswith(starts):
                found.append(member)
    return found


def kill(*members: psutil.Process) -> None:
    """Kills processes and waits until they are gone."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(members, timeout=20)
