"""What a test needs of the machine beyond Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest


def require(present: object, reason: str) -> None:
    """Skips the test, or the module, for ``reason`` unless what it needs is present; with ``CI=true`` fails it."""
    if not present:
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason, allow_module_level=True)


def require_packages(*names: str, extra: str) -> None:
    """Requires, as `require` does, that all packages of one of phitune's extras can be imported."""
    missing = [name for name in names if find_spec(name) is None]
    require(not missing, f"no {' and '.join(missing)}; pip install 'phitune[{extra}]'")


def program(*names: str, package: str, folders: str = "") -> str:
    """The path of a program that a test requires.

    Args:
        names: What it may be called.
        package: The package of Debian that has it.
        folders: Pattern of the folders below / where it lies when it is not on the path.
    """
    candidates = [shutil.which(name) for name in names]
    if folders:
        candidates += [str(path) for name in names for path in Path("/").glob(f"{folders}/{name}")]
    path = next(filter(None, candidates), None)
    require(path, f"no {' or '.join(names)}; on Debian: apt-get install {package}")
    return str(path)


def require_right(line: Sequence[str], right: str) -> None:
    """Skips the test, as `require` does, unless a command shows that this user may do what it needs."""
    try:
        allowed = subprocess.run(line, capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    require(allowed, f"this machine does not let this user {right}")
