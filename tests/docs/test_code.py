"""The code of the pages runs as it stands there."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
import yaml

from phitune.search.study.file import read_study
from tests.docs.pages import ROOT, Block, blocks, name, pages

# Files that the study files of the pages mention.
MENTIONED = {
    "refined.json": '{"family": "refined", "values": [1.0, 0.5, 0.0]}',
    "notes/monday.txt": "Learning rates, and how they fall. " * 2000,
    "my_training.py": "def train(trial, width=64): ...\n",
    "03_own_loop.py": "def train(trial, width=64): ...\n",
    "my_module.py": "from phitune.trainables.workloads.digits import MlpDigits as MyWorkload\n",
}
MINIMAL = {"name": "page", "workloads": ["mlp/digits"]}
# Pages with a training that takes more than seconds.
LONG = ("docs/how-to/train/diagnostics.md",)
PYTHON = [
    pytest.param(page, marks=[pytest.mark.full] if name(page) in LONG else [], id=name(page))
    for page in pages()
    if any(block.runs for block in blocks(page, "python"))
]
EXCERPTS = [block for page in pages() for block in blocks(page, "python") if block.excerpt]
STUDIES = [block for page in pages() for block in blocks(page, "yaml") if block.runs]
PACKAGES = ("phitune", "search", "trainables", "analysis")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory from which modules are imported, as a user's is; one thread."""
    threads, modules = torch.get_num_threads(), set(sys.modules)
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    torch.set_num_threads(threads)
    for module in set(sys.modules) - modules:
        if getattr(sys.modules[module], "__file__", None) == str(tmp_path / f"{module}.py"):
            del sys.modules[module]


@pytest.mark.parametrize("page", PYTHON)
def test_python_runs(page: Path, workplace: Path) -> None:
    """Block after block in one namespace; blocks that stand for a file are written to it, and tests among them run."""
    names: dict[str, object] = {}
    for block in (block for block in blocks(page, "python") if block.runs):
        if block.file is None:
            exec(compile("\n" * (block.line - 1) + block.code, name(page), "exec"), names)
        else:
            (workplace / block.file).write_text(block.code, encoding="utf-8")
    tests = sorted(file.name for file in workplace.glob("test_*.py"))
    if tests:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("block", EXCERPTS, ids=lambda block: block.name)
def test_excerpts_are_lines_of_their_files(block: Block) -> None:
    known = {line.strip() for line in (ROOT / block.excerpt).read_text(encoding="utf-8").splitlines()}
    assert not {line.strip() for line in block.code.splitlines()} - known


@pytest.mark.parametrize("block", STUDIES, ids=lambda block: block.name)
def test_study_files_are_accepted(block: Block, workplace: Path) -> None:
    """Also excerpts, which only show some keys."""
    for file, content in MENTIONED.items():
        (workplace / file).parent.mkdir(exist_ok=True)
        (workplace / file).write_text(content, encoding="utf-8")
    keys = yaml.safe_load(block.code)
    study = workplace / "study.yaml"
    study.write_text(block.code if "name" in keys else yaml.safe_dump(MINIMAL | keys), encoding="utf-8")
    assert read_study(study).name == keys.get("name", MINIMAL["name"])


def _modules_with_examples() -> list[str]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    paths = {file.relative_to(ROOT).with_suffix("") for file in files if ">>> " in file.read_text(encoding="utf-8")}
    dotted = [".".join(path.parts).removesuffix(".__init__") for path in sorted(paths)]
    return [module if module.startswith("phitune") else f"phitune.{module}" for module in dotted]


@pytest.mark.parametrize("module", _modules_with_examples())
def test_docstrings_run(module: str, workplace: Path) -> None:
    outcome = doctest.testmod(import_module(module))
    assert outcome.attempted and not outcome.failed
