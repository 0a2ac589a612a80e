"""The figures, one kind a file. They draw what the analysis computed, and compute nothing."""

from analysis.figures.catalogue import Sketch, sketches
from analysis.figures.style import Rendered, render

__all__ = ["Rendered", "Sketch", "render", "sketches"]
