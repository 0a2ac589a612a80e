"""The answer for one workload and budget, as text, JSON and a schedule ready for use."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phitune.analysis.answers.cell import Cell
from phitune.analysis.answers.fields import Interval
from phitune.analysis.answers.numbers import number
from phitune.trainables.schedules import Schedule, from_dict


@dataclass(frozen=True)
class Evidence:
    """Evidence behind a recommendation: number of cells, explore trials and replicates; path of the guidelines file."""

    cells: int
    trials: int
    replicates: int
    source: str

    @classmethod
    def of(cls, cells: Sequence[Cell], source: str) -> "Evidence":
        """The sum over cells of guidelines.json."""
        return cls(len(cells), sum(c.trials for c in cells), sum(c.replicates for c in cells), source)


@dataclass(frozen=True)
class Recommendation:
    """The schedule and base LR to use for a workload, an optimizer and a budget.

    Attributes:
        workload: Label of the workload.
        optimizer: Name of the optimizer.
        budget: In iterations.
        family: The recommended family.
        intervals: 90 % intervals of the family's searched parameters, such as phi, by name; None where unknown.
        base_lr: Base LR (the LR at the peak).
        base_lr_interval: 90 % interval of the base LR; None where unknown.
        expected_metric: Validation metric to expect; None where unknown.
        evidence: The cells and trials behind it.
        warnings: In plain words, what to be careful about.
        schedule: Ready for use: `recommendation.schedule.lr_scheduler(optimizer, horizon=recommendation.budget)`.
        gains: In a cell that was searched, the gain over each baseline and how sure it is, in words; see `sureness`.
        expected: The objective and metric to expect, in words; empty where unknown.
        study: For a workload that was not searched, the study file that finds its LR in a dozen trials; else empty.
    """

    workload: str
    optimizer: str
    budget: int
    family: str
    intervals: Mapping[str, Interval | None]
    base_lr: float
    base_lr_interval: Interval | None
    expected_metric: float | None
    evidence: Evidence
    warnings: tuple[str, ...]
    schedule: Schedule
    study: str = ""
    gains: Mapping[str, str] = field(default_factory=dict)
    expected: str = ""

    @classmethod
    def of(
        cls,
        label: str,
        steps: int,
        schedule: Schedule,
        base_lr: float,
        cells: Sequence[Cell],
        source: str,
        *,
        intervals: Mapping[str, Interval | None] | None = None,
        base_lr_interval: Interval | None = None,
        expected_metric: float | None = None,
        warnings: Sequence[str] = (),
        gains: Mapping[str, str] | None = None,
        expected: str = "",
    ) -> "Recommendation":
        """A recommendation with the evidence of its cells.

        Args:
            label: Label of the workload.
            steps: The budget in iterations.
            schedule: The recommended schedule; the family and its parameter's value are read off it.
            base_lr: The recommended base LR.
            cells: The cells behind it, all of one optimizer; at least one.
            source: Path of the guidelines file.
            intervals: See the attribute.
            base_lr_interval: See the attribute.
            expected_metric: See the attribute.
            warnings: See the attribute.
            gains: See the attribute.
            expected: See the attribute.
        """
        return cls(
            workload=label,
            optimizer=cells[0].optimizer,
            budget=steps,
            family=schedule.family,
            intervals=intervals or {},
            base_lr=base_lr,
            base_lr_interval=base_lr_interval,
            expected_metric=expected_metric,
            evidence=Evidence.of(cells, source),
            warnings=tuple(warnings),
            schedule=schedule,
            gains=gains or {},
            expected=expected,
        )

    @property
    def parameter(self) -> str | None:
        """Name of the family's searched parameter, of two the first; None without one."""
        return next(iter(self.intervals), None)

    @property
    def interval(self) -> Interval | None:
        """90 % interval of its value; None where unknown."""
        return next(iter(self.intervals.values()), None)

    @property
    def value(self) -> float | None:
        """Its value; None without one."""
        return None if self.parameter is None else float(getattr(self.schedule, self.parameter))

    @property
    def phi(self) -> float | None:
        """UBA's phi; None if another family is recommended."""
        return float(self.schedule.to_dict()["phi"]) if self.family == "uba" else None

    @property
    def phi_interval(self) -> Interval | None:
        """90 % interval of UBA's phi; None where unknown."""
        return self.intervals.get("phi") if self.family == "uba" else None

    def to_dict(self) -> dict[str, Any]:
        """The fields of `phitune recommend --json`."""
        fields = ("workload", "optimizer", "budget", "family", "phi", "phi_interval", "base_lr", "base_lr_interval")
        values: dict[str, Any] = {key: getattr(self, key) for key in fields}
        values |= {"expected_metric": self.expected_metric, "evidence": vars(self.evidence)}
        values |= {"warnings": list(self.warnings), "schedule": self.schedule.to_dict()}
        values |= {"parameter": self.parameter, "value": self.value, "interval": self.interval}
        values |= {"intervals": dict(self.intervals)}
        return values | ({"study": self.study} if self.study else {})

    def to_json(self) -> str:
        """`to_dict` as strict JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        """The text that `phitune recommend` prints."""
        values = [
            f", {symbol(name)} = {_range(getattr(self.schedule, name), interval)}"
            for name, interval in self.intervals.items()
        ]
        evidence = self.evidence
        rows = [
            ("schedule", f"{self.family}{''.join(values)}{beside(self.intervals, self.schedule.to_dict())}"),
            ("base LR", _range(self.base_lr, self.base_lr_interval)),
            *([("expect", self.expected)] if self.expected else []),
            *(("gain", f"over {base}: {words}") for base, words in self.gains.items()),
            (
                "evidence",
                f"{evidence.cells} {'cell' if evidence.cells == 1 else 'cells'}, {evidence.trials} trials, "
                f"{evidence.replicates} replicates; "
                f"{evidence.source}",
            ),
            *(("note", warning) for warning in self.warnings),
        ]
        head = f"{self.workload} with {self.optimizer} for {self.budget} iterations"
        next_step = ["its LR is found by `phitune search` of:", *self.study.splitlines()] if self.study else []
        return "\n".join([head, *(f"  {name:9} {text}" for name, text in rows), *next_step])


def symbol(parameter: str) -> str:
    """A parameter as people read it: φ, or its name."""
    return "φ" if parameter == "phi" else parameter.replace("_", " ")


def beside(known: Collection[str], values: Mapping[str, Any] | None) -> str:
    """A schedule's parameters other than some, such as ", cooldown 0.3, warmup 0.05"; empty if there are none.

    Args:
        known: These.
        values: The schedule as `Schedule.to_dict` gives it.
    """
    parameters = from_dict(values).described() if values else {}
    return "".join(f", {symbol(key)} {text}" for key, text in parameters.items() if key not in known)


def _range(value: float, interval: Interval | None) -> str:
    if interval is None:
        return number(value)
    return f"{number(value)}, 90 % interval {number(interval[0])} to {number(interval[1])}"
