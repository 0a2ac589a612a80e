"""More trials are never worse: error and interval of phi* where it is known (`benchmarks.validity trials`)."""

from itertools import pairwise

import numpy as np

from benchmarks.validity.many import error_and_width

SEEDS = 3


def test_error_and_width_fall_with_the_number_of_trials() -> None:
    sizes = (20, 50, 200, 666, 2000)
    errors, widths = {}, {}
    for trials in sizes:
        each = np.array([error_and_width(trials, seed)[:2] for seed in range(SEEDS)])
        errors[trials], widths[trials] = np.sqrt(np.mean(each[:, 0] ** 2)), each[:, 1].mean()
    falling = [widths[trials] for trials in sizes]
    assert all(after < 1.1 * before for before, after in pairwise(falling))
    assert errors[2000] < 0.15 < errors[20] and widths[2000] < 0.4 * widths[20]
