"""The conclusions: each cell's recommendation, the trends over budgets and how well they predict."""

from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.analysis.guidelines.cell_guideline import CellGuideline
from phitune.analysis.guidelines.guidelines import Guidelines, build

__all__ = ["CellGuideline", "Guidelines", "ShapeGuideline", "build"]
