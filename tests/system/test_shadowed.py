"""phitune in a working directory whose own modules have the names of its rooms; ``submit`` is in test_jobs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, environment
from tests.system.harness.shadowing import shadow

pytestmark = pytest.mark.full

STUDY = """
name: s
workloads: ["bowl:Bowl", mlp/digits]
budgets: [64, 128]
families: [uba, linear]
trials: 8
replicates: 1
"""
# What the reader of the README has: a model, its loss and its data.
SURROUNDINGS = """
import analysis
import torch
from phitune import recommend, refine, schedule

assert analysis.KAPPA == 7.0
model, loss = torch.nn.Linear(64, 10), torch.nn.functional.cross_entropy
batches = iter(lambda: (torch.randn(8, 64), torch.randint(10, (8,))), None)
"""


@pytest.fixture(scope="module")
def shadowed(tmp_path_factory: pytest.TempPathFactory, phitune: Run) -> Path:
    """Such a directory, in which a study was searched and analysed."""
    folder = tmp_path_factory.mktemp("shadowed")
    shadow(folder)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    for line in (("search", "study.yaml"), ("analyze", "s")):
        result = phitune(*line, cwd=folder)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Traceback" not in result.stdout + result.stderr
    return folder


def test_a_workload_that_imports_its_own_analysis_is_searched_and_recommended(shadowed: Path, phitune: Run) -> None:
    cells = json.loads((shadowed / "runs/s/report/guidelines.json").read_text(encoding="utf-8"))["cells"]
    assert {(cell["workload"], cell["budget"]) for cell in cells} == {
        (workload, budget) for workload in ("bowl:Bowl", "mlp/digits") for budget in (64, 128)
    }
    for workload in ("bowl:Bowl", "mlp/digits"):
        answer = phitune("recommend", "--workload", workload, "--budget", "128", "--json", cwd=shadowed)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["family"] in ("uba", "linear")


def test_the_readmes_python_runs(shadowed: Path) -> None:
    snippets = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert snippets
    (shadowed / "loop.py").write_text("\n".join([SURROUNDINGS, *snippets]), encoding="utf-8")
    script = subprocess.run(
        [sys.executable, "loop.py"], cwd=shadowed, env=environment(), capture_output=True, text=True, check=False
    )
    assert script.returncode == 0, script.stderr
