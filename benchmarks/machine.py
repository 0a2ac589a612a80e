"""What a result says about where it was measured."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("phitune", "ray", "optuna", "mlflow", "numpy", "torch")


def header(packages: Sequence[str] = PACKAGES, *others: str) -> dict[str, str]:
    """Command, machine, versions and date.

    Args:
        packages: Those whose versions are included.
        others: Versions of what is no package of this Python.
    """
    versions = [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages), *others]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "command": " ".join(["python -m", _module(), *_shown(sys.argv[1:])]),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, {platform.system()}",
        "versions": ", ".join(versions),
        "date": datetime.now(UTC).date().isoformat(),
    }


def environment() -> dict[str, str]:
    """For the processes that are measured: modules of the working directory, quiet libraries, compiled modules."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0", "GIT_PYTHON_REFRESH": "quiet"}
    return {**inherited, **quiet, "PYTHONPATH": os.getcwd()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


def _module() -> str:
    """The module that Python runs."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name


def _shown(arguments: list[str]) -> list[str]:
    """The command line without the places of this machine."""
    return [Path(argument).name if argument.startswith("/") else argument for argument in arguments]
