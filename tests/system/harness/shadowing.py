"""A working directory whose own modules have the names of phitune's rooms."""

from __future__ import annotations

from pathlib import Path

_BOWL = '''
"""A workload of the user's own that uses the user's own ``analysis``."""

import analysis
from phitune.trainables.workloads.exact import Quadratic


class Bowl(Quadratic):
    def __init__(self):
        super().__init__(kappa=analysis.KAPPA, dim=8)
'''


def shadow(folder: Path) -> None:
    """Adds a package ``analysis``, modules that fail if anything imports them, and a workload ``bowl:Bowl``."""
    (folder / "analysis").mkdir()
    (folder / "analysis/__init__.py").write_text("KAPPA = 7.0\n", encoding="utf-8")
    for name in ("search", "trainables", "phitune_test"):
        (folder / f"{name}.py").write_text('raise RuntimeError("the user\'s own module")\n', encoding="utf-8")
    (folder / "bowl.py").write_text(_BOWL, encoding="utf-8")
