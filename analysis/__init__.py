"""Analysis of results: phi* and its interval, comparisons of families, guidelines, recommendations, reports.

Never imports Ray, Optuna, torch or `search`. Importing this package is cheap: `recommend` needs NumPy alone, and the
other names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from phitune.analysis.answers.recommend import Recommendation, recommend

if TYPE_CHECKING:
    from phitune.analysis.report.run import Analysis, analyze
    from phitune.analysis.report.words.cells import summary_table
    from phitune.analysis.results import StudyRef, find_study, load

_LAZY = {
    "Analysis": "report.run",
    "analyze": "report.run",
    "summary_table": "report.words.cells",
    "StudyRef": "results",
    "find_study": "results",
    "load": "results",
}

__all__ = [
    "Analysis",
    "Recommendation",
    "StudyRef",
    "analyze",
    "find_study",
    "load",
    "recommend",
    "summary_table",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"phitune.analysis.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'phitune.analysis' has no attribute {name!r}")
