"""What a shell completes: commands, studies, workloads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, command, environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("night", "nightly", "day"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "study.json").write_text("{}", encoding="utf-8")
    (tmp_path / "runs/nights").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("rec", ["recommend"]),
        ("analyze ni", ["night", "nightly"]),
        ("recommend --workload gpt-nano/", ["gpt-nano/stdlib", "gpt-nano/text"]),
    ],
)
def test_bash_completes(folder: Path, typed: str, completions: list[str]) -> None:
    words = ["phitune", *typed.split()]
    asked = {"_PHITUNE_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; from phitune.cli import app; sys.argv = ['phitune']; app(prog_name='phitune')"
    answer = subprocess.run(
        [*command()[:1], "-c", code], cwd=folder, env=environment(**asked), capture_output=True, text=True,
        timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert answer.stdout.split() == completions
