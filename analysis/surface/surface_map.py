"""The fitted surface of a cell on a grid, for figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.cell_surface import EDGE, CellSurface
from phitune.analysis.surrogate import gaussian_process as gp

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceMap:
    """The mean surface over phi and base LR.

    Attributes:
        phi: Grid, shape (p,).
        base_lr: Grid, shape (b,).
        excess: Per cent above the surface's lowest point, shape (b, p); NaN where the base LR is higher than any that
            went well at that phi: the surface knows no cliffs.
    """

    phi: Array
    base_lr: Array
    excess: Array


def surface_map(surface: CellSurface, lrs: tuple[float, float], size: int = 72) -> SurfaceMap | None:
    """The mean surface of a cell; None where the evidence is thin.

    Args:
        surface: The cell's surface.
        lrs: Lowest and highest base LR of the map.
        size: Points along each axis.
    """
    shape, fit = surface.shape, surface.fit
    if shape is None or fit is None:
        return None
    log_phi = np.linspace(np.log(shape.low), np.log(shape.high), size)
    log_lr = np.linspace(np.log(lrs[0]), np.log(lrs[1]), size)
    x, y = np.meshgrid(log_phi, log_lr)
    at = np.column_stack([x.ravel(), (y + shape.log_mean(log_phi)).ravel()])
    mean = gp.predict(fit.data, fit.mode, at)[0].reshape(x.shape)
    percent = 100.0 * np.expm1(np.maximum(mean - fit.lowest, 0.0))
    highest = np.interp(log_phi, np.log(surface.grid), np.log(fit.highest_tried)) + EDGE
    return SurfaceMap(np.exp(log_phi), np.exp(log_lr), np.where(y > highest, np.nan, percent))
