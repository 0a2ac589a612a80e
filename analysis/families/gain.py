"""How much better one configuration is than another: paired by seed, with an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student_t

Evidence = Literal["replicates", "exact", "explore"]

CONFIDENCE = 0.9
BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Gain:
    """How much better one configuration is than another, in per cent of the other's objective; positive is better.

    Attributes:
        percent: Mean difference.
        interval: 90 % t interval, paired by seed; None with fewer than two pairs; a point where the workload has no
            seed noise.
        n: Number of pairs (seeds).
        probability: Probability of improvement: the share of bootstrap means above zero; None with fewer than two
            pairs.
        evidence: "replicates" (fresh seeds), "exact" (no seed noise), or "explore" (one run each, chosen as the best:
            biased).
    """

    percent: float
    interval: tuple[float, float] | None
    n: int
    probability: float | None
    evidence: Evidence

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def gain(
    ours: Mapping[int, float], theirs: Mapping[int, float], minimise: bool, evidence: Evidence, rng: np.random.Generator
) -> Gain:
    """Gain of one configuration over another; only shared seeds count, or the two means if none is shared.

    Args:
        ours: Objective of the one, by seed.
        theirs: Objective of the other, by seed.
        minimise: Whether a smaller objective is better.
        evidence: Where the objectives are from.
        rng: Of the bootstrap.
    """
    pairs = np.array([(ours[seed], theirs[seed]) for seed in ours if seed in theirs], dtype=np.float64)
    if not len(pairs):
        pairs = np.array([[np.mean(list(each.values())) for each in (ours, theirs)]])
    reference = abs(float(pairs[:, 1].mean())) or 1.0
    difference = 100.0 * (pairs[:, 1] - pairs[:, 0]) / reference * (1.0 if minimise else -1.0)
    mean, n = float(difference.mean()), len(difference)
    if evidence == "exact":
        return Gain(mean, (mean, mean), n, float(mean > 0), evidence)
    if n < 2:
        return Gain(mean, None, n, None, evidence)
    half = float(student_t.ppf(0.5 + CONFIDENCE / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    means = rng.choice(difference, (BOOTSTRAPS, n)).mean(axis=1)
    return Gain(mean, (mean - half, mean + half), n, float(np.mean(means > 0) + 0.5 * np.mean(means == 0)), evidence)
