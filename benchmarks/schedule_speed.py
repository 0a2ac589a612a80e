"""How long every family takes for the LRs of a million steps, and for its mean.

    python -m benchmarks.schedule_speed [--steps 1000000] [--repeats 7]

Prints a row a family: milliseconds of one core, the best of the repeats, for ``u`` over all steps as it is and with
warmup, floor and sampling, and microseconds for ``mean``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from phitune.trainables.schedules import Schedule, families, schedule

GIVEN: dict[str, dict[str, object]] = {
    "uba": {"phi": 5.0},
    "rex-phi": {"phi": 5.0},
    "spline": {"time1": 0.6, "lr1": 0.9, "time2": 0.4, "lr2": 0.2},
    "refined": {"values": tuple(1 - i / 100 for i in range(101))},
}
LIMIT_MS = 50.0


def seconds(call: Callable[[], object], repeats: int) -> float:
    """CPU time of the best of some repeats; it suffers less from what else the machine does."""
    took = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        took.append(time.process_time() - start)
    return min(took)


def row(bare: Schedule, steps: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds for u, for u composed, and microseconds for the mean."""
    every = np.arange(steps)
    composed = replace(bare, warmup=0.1, floor=0.01, sampling=0.01)
    losses = [1.0] * len(bare.check_steps(steps))
    plain = seconds(lambda: bare.u(every, steps, losses), repeats)
    return (
        1e3 * plain,
        1e3 * seconds(lambda: composed.u(every, steps, losses), repeats),
        1e6 * seconds(lambda: composed.mean(steps), repeats),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'family':15} {'u, ms':>8} {'composed, ms':>13} {'mean, µs':>9}")
    for name in families():
        plain, composed, mean = row(schedule(name, **GIVEN.get(name, {})), arguments.steps, arguments.repeats)
        slow = "  slow" if max(plain, composed) > LIMIT_MS else ""
        print(f"{name:15} {plain:8.1f} {composed:13.1f} {mean:9.1f}{slow}")


if __name__ == "__main__":
    main()
