"""CPU time and memory of a process and all that it started, sampled while it runs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_MIB = 2.0**20


@dataclass(frozen=True)
class Sample:
    """One look at the processes.

    Attributes:
        at: Unix time.
        cpu: CPU seconds so far: ``driver`` (the process itself), ``trials`` (Ray's workers), ``ray`` (its
            servers), ``other`` (any other child).
        driver_mib: Resident memory of the process itself.
        all_mib: Of all of them; shared pages count in each.
        note: What the caller's ``look`` gave.
    """

    at: float
    cpu: dict[str, float]
    driver_mib: float
    all_mib: float
    note: int


@dataclass
class Metered:
    """A finished process: when it ran, how it ended, and the samples."""

    began: float
    ended: float
    code: int
    samples: list[Sample] = field(default_factory=list)

    def cpu_between(self, start: float, end: float) -> dict[str, float]:
        """CPU seconds by kind of process between two times, to the nearest samples."""
        if not self.samples:
            return {}
        first, last = (min(self.samples, key=lambda sample: abs(sample.at - at)) for at in (start, end))
        return {kind: seconds - first.cpu.get(kind, 0.0) for kind, seconds in last.cpu.items()}


def metered(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    timeout: float,
    every: float = 0.5,
    look: Callable[[], int] = lambda: 0,
) -> Metered:
    """Runs a command to its end, its output in ``output.txt`` of the folder.

    A process that lives shorter than the interval may be missed, so CPU time is a lower bound where every trial is
    a process. After ``timeout`` seconds the command is interrupted as by Ctrl-C.

    Args:
        look: Called at every sample; its number is kept in the sample.
    """
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        began = time.time()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        samples: list[Sample] = []
        watcher = threading.Thread(target=_watch, args=(process, every, look, samples), daemon=True)
        watcher.start()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
        except BaseException:
            process.terminate()
            raise
        ended = time.time()
    watcher.join()
    return Metered(began, ended, code, samples)


def _watch(process: subprocess.Popen[bytes], every: float, look: Callable[[], int], samples: list[Sample]) -> None:
    own = psutil.Process(process.pid)
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    while process.poll() is None:
        driver_mib = all_mib = 0.0
        for one in _family(own):
            try:
                with one.oneshot():
                    times, mib = one.cpu_times(), one.memory_info().rss / _MIB
                    kind = "driver" if one.pid == own.pid else _kind(one.name(), one.cmdline())
                    seen[one.pid, one.create_time()] = kind, times.user + times.system
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            all_mib += mib
            driver_mib = mib if one.pid == own.pid else driver_mib
        cpu: dict[str, float] = {}
        for kind, seconds in seen.values():
            cpu[kind] = cpu.get(kind, 0.0) + seconds
        if driver_mib:
            samples.append(Sample(time.time(), cpu, driver_mib, all_mib, look()))
        time.sleep(every)


def _family(own: psutil.Process) -> list[psutil.Process]:
    try:
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kind(name: str, command: list[str]) -> str:
    line = " ".join(command)
    if name.startswith("ray::") or "default_worker.py" in line:
        return "trials"
    if name in ("raylet", "gcs_server") or "/ray/" in line:
        return "ray"
    return "other"
