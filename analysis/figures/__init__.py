"""The figures, one kind a file. They draw what the analysis computed, and compute nothing."""

from phitune.analysis.figures.catalogue import Sketch, sketches
from phitune.analysis.figures.style import Rendered, render

__all__ = ["Rendered", "Sketch", "render", "sketches"]
