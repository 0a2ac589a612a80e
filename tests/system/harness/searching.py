"""A search in a process of its own: how far it is, which processes it has, how to kill them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

from tests.conftest import PATIENCE, command, environment

T = TypeVar("T")


def ended(folder: Path) -> int:
    """Number of trials of the study ``s`` that have ended."""
    path = folder / "runs/s/trials.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start(folder: Path, *options: str, **more: str) -> subprocess.Popen[str]:
    """Starts ``phitune search study.yaml`` with options and more environment variables."""
    return subprocess.Popen(
        command("search", "study.yaml", *options),
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], T], process: subprocess.Popen[str]) -> T:
    """Waits until ``condition`` returns something true while the search is at work; returns that."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The search and its descendants that are alive."""
    with suppress(psutil.NoSuchProcess):
        driver = psutil.Process(process.pid)
        return [driver, *driver.children(recursive=True)]
    return []


def named(process: subprocess.Popen[str], *starts: str) -> list[psutil.Process]:
    """Members of the family whose names start with one of ``starts``."""
    members = []
    for member in family(process):
        with suppress(psutil.NoSuchProcess):
            if member.name().startswith(starts):
                members.append(member)
    return members


def kill(*members: psutil.Process) -> None:
    """Kills processes and waits until they are gone."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(members, timeout=20)
