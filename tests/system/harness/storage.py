"""A file system that can be made to hang, as a network drive does whose server is away."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size: str = "256M") -> Iterator[Path]:
    """Puts a file system of its own at an empty folder; skips the test where this user may not mount anything."""
    image = folder.with_name(f"{folder.name}.img")
    try:
        subprocess.run(["truncate", "--size", size, image], check=True)
        subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine does not let this user mount anything")
    try:
        (folder / "lost+found").rmdir()
        yield folder
    finally:
        # Even if somebody still has a file open there.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """Whoever writes to a mounted folder waits, beyond the reach of any signal, until this is over."""
    subprocess.run(["fsfreeze", "--freeze", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", folder], check=True)
