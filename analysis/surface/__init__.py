"""What is believed of cells: each family's best configuration, phi* with its interval, and whether phi matters."""

from phitune.analysis.surface.cell_surface import CellSurface
from phitune.analysis.surface.fit import CellFit, FamilyBest, fit_cell, fit_cells
from phitune.analysis.surface.regret import PossibleRegret
from phitune.analysis.surface.shapes import COSINE_PHI, Shape

__all__ = ["COSINE_PHI", "CellFit", "CellSurface", "FamilyBest", "PossibleRegret", "Shape", "fit_cell", "fit_cells"]
