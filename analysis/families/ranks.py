"""Families over many cells: average ranks, Friedman's test, Nemenyi's critical difference.

After Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from phitune.analysis.families.compare import Comparison
from phitune.analysis.families.gain import CONFIDENCE
from phitune.analysis.families.refusal import Refusal

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ranks:
    """Average ranks of the families over the cells that have all of them.

    Cells of one workload are not independent, as the test takes them to be: with few workloads it is too sure.

    Attributes:
        ranks: Family to mean rank, 1 being best; best first. Empty where there is nothing to rank.
        cells: Number of cells that have all families.
        left_out: Cells that lack a family.
        p_value: Friedman's test of the families being equal; None where the test cannot be made.
        critical_difference: Mean ranks that differ by less do not differ significantly (Nemenyi, at
            1 - `CONFIDENCE`); None where the test cannot be made.
        groups: Families that do not differ significantly, largest sets only, best first; drawn as bars in a
            critical-difference diagram.
        why_not: Why there is no test; None if there is one.
    """

    ranks: dict[str, float]
    cells: int
    left_out: int
    p_value: float | None
    critical_difference: float | None
    groups: tuple[tuple[str, ...], ...]
    why_not: Refusal | None


def rank_families(comparisons: list[Comparison]) -> Ranks:
    """Rank the families of all cells and test whether they differ.

    Args:
        comparisons: One a cell.
    """
    everyone, table, left_out = _rank_table(comparisons)
    means = dict(zip(everyone, table.mean(axis=0).tolist(), strict=True)) if len(table) else {}
    means = dict(sorted(means.items(), key=lambda item: item[1]))
    why_not = None
    if len(everyone) < 3:
        why_not = Refusal("few families", len(everyone))
    elif len(table) < 2:
        why_not = Refusal("few shared cells", len(table))
    elif np.all(table == table[:, :1]):
        why_not = Refusal("all equal")
    difference = None if why_not else critical_difference(len(everyone), len(table))
    return Ranks(
        ranks=means,
        cells=len(table),
        left_out=left_out,
        p_value=None if why_not else float(friedmanchisquare(*table.T).pvalue),
        critical_difference=difference,
        groups=() if difference is None else _groups(means, difference),
        why_not=why_not,
    )


def critical_difference(families: int, cells: int, confidence: float = CONFIDENCE) -> float:
    """Nemenyi's critical difference of average ranks (Demšar 2006, section 3.2.2).

    q / sqrt(2) * sqrt(k (k + 1) / (6 N)) for k families over N cells, q the quantile of the studentized range.
    """
    quantile = float(studentized_range.ppf(confidence, families, np.inf)) / np.sqrt(2.0)
    return float(quantile * np.sqrt(families * (families + 1) / (6.0 * cells)))


def _rank_table(comparisons: list[Comparison]) -> tuple[list[str], Array, int]:
    """Families, their ranks (cells × families), and the number of cells that lack one."""
    everyone = sorted({f.family for c in comparisons for f in c.families})
    if len(everyone) < 2:
        return everyone, np.empty((0, len(everyone))), len(comparisons)
    # Families are stored best first; equal objectives share a rank.
    values = [
        {
            f.family: (-1.0 if c.families[0].objective > c.families[-1].objective else 1.0) * f.objective
            for f in c.families
        }
        for c in comparisons
        if c.families
    ]
    rows = [rankdata([each[name] for name in everyone]) for each in values if len(each) == len(everyone)]
    return everyone, np.array(rows, dtype=np.float64).reshape(-1, len(everyone)), len(comparisons) - len(rows)


def _groups(ranks: dict[str, float], difference: float) -> tuple[tuple[str, ...], ...]:
    names, values = list(ranks), np.array(list(ranks.values()))
    ends = [int(np.searchsorted(values, value + difference, side="right")) for value in values]
    kept = [(i, end) for i, end in enumerate(ends) if end - i > 1 and (i == 0 or ends[i - 1] < end)]
    return tuple(tuple(names[i:end]) for i, end in kept)
