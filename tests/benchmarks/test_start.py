"""Every benchmark starts: `--help` imports all that it needs first."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Packages that are run as a whole, and modules that take arguments.
NAMES = sorted(
    {path.parent.name for path in BENCHMARKS.glob("*/__main__.py")}
    | {path.stem for path in BENCHMARKS.glob("*.py") if "ArgumentParser" in path.read_text(encoding="utf-8")}
)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_shown(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # How a module that is run gets its arguments.
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    assert not end.value.code and capsys.readouterr().out.startswith("usage:")


@pytest.mark.full
@pytest.mark.parametrize("what", ["load", "client", pytest.param("analyze", marks=pytest.mark.slow)])
def test_results_are_loaded_and_analysed(what: str, tmp_path: Path) -> None:
    """Its parts are code for other processes, which no type checker sees."""
    arguments = [what, "--trials", "64", "--cells", "2", "--folder", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.analysis_speed", *arguments]
    run = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    assert "largest process" in run.stdout
