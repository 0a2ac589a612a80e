"""A user's own classes, in a working directory whose names are those of phitune's folders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phitune.trainables.errors import InputError
from phitune.trainables.user_class import import_class

FAMILY = '''
from dataclasses import dataclass

import search
from analysis import POWER
from phitune.trainables.schedules import Schedule

assert search.MINE


@dataclass(frozen=True)
class Power(Schedule):
    """(1 - x)^p."""

    family = "trainables:Power"

    def profile(self, x):
        return (1 - x) ** POWER
'''

WORKLOAD = """
from analysis import POWER
from phitune.trainables.workloads.exact import Quadratic


class Mine(Quadratic):
    full_budget = 10 * POWER
"""

SCRIPT = """
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload

mine = workload(Spec("phitune_test:Mine"))
training = Training(mine, TrialConfig("sgd", mine.full_budget, schedule("trainables:Power"), 0.1, 0))
training.advance(mine.full_budget)
print(training.step, float(schedule("trainables:Power").u(5, 10)))
"""


def test_a_directory_with_the_names_of_phitune_s_folders_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("POWER = 2\n", encoding="utf-8")
    (tmp_path / "search.py").write_text("MINE = True\n", encoding="utf-8")
    (tmp_path / "trainables.py").write_text(FAMILY, encoding="utf-8")
    (tmp_path / "phitune_test.py").write_text(WORKLOAD, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert (process.returncode, process.stdout.split()) == (0, ["20", "0.25"]), process.stderr


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import argparse\nargparse.ArgumentParser().parse_args(['--epochs', '3'])", r"calls sys\.exit\(2\)"),
        ("raise SystemExit('no data')", r"calls sys\.exit\('no data'\)"),
        ("import nowhere_to_be_found", r"\(ModuleNotFoundError: No module named 'nowhere_to_be_found'\)"),
        ("1 / 0", r"\(ZeroDivisionError: division by zero\)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_an_error_of_one_line(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"user_module_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=reason) as error:
        import_class(f"{name}:Mine", "workload")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"workload: cannot import '{name}:Mine'")
    # No usage text of a program that is not this one.
    assert capfd.readouterr() == ("", "")


PRINTS = """
import logging, sys
print("on its import")
logger = logging.getLogger("prints")
logger.addHandler(logging.StreamHandler(sys.stderr))
logger.warning("on its import too")
class Mine:
    @staticmethod
    def speak():
        logger.warning("later")
"""


def test_what_a_module_prints_and_logs_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "user_module_prints.py").write_text(PRINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    out, err = sys.stdout, sys.stderr
    cls = import_class("user_module_prints:Mine", "workload")
    assert (sys.stdout, sys.stderr) == (out, err)
    assert capfd.readouterr() == ("on its import\n", "on its import too\n")
    cls.speak()
    assert capfd.readouterr() == ("", "later\n")
