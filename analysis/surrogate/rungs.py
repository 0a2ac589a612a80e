"""Whether a rung of early stopping foretells the end."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

# Fewer trials of a cell say nothing about a correlation.
FEWEST = 5


def rung_correlation(at_rung: ArrayLike, at_end: ArrayLike) -> float | None:
    """Spearman's rank correlation of the objective at a rung with that at the end, in one cell.

    Only completed trials have both. They are those that did well at the rungs, so the correlation is lower than it
    would be over all trials.

    Args:
        at_rung: One value a completed trial.
        at_end: The same trials' values at the end.

    Returns:
        None under `FEWEST` trials with two finite values, or where one side does not vary.
    """
    pairs = np.column_stack([np.asarray(at_rung, dtype=np.float64), np.asarray(at_end, dtype=np.float64)])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < FEWEST or (np.ptp(pairs, axis=0) == 0).any():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
