"""Searches in surroundings that lack something: a home directory, CPUs of the machine, plain letters in a path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, Run, command, environment

pytestmark = pytest.mark.full

STUDY = """
name: s
workloads: [{name: quadratic, kappa: 10, noise: 0.03}]
budgets: [20]
families: [uba, linear]
baselines: []
trials: 6
replicates: 0
early_stopping: none
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return tmp_path


def run(folder: Path, env: dict[str, str], *arguments: str, before: tuple[str, ...] = ()) -> str:
    """What a command prints, behind others such as ``taskset``; it must do well."""
    process = subprocess.run(
        [*before, *command(*arguments)],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 0, process.stdout
    return process.stdout


def test_a_home_directory_that_cannot_be_written_is_done_without(folder: Path) -> None:
    # Not even root can.
    env = environment(HOME="/dev/null/home")
    assert "6 completed" in run(folder, env, "search", "study.yaml")
    shown = run(folder, env, "analyze", "s")
    assert "Report: " in shown and "atplotlib" not in shown


def test_a_user_without_a_home_directory_can_search(folder: Path) -> None:
    nobody = ("unshare", "--user", "--map-user=12345")
    if shutil.which("unshare") is None or subprocess.run([*nobody, "true"], check=False).returncode:
        pytest.skip("needs user namespaces, for a user that the machine does not know")
    env = {key: value for key, value in environment().items() if key != "HOME"}
    program = "import pathlib\ntry: pathlib.Path.home()\nexcept RuntimeError: print('homeless')"
    assert subprocess.check_output([*nobody, sys.executable, "-c", program], env=env, text=True) == "homeless\n"
    assert "6 completed" in run(folder, env, "search", "study.yaml", before=nobody)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_slots_are_the_cpus_that_the_process_may_use(folder: Path) -> None:
    first = str(min(os.sched_getaffinity(0)))
    shown = run(folder, environment(), "search", "study.yaml", before=("taskset", "--cpu-list", first))
    assert "1 running" in shown and "2 running" not in shown


def test_a_path_with_letters_that_mean_something_in_uris_and_shells(folder: Path, phitune_in_process: Run) -> None:
    odd = folder / "a%20b" / "c?d#e"
    odd.mkdir(parents=True)
    shown = run(odd, environment(), "search", "../../study.yaml", "--out", "my runs/x")
    assert shown.splitlines()[-1] == "Next: phitune analyze 'my runs/x'"
    analysis = phitune_in_process("analyze", str(odd / "my runs/x"), cwd=folder)
    assert analysis.returncode == 0, analysis.stderr
    assert (odd / "my runs/x/report/report.html").is_file()
    assert {path.name for path in folder.iterdir()} == {"study.yaml", "a%20b"}
    assert {path.name for path in odd.iterdir()} == {"my runs", "runs"}
