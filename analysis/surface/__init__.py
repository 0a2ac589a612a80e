"""Quality over one shape parameter and LR in one cell: phi* with its interval, and whether phi matters."""

from phitune.analysis.surface.cell_surface import CellSurface
from phitune.analysis.surface.fit import fit_surface
from phitune.analysis.surface.outcomes import Scale
from phitune.analysis.surface.shapes import COSINE_PHI, Shape
from phitune.analysis.surface.surface_map import SurfaceMap, surface_map

__all__ = ["COSINE_PHI", "CellSurface", "Scale", "Shape", "SurfaceMap", "fit_surface", "surface_map"]
