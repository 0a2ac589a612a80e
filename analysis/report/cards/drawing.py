"""A schedule as a small drawing: SVG that is computed from the schedule itself."""

import numpy as np

from phitune.trainables.schedules import Schedule

WIDTH, HEIGHT, MARGIN = 132, 56, 4
MOST_POINTS = 60


def drawing(schedule: Schedule, budget: int) -> str:
    """u over the budget as an SVG element; empty for a family whose LR follows the losses of the run.

    Args:
        schedule: The schedule.
        budget: In iterations.
    """
    if len(schedule.check_steps(budget)):
        return ""
    steps = np.unique(np.linspace(0, budget, MOST_POINTS).round().astype(int))
    x = MARGIN + (WIDTH - 2 * MARGIN) * steps / budget
    y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * schedule.u(steps, budget)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    bottom = HEIGHT - MARGIN
    return (
        f'<svg class="drawing" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="LR over the budget">'
        f'<polygon points="{MARGIN},{bottom} {line} {WIDTH - MARGIN},{bottom}"/><polyline points="{line}"/></svg>'
    )
