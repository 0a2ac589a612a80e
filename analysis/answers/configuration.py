"""The schedule and base LR of a budget that was not searched, from cells, trends, or both."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

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
    """A schedule and base LR with their 90 % intervals, those of the searched parameters by name."""

    schedule: Schedule
    intervals: Mapping[str, Interval | None]
    base_lr: float
    base_lr_interval: Interval | None


def along(trend: Trend, family: str, cells: Sequence[Cell], nearest: Cell, steps: int) -> Configuration:
    """The family at the trends' values and mean LR; what has none, as warmup and floor, is the nearest cell's."""
    budgets = [c.budget for c in cells]
    distance = math.log(max(steps / max(budgets), min(budgets) / steps, 1.0))
    known = [shape for c in (nearest, *cells) for shape in c.all_of(family)]
    values = next((shape.schedule for shape in known if shape.schedule), None)
    intervals = {shape.parameter: shape.interval for shape in nearest.all_of(family)}
    for model in followed(trend, family, cells):
        own = [shape for shape in known if shape.parameter == model.quantity]
        low, value, high = _value_on(model, own, steps, distance)
        shape = replace(own[0], schedule=values)
        values = shape.at(value).to_dict()
        intervals[model.quantity] = shape.allowed(low), shape.allowed(high)
    schedule = from_dict(values or {"family": family})
    # The trend is of base LR × mean of the profile alone.
    log_lr, lr_sd = _extended(trend.mean_lr, steps, distance)
    log_base = log_lr - math.log(schedule.profile_mean)
    return Configuration(schedule, intervals, math.exp(log_base), _around(log_base, lr_sd))


def followed(trend: Trend, family: str, cells: Sequence[Cell]) -> list[BudgetModel]:
    """The lines of the parameters that were located in any cell; one through the others says nothing."""
    located = {shape.parameter for c in cells for shape in c.all_of(family) if shape.located}
    return [model for model in (trend.value, trend.other) if model is not None and model.quantity in located]


def _value_on(
    model: BudgetModel, shapes: Sequence[ShapeGuideline], steps: int, distance: float
) -> tuple[float, float, float]:
    """A model's value between the ends of its interval; what is held constant does not leave what was searched."""
    log_value, sd = _extended(model, steps, distance)
    (low, high), value = _around(log_value, sd), math.exp(log_value)
    if model.kind != "constant":
        return low, value, high
    searched = hull(each.searched for each in shapes if each.searched is not None) or (0.0, math.inf)
    low, value, high = (min(max(each, searched[0]), searched[1]) for each in (low, value, high))
    return low, value, high


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
    schedule = from_dict(nearest.schedule)
    distance = math.log(steps / nearest.budget)
    means = schedule.mean(nearest.budget) / schedule.mean(steps)
    log_base = math.log(nearest.base_lr * means) + mean_lr.slope * distance
    low, high = nearest.base_lr_interval or (nearest.base_lr, nearest.base_lr)
    own_sd = math.log(high / low) / (2.0 * NORMAL_90)
    return Configuration(
        schedule,
        {shape.parameter: shape.interval for shape in nearest.all_of(nearest.family)},
        math.exp(log_base),
        _around(log_base, math.hypot(own_sd, _slope_sd(mean_lr) * distance)),
    )


def interpolated(
    used: Sequence[Cell], shapes: Sequence[ShapeGuideline], weight: float, steps: int, trend: Trend | None
) -> Configuration:
    """The value from the trend, a line or a constant that was preferred to one; without, linear in log budget.

    It keeps to the neighbours' intervals. Another parameter, and of the LR the *mean* LR, are linear in log budget.
    """
    fits = [(c, s, s.best, s.base_lr) for c, s in zip(used, shapes, strict=True) if s.best and s.base_lr]
    log_value = mix([math.log(best) for _, _, best, _ in fits], weight)
    interval = hull(s.interval for s in shapes)
    if trend is not None and (trend.value.kind == "log-linear" or trend.value.slope_interval is not None):
        log_value = trend.value.predict(steps)[0]
        if interval is not None:
            log_value = min(max(log_value, math.log(interval[0])), math.log(interval[1]))
    schedule = shapes[0].at(math.exp(log_value))
    intervals = {shapes[0].parameter: interval}
    for other in used[0].all_of(shapes[0].family)[1:]:
        same = [s for c in used for s in c.all_of(other.family) if s.parameter == other.parameter]
        if len(same) == len(used) and all(s.best for s in same):
            value = math.exp(mix([math.log(s.best) for s in same if s.best], weight))
            schedule = replace(other, schedule=schedule.to_dict()).at(value)
            intervals[other.parameter] = hull(s.interval for s in same)
    log_means = [math.log(base_lr * shape.at(best).mean(c.budget)) for c, shape, best, base_lr in fits]
    base_lr = math.exp(mix(log_means, weight)) / schedule.mean(steps)
    return Configuration(schedule, intervals, base_lr, hull(s.base_lr_interval for s in shapes))


def nearest_family(used: Sequence[Cell], nearest: Cell, weight: float) -> Configuration:
    """The nearer cell's schedule; base LR and its interval are interpolated where both cells have that family."""
    same = [c for c in used if c.family == nearest.family]
    assert nearest.schedule is not None and nearest.base_lr is not None
    base_lr = nearest.base_lr
    if len(same) == 2:
        base_lr = math.exp(mix([math.log(c.base_lr) for c in same if c.base_lr is not None], weight))
    return Configuration(from_dict(nearest.schedule), {}, base_lr, hull(c.base_lr_interval for c in same))


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
