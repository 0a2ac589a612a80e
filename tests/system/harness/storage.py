"""A file system that can be made to hang, as a network drive does whose server is away."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.harness.requirements import program, require_right


@contextmanager
def mounted(folder: Path, size: str = "256M") -> Iterator[Path]:
    """Mounts a file system of its own at an empty folder."""
    image = folder.with_name(f"{folder.name}.img")
    subprocess.run(["truncate", "--size", size, image], check=True)
    mkfs = program("mkfs.ext4", package="e2fsprogs", folders="*sbin")
    subprocess.run([mkfs, "-q", image], capture_output=True, check=True)
    require_right(["mount", "-o", "loop", str(image), str(folder)], "mount a file")
    try:
        (folder / "lost+found").rmdir()
        yield folder
    finally:
        # Even if a process still has a file open there.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """Makes every process that writes to a mounted folder wait, beyond the reach of any signal, until the end."""
    fsfreeze = program("fsfreeze", package="util-linux", folders="*sbin")
    subprocess.run([fsfreeze, "--freeze", folder], check=True)
    try:
        yield
    finally:
        subprocess.run([fsfreeze, "--unfreeze", folder], check=True)
