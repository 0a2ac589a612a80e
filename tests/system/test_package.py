"""The package as it is built, installed and imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import environment

ROOT = Path(__file__).parents[2]
ROOMS = ("phitune", "search", "trainables", "analysis")
HEAVY = ("matplotlib", "mlflow", "numpy", "optuna", "pandas", "ray", "scipy", "torch")


def test_importing_phitune_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys, phitune, phitune.cli; print([name for name in {HEAVY} if name in sys.modules])"
    assert output(sys.executable, "-c", code, cwd=tmp_path) == "[]\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy, as a build leaves files in its source."""
    folder = tmp_path_factory.mktemp("wheel")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder / "built")]
    output(sys.executable, "-m", "pip", "wheel", *options, str(folder), cwd=folder)
    (file,) = (folder / "built").iterdir()
    return file


def test_a_wheel_holds_phitune_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    assert len({name.partition("/")[0] for name in metadata}) == 1
    package = wheel.parents[1] / "phitune"
    files = {Path(folder, file) for folder, _, files in os.walk(package, followlinks=True) for file in files}
    assert names - metadata == {file.relative_to(package.parent).as_posix() for file in files}
    assert {"phitune/py.typed", "phitune/search/studies/quickstart.yaml"} < names


@pytest.mark.full
def test_an_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    output(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path)
    python = tmp_path / "env/bin/python"
    options = ["--quiet", "--no-deps", "--no-index"]
    output(sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel), cwd=tmp_path)
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")})
    # What phitune depends on, without the checkout, which only this environment's .pth files name.
    Path(paths["purelib"], "dependencies.pth").write_text(sysconfig.get_paths()["purelib"], encoding="utf-8")
    assert "search" in output(str(tmp_path / "env/bin/phitune"), "--help", cwd=tmp_path)
    code = "import sys, phitune.search.launch as launch; from phitune.cli import main; print(launch.__file__); main()"
    file, *cells, total = output(
        str(python), "-c", code, "search", "quickstart", "--dry-run", cwd=tmp_path
    ).splitlines()
    assert Path(file).is_relative_to(tmp_path / "env")
    assert cells and total.endswith("to runs/quickstart")


def output(*line: str, cwd: Path) -> str:
    """Standard output of a process that must succeed."""
    process = subprocess.run(line, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout
