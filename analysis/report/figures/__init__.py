"""The figures, one kind a file. They draw what the analysis computed, and compute nothing."""

from phitune.analysis.report.figures.catalogue import Sketch, sketches
from phitune.analysis.report.figures.style import Rendered, render

__all__ = ["Rendered", "Sketch", "render", "sketches"]
