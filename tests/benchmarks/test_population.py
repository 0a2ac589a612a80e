"""Trials an hour on this machine: processes side by side, and the page."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.population.report import report
from benchmarks.population.single import packed
from tests.conftest import environment

ROW = {"mib_a_trial": None, "matrix_share": 0.5, "copy_share": 0.25}
RESULTS: dict[str, Any] = {
    "command": "python -m benchmarks.population", "device": "cpu", "machine": "2 cores", "versions": "-", "date": "-",
    "workloads": {
        "mlp/digits": {
            "optimizer": "sgd", "precision": "fp32", "full_budget": 600, "load": 1.0, "matmul_tflops": 0.1,
            "copy_gb_s": 10.0, "gflop_a_step": 0.1,
            "processes": [
                {"processes": 1, "steps_a_second": 100.0, "mib_a_trial": 3.0},
                {"processes": 4, "failed": "out of memory"},
            ],
            "population": [
                {"k": 4, "together": 2, "convolution": "loop", "steps_a_second": 250.0, **ROW},
            ],
            "left_out": {"16": "out of memory"},
        }
    },
}  # fmt: skip


@pytest.mark.full
def test_processes_side_by_side_are_timed() -> None:
    row = packed(2, "mlp/digits", False, "sgd", "cpu", 0.05)
    assert row["processes"] == 2
    assert row["steps_a_second"] > 0


@pytest.mark.full
def test_a_failure_in_a_process_is_reported() -> None:
    row = packed(2, "mlp/nothing", False, "sgd", "cpu", 0.05)
    assert "unknown workload 'mlp/nothing'" in row["failed"]


def test_the_page_has_a_row_for_each_and_says_what_waits() -> None:
    page = report(RESULTS)
    assert "| (a) one process | 600 | 1.00 | 10 | 3.0 | – | – |" in page
    assert "| (b) 4 processes | out of memory | | | | | |" in page
    assert "| (c) population of 4, 2 at once, loop | 1500 | 2.50 | 4 | – | 50.0% | 25.0% |" in page
    assert "| (c) population of 16 | out of memory | | | | | |" in page
    assert "There was no GPU" in page
    assert "There was no GPU" not in report({**RESULTS, "device": "cuda"})


@pytest.mark.slow
def test_a_later_run_adds_its_workloads(tmp_path: Path) -> None:
    for label in ("mlp/digits", "cnn/digits"):
        command = [sys.executable, "-m", "benchmarks.population", "--workloads", label, "--rows", "1", "2"]
        subprocess.run(
            [*command, "--processes", "1", "--seconds", "0.05", "--out", str(tmp_path)],
            check=True,
            env=environment(CUDA_VISIBLE_DEVICES=""),
        )
    results = json.loads((tmp_path / "population-cpu.json").read_text(encoding="utf-8"))
    assert list(results["workloads"]) == ["mlp/digits", "cnn/digits"]
    assert [row["k"] for row in results["workloads"]["cnn/digits"]["population"]] == [1, 2]
    page = (tmp_path / "population-cpu.md").read_text(encoding="utf-8")
    assert str(tmp_path) not in page
    assert "## mlp/digits" in page
    assert "## cnn/digits" in page
