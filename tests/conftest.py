"""The command line as a user runs it: its own process, its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "phitune", *arguments]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}


@pytest.fixture(scope="session")
def phitune() -> Run:
    """Runs ``phitune ARGUMENTS`` in a folder, with more in its environment; gives back exit code and output."""

    def run(*arguments: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        env = environment() | more
        return subprocess.run(
            command(*arguments), cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, phitune: Run) -> Iterator[Path]:
    """A folder in which the study ``small`` was searched to its end."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    done = phitune("search", "small.yaml", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    yield folder


SMALL = """
name: small
workloads: [mlp/digits, {name: quadratic, kappa: 10, noise: 1.0, dim: 60}]
budgets: [32, 64, 128, 256]
families: [uba, linear, cosine]
trials: 28
replicates: 2
"""
