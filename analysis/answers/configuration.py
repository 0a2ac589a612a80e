"""The schedule and base LR of a budget that was not searched, from cells, trends, or both."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phitune.analysis.answers.budget_model import NORMAL_90, BudgetModel
from phitune.analysis.answers.cell import Cell
from phitune.analysis.answers.fields import Interval
from phitune.analysis.answers.file import Trend
from phitune.analysis.answers.shape_guideline import ShapeGuideline
from phitune.trainables.schedules import Schedule, from_dict

# Where no slope could be fitted, it may be anything like this (standard deviation), and extrapolation says so.
UNKNOWN_SLOPE_SD = 0.5


@dataclass(frozen=True)
class Configuration:
    """A schedule and base LR with their 90 % intervals; `parameter` is the searched one, None without one."""

    schedule: Schedule
    parameter: str | None
    interval: Interval | None
    base_lr: float
    base_lr_interval: Interval | None


def along(trend: Trend, family: str, cells: Sequence[Cell], nearest: Cell, steps: int) -> Configuration:
    """The family at the trend's value and mean LR; warmup and floor are those of the nearest cell."""
    budgets = [c.budget for c in cells]
    distance = math.log(max(steps / max(budgets), min(budgets) / steps, 1.0))
    (log_value, value_sd), (log_lr, lr_sd) = (_extended(model, steps, distance) for model in trend)
    known = [shape for c in (nearest, *cells) if (shape := c.of(family)) is not None]
    shape = next((each for each in known if each.schedule), None) or ShapeGuideline(family, trend.value.quantity)
    low, high = _around(log_value, value_sd)
    if trend.value.kind == "constant":
        # It is held, so it does not leave what was searched.
        searched = hull(each.searched for each in known if each.searched is not None) or (0.0, math.inf)
        low, value, high = (min(max(each, searched[0]), searched[1]) for each in (low, math.exp(log_value), high))
        log_value = math.log(value)
    schedule = shape.at(math.exp(log_value))
    # The trend is of base LR × mean of the profile alone.
    log_base = log_lr - math.log(schedule.profile_mean)
    return Configuration(
        schedule,
        shape.parameter,
        (shape.allowed(low), shape.allowed(high)),
        math.exp(log_base),
        _around(log_base, lr_sd),
    )


def _extended(model: BudgetModel, steps: int, distance: float) -> tuple[float, float]:
    """Log quantity and its standard deviation; a constant is not taken to hold for ever beyond the budgets searched."""
    mean, sd = model.predict(steps)
    return mean, math.hypot(sd, _slope_sd(model) * distance) if model.kind == "constant" else sd


def _slope_sd(model: BudgetModel) -> float:
    """Standard deviation of a model's slope; of a constant's, which is not taken to be 0 for ever."""
    if model.kind != "constant":
        return math.sqrt(model.covariance[1][1])
    if model.slope_interval is None:
        return UNKNOWN_SLOPE_SD
    return max(abs(end) for end in model.slope_interval) / NORMAL_90


def kept(nearest: Cell, steps: int, mean_lr: BudgetModel) -> Configuration:
    """The nearest cell's schedule as it is, and its mean LR along the slope of a trend."""
    assert nearest.schedule is not None and nearest.base_lr is not None
    schedule, shape = from_dict(nearest.schedule), nearest.of(nearest.family)
    distance = math.log(steps / nearest.budget)
    means = schedule.mean(nearest.budget) / schedule.mean(steps)
    log_base = math.log(nearest.base_lr * means) + mean_lr.slope * distance
    low, high = nearest.base_lr_interval or (nearest.base_lr, nearest.base_lr)
    own_sd = math.log(high / low) / (2.0 * NORMAL_90)
    return Configuration(
        schedule,
        None if shape is None else shape.parameter,
        None if shape is None else shape.interval,
        math.exp(log_base),
        _around(log_base, math.hypot(own_sd, _slope_sd(mean_lr) * distance)),
    )


def interpolated(
    used: Sequence[Cell], shapes: Sequence[ShapeGuideline], weight: float, steps: int, trend: Trend | None
) -> Configuration:
    """The value from the trend, a line or a constant that was preferred to one; without, linear in log budget.

    It keeps to the neighbours' intervals. Of the LR it is the *mean* LR that is interpolated.
    """
    fits = [(c, s, s.best, s.base_lr) for c, s in zip(used, shapes, strict=True) if s.best and s.base_lr]
    log_value = mix([math.log(best) for _, _, best, _ in fits], weight)
    interval = hull(s.interval for s in shapes)
    if trend is not None and (trend.value.kind == "log-linear" or trend.value.slope_interval is not None):
        log_value = trend.value.predict(steps)[0]
        if interval is not None:
            log_value = min(max(log_value, math.log(interval[0])), math.log(interval[1]))
    schedule = shapes[0].at(math.exp(log_value))
    log_means = [math.log(base_lr * shape.at(best).mean(c.budget)) for c, shape, best, base_lr in fits]
    base_lr = math.exp(mix(log_means, weight)) / schedule.mean(steps)
    return Configuration(schedule, shapes[0].parameter, interval, base_lr, hull(s.base_lr_interval for s in shapes))


def nearest_family(used: Sequence[Cell], nearest: Cell, weight: float) -> Configuration:
    """The nearer cell's schedule; base LR and its interval are interpolated where both cells have that family."""
    same = [c for c in used if c.family == nearest.family]
    assert nearest.schedule is not None and nearest.base_lr is not None
    base_lr = nearest.base_lr
    if len(same) == 2:
        base_lr = math.exp(mix([math.log(c.base_lr) for c in same if c.base_lr is not None], weight))
    return Configuration(from_dict(nearest.schedule), None, None, base_lr, hull(c.base_lr_interval for c in same))


def _around(mean: float, sd: float) -> Interval:
    return math.exp(mean - NORMAL_90 * sd), math.exp(mean + NORMAL_90 * sd)


def mix(values: list[float], weight: float) -> float:
    return values[0] if len(values) == 1 else (1.0 - weight) * values[0] + weight * values[1]


def hull(intervals: Iterable[Interval | None]) -> Interval | None:
    """The smallest interval that holds all; None if any is unknown."""
    ends = list(intervals)
    known = [interval for interval in ends if interval is not None]
    if not known or len(known) < len(ends):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
