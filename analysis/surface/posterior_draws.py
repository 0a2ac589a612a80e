"""What a belief says of a cell's families: each one's best configuration, and whole functions drawn round it.

Whole functions are drawn on lines of LRs: base LR is a nuisance parameter, so every function is minimised over it,
schedule by schedule. Excesses count from the lowest value seen, on the fitting scale.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phitune.analysis.surface.cell_trials import OF_TWO, VALUES, Line
from phitune.analysis.surface.group_belief import GroupBelief
from phitune.analysis.surface.shapes import Shape
from phitune.analysis.surrogate.belief import Points, cautious
from phitune.analysis.surrogate.coordinates import LR_SPREAD, placed
from phitune.analysis.surrogate.scale import Scale

Array = NDArray[np.float64]

DRAWS = 24
LR_POINTS = 15
COARSE = 33
# A trial supports its base LR, and a little more (in log base LR), for schedules whose area is larger by this much (in
# spreads of it; 0.25 is 0.5 in log phi), or the latest few.
MARGIN = 0.1
NEAR = 0.25
NEIGHBOURS = 5
# The best log mean LR of a schedule is within a factor of 10 of the best one's; in units of the coordinate.
WITHIN = 1.15


@dataclass(frozen=True)
class Best:
    """A family's best configuration, as `surrogate.belief.cautious` judges.

    Attributes:
        schedule: As `trainables.schedules.from_dict` reads it.
        log_values: Logs of its searched parameters, one or two; empty without.
        log_lr: Log base LR.
        log_lr_draws: Draws of the best log base LR of that schedule, shape (s,).
        excess: Draws of the function there, shape (s,).
        tuned: Draws of that schedule's lowest value over LRs, shape (s,).
        lowest: Draws of the family's lowest value over schedules and LRs, shape (s,).
    """

    schedule: Mapping[str, Any]
    log_values: Mapping[str, float]
    log_lr: float
    log_lr_draws: Array
    excess: Array
    tuned: Array
    lowest: Array


@dataclass(frozen=True)
class Profile:
    """Draws along one of a family's parameters, the other parameter and the LR at their best at every value.

    Attributes:
        log_value: Grid, shape (g,).
        excess: Shape (s, g).
        log_lr: Log base LR of it, shape (s, g).
        best_log_lr: Log base LR of the best one, shape (g,).
        log_values: Log of the parameter where each draw is lowest, shape (s,).
    """

    log_value: Array
    excess: Array
    log_lr: Array
    best_log_lr: Array
    log_values: Array


@dataclass(frozen=True)
class _Track:
    """Schedules of a family: along one of its searched parameters, the other at its best at every value, or a list.

    Attributes:
        shape: The parameter; None for a list.
        lines: The schedules, g of them.
        log_values: Logs of all searched parameters along it, shape (g, k); evenly spaced in that of `shape`.
    """

    shape: Shape | None
    lines: list[Line]
    log_values: Array


class PosteriorDraws:
    """What a belief says of one of its cells.

    Args:
        group: The belief.
        cell: Index of the cell.
        rng: Source of randomness.
    """

    def __init__(self, group: GroupBelief, cell: int, rng: np.random.Generator) -> None:
        self.group, self.cell, self.trials = group, cell, group.cells[cell]
        rows = group.rows(cell)
        tried = Points(group.mode.data.x, group.mode.data.levels).take(rows)
        self._best_mean_lr = float(tried.x[group.mode.mean(tried).argmin(), 0])
        self._range = float(self.trials.log_lr.min()), float(self.trials.log_lr.max())
        self.bests: dict[str, Best] = {}
        self.profiles: dict[tuple[str, str], Profile] = {}
        self._draw(rng)

    @property
    def noise(self) -> float:
        """Standard deviation between seeds."""
        spreads = [float(np.hypot(h.noise, h.shared)) for h in self.group.settings.draws]
        evidence = self.group.evidence
        return 0.0 if evidence.exact else evidence.unit * float(np.median(spreads))

    @property
    def scale(self) -> Scale:
        """The cell's scale."""
        return self.group.evidence.scales[self.cell]

    @property
    def lowest(self) -> float:
        """The lowest value seen in the cell, on its scale, from which excesses count."""
        return float(self.group.evidence.best[self.cell])

    def mean(self, label: str, shape: Array, log_lr: Array) -> Array:
        """Posterior mean of the excess of a family's configurations: shapes (m, 3) and log base LRs (m,)."""
        at = self.group.points(self.cell, [label] * len(log_lr), shape, log_lr)
        return self.group.evidence.excess(self.group.mode.mean(at))

    def _draw(self, rng: np.random.Generator) -> None:
        tracks = [track for label in self.trials.lines for track in self._tracks(label)]
        ends = np.cumsum([0, *(len(track.lines) for track in tracks)])
        rows = [slice(*pair) for pair in pairwise(ends.tolist())]
        lines = [line for track in tracks for line in track.lines]
        log_lr = self._windows(lines)
        at = self._on(lines, log_lr)
        # What is recommended keeps to LRs that the trials support; intervals do not.
        supported = self._windows(lines, self._highest(lines))
        value = cautious(self.group.mode, self.group.beliefs, self._on(lines, supported))
        value, lr_of_value = _over_lr(value[None], supported)
        chosen: dict[str, tuple[int, float, float, float]] = {}
        for i, track in enumerate(tracks):
            here = value[:, rows[i]]
            found = minimise(here) if track.shape else (here.min(axis=1), here.argmin(axis=1))
            least, where = (float(each[0]) for each in found)
            label = track.lines[0].family
            if label not in chosen or least < chosen[label][2]:
                lr = float(np.interp(where, np.arange(here.shape[1]), lr_of_value[0, rows[i]]))
                chosen[label] = (i, where, least, lr)
        best = Points.join(*(self._best_point(tracks[i].lines, where, lr) for i, where, _, lr in chosen.values()))
        both = Points.join(at, best)
        drawn = np.concatenate([belief.draw(both, DRAWS, rng) for belief in self.group.beliefs])
        lowest, log_lrs = _over_lr(drawn[:, : len(at)], log_lr)
        excess = self.group.evidence.excess(lowest)
        reached: dict[str, list[Array]] = {}
        for track, own in zip(tracks, rows, strict=True):
            family = excess[:, own]
            if track.shape is None:
                low = family.min(axis=1)
            else:
                shapes = self.trials.shapes[track.shape.family]
                grid = track.log_values[:, shapes.index(track.shape)]
                low, places = minimise(family)
                log_values = grid[0] + (grid[1] - grid[0]) * places
                self.profiles[track.shape.family, track.shape.parameter] = Profile(
                    grid, family, log_lrs[:, own], lr_of_value[0, own], log_values
                )
            reached.setdefault(track.lines[0].family, []).append(low)
        for k, (label, (i, where, _, lr)) in enumerate(chosen.items()):
            names = [shape.parameter for shape in self.trials.shapes.get(label, ())]
            log_values = {
                name: float(np.interp(where, np.arange(len(each)), each))
                for name, each in zip(names, tracks[i].log_values.T, strict=True)
            }
            self.bests[label] = Best(
                schedule={**tracks[i].lines[round(where)].schedule, **{n: math.exp(v) for n, v in log_values.items()}},
                log_values=log_values,
                log_lr=lr,
                log_lr_draws=column(log_lrs[:, rows[i]], where),
                excess=self.group.evidence.excess(drawn[:, len(at) + k]),
                tuned=column(excess[:, rows[i]], where),
                lowest=np.min(reached[label], axis=0),
            )

    def _tracks(self, label: str) -> list[_Track]:
        """A family's schedules among which the best is."""
        lines, shapes = self.trials.lines[label], self.trials.shapes.get(label, ())
        if not shapes:
            return [_Track(None, lines, np.empty((len(lines), 0)))]
        if len(shapes) == 1:
            (shape,) = shapes
            return [_Track(shape, lines, np.linspace(math.log(shape.low), math.log(shape.high), len(lines))[:, None])]
        ends = np.log([[shape.low, shape.high] for shape in shapes])
        mean = self._tuned(lines).reshape(OF_TWO, OF_TWO)
        tracks = []
        for k, shape in enumerate(shapes):
            # The other parameter's best place at each value of this one.
            places = minimise(mean if k == 0 else mean.T)[1] / (OF_TWO - 1)
            unit = np.linspace(0.0, 1.0, VALUES)
            units = [unit, np.interp(unit, np.linspace(0.0, 1.0, OF_TWO), places)]
            log_values = ends[:, 0] + np.column_stack(units if k == 0 else units[::-1]) * np.ptp(ends, axis=1)
            tracks.append(_Track(shape, self.trials.along(label, log_values), log_values))
        return tracks

    def _tuned(self, lines: list[Line]) -> Array:
        """Posterior mean of each line with its LR at its best, shape (lines,)."""
        best = LR_SPREAD * self._best_mean_lr - np.array([line.shape[0] for line in lines])
        width, value = LR_SPREAD * WITHIN, np.empty(len(lines))
        for _ in range(2):
            low, high = (np.clip(best + side * width, *self._range) for side in (-1.0, 1.0))
            log_lr = np.linspace(low, high, LR_POINTS, axis=1)
            lowest, at = _over_lr(self.group.mode.mean(self._on(lines, log_lr))[None], log_lr)
            value, best, width = lowest[0], at[0], 2.0 * width / LR_POINTS
        return value

    def _best_point(self, lines: list[Line], where: float, log_lr: float) -> Points:
        shapes = np.array([line.shape for line in lines])
        index = np.arange(len(shapes))
        shape = np.array([[np.interp(where, index, shapes[:, k]) for k in range(3)]])
        return self.group.points(self.cell, [lines[0].family], shape, np.array([log_lr]))

    def _on(self, lines: list[Line], log_lr: Array) -> Points:
        """Points on lines at log base LRs (lines, m), line after line."""
        m = log_lr.shape[1]
        shape = np.repeat(np.array([line.shape for line in lines]), m, axis=0)
        labels = [line.family for line in lines for _ in range(m)]
        return self.group.points(self.cell, labels, shape, log_lr.ravel())

    def _windows(self, lines: list[Line], highest: Array | None = None) -> Array:
        """The log base LRs that could be the best of each line, evenly spaced: shape (lines, LR_POINTS).

        The best mean LR hardly moves with the schedule. Without that, LRs at which no trial was run, as nobody would
        expect anything of them, could be the best of a schedule that was not tried either.
        """
        low, high = self._range
        ends = np.full(len(lines), high) if highest is None else np.clip(highest, low + MARGIN, high)
        coarse = np.linspace(np.full(len(lines), low), ends, COARSE, axis=1)
        at = self._on(lines, coarse)
        mean = self.group.mode.mean(at).reshape(coarse.shape)
        sd = np.sqrt(self.group.mode.variance(at)).reshape(coarse.shape)
        away = np.abs(at.x[:, 0] - self._best_mean_lr).reshape(coarse.shape)
        near = away <= np.maximum(WITHIN, away.min(axis=1, keepdims=True))
        possible = near & (mean - 2.0 * sd <= np.where(near, mean + 2.0 * sd, np.inf).min(axis=1, keepdims=True))
        first = np.maximum(possible.argmax(axis=1) - 1, 0)
        last = np.minimum(COARSE - possible[:, ::-1].argmax(axis=1), COARSE - 1)
        rows = np.arange(len(lines))
        return np.linspace(coarse[rows, first], coarse[rows, last], LR_POINTS, axis=1)

    def _highest(self, lines: list[Line]) -> Array:
        """The highest log base LR at which each line is supported by trials, shape (lines,).

        Beyond lies, as a rule, a cliff that no smooth surface sees. A schedule that decays earlier has the lower LR at
        every step, so a trial that completed supports its base LR for all of its group that decay as early or earlier.
        """
        trials = self.trials
        area = np.array([line.shape[1] for line in lines])
        place = placed(np.column_stack([area, area, area]), 0.0)[:, 1]
        group = np.array([trials.labels.index(trials.group[line.family]) for line in lines])
        completed = trials.outcomes.status == "completed"
        highest = np.empty(len(lines))
        for own in np.unique(group):
            done, mine = completed & (trials.outcomes.family == own), group == own
            # A single trial may have had a low LR by chance: among the latest schedules take five at least.
            late, lr = trials.outcomes.place[done, 1], trials.log_lr[done]
            least = np.minimum(place[mine] - NEAR, np.sort(late)[-NEIGHBOURS:][0])
            highest[mine] = np.where(late >= least[:, None], lr, -np.inf).max(axis=1) + MARGIN
        return highest


def _over_lr(values: Array, log_lr: Array) -> tuple[Array, Array]:
    """Lowest of values (s, lines x LRs) along log LRs (lines, LRs), and the log LR of it: both (s, lines)."""
    lowest, where = minimise(values.reshape(-1, *log_lr.shape))
    return lowest, log_lr[:, 0] + (log_lr[:, 1] - log_lr[:, 0]) * where


def minimise(values: Array) -> tuple[Array, Array]:
    """Minimum along the last axis and its (fractional) index, by a parabola through the lowest point's neighbours."""
    n = values.shape[-1]
    i = np.clip(values.argmin(axis=-1), 1, n - 2)
    left, mid, right = (np.take_along_axis(values, (i + k)[..., None], axis=-1)[..., 0] for k in (-1, 0, 1))
    curvature = left - 2.0 * mid + right
    inside = (mid <= left) & (mid <= right) & (curvature > 0)
    shift = np.where(inside, 0.5 * (left - right) / np.where(curvature > 0, curvature, 1.0), 0.0)
    lowest = np.where(inside, mid - 0.25 * (left - right) * shift, np.minimum(np.minimum(left, mid), right))
    where = np.where(inside, i + shift, np.where(left < right, i - 1, i + 1))
    return lowest, where.astype(np.float64)


def column(values: Array, where: float) -> Array:
    """Each draw's value (s, g) at a fractional index: shape (s,)."""
    left = min(int(where), values.shape[1] - 2) if values.shape[1] > 1 else 0
    weight = where - left
    return np.asarray(
        (1.0 - weight) * values[:, left] + (weight * values[:, left + 1] if weight else 0.0), dtype=np.float64
    )
