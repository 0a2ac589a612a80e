"""The figures, one kind a file. They draw what the analysis computed, and compute nothing."""

from analysis.figures.catalogue import Drawn, draw_all
from analysis.figures.style import render

__all__ = ["Drawn", "draw_all", "render"]
