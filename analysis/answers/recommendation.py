"""The answer for one workload and budget, as text, JSON and a schedule ready for use."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phitune.trainables.schedules import Schedule, from_dict


@dataclass(frozen=True)
class Evidence:
    """What a recommendation rests on: number of cells, explore trials and replicates, and the guidelines file."""

    cells: int
    trials: int
    replicates: int
    source: str

    @classmethod
    def of(cls, cells: Sequence[dict[str, Any]], source: str) -> "Evidence":
        """The sum over cells of guidelines.json."""
        trials, replicates = (sum(int(c.get(key, 0)) for c in cells) for key in ("trials", "replicates"))
        return cls(len(cells), trials, replicates, source)


@dataclass(frozen=True)
class Recommendation:
    """The answer.

    Attributes:
        workload: Label of the workload.
        budget: In iterations.
        optimizer: Its name.
        family: The recommended family.
        phi: UBA's phi; None if another family is recommended.
        phi_interval: Its 90 % interval; None where unknown.
        base_lr: Base LR (the LR at the peak).
        base_lr_interval: 90 % interval; None where unknown.
        expected_metric: Validation metric to expect; None where unknown.
        evidence: What it rests on.
        warnings: In plain words what to be careful about.
        schedule: Ready for use: `recommendation.schedule.lr_scheduler(optimizer, horizon=recommendation.budget)`.
    """

    workload: str
    optimizer: str
    budget: int
    family: str
    phi: float | None
    phi_interval: tuple[float, float] | None
    base_lr: float
    base_lr_interval: tuple[float, float] | None
    expected_metric: float | None
    evidence: Evidence
    warnings: tuple[str, ...]
    schedule: Schedule

    def to_dict(self) -> dict[str, Any]:
        """The fields of `phitune recommend --json`."""
        fields = ("workload", "optimizer", "budget", "family", "phi", "phi_interval", "base_lr", "base_lr_interval")
        values: dict[str, Any] = {key: getattr(self, key) for key in fields}
        values |= {"expected_metric": self.expected_metric, "evidence": vars(self.evidence)}
        return values | {"warnings": list(self.warnings), "schedule": self.schedule.to_dict()}

    def to_json(self) -> str:
        """`to_dict` as strict JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        """What `phitune recommend` prints."""
        known = self.evidence
        phi = "" if self.phi is None else f", φ = {_range(self.phi, self.phi_interval)}"
        rows = [
            ("schedule", f"{self.family}{phi}{beside_phi(self.schedule.to_dict())}"),
            ("base LR", _range(self.base_lr, self.base_lr_interval)),
            (
                "expect",
                "unknown" if self.expected_metric is None else f"{self.expected_metric:.4g} (validation metric)",
            ),
            (
                "evidence",
                f"{known.cells} cell(s), {known.trials} trials, {known.replicates} replicates; {known.source}",
            ),
            *(("note", warning) for warning in self.warnings),
        ]
        head = f"{self.workload} with {self.optimizer} for {self.budget} iterations"
        return "\n".join([head, *(f"  {name:9} {text}" for name, text in rows)])


def beside_phi(values: dict[str, Any] | None) -> str:
    """What besides family and φ makes a schedule, such as ", cooldown 0.3, warmup 0.05"; empty if nothing does."""
    described = from_dict(values).described() if values else {}
    return "".join(f", {key.replace('_', ' ')} {text}" for key, text in described.items() if key != "phi")


def _range(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:.3g}" if interval is None else f"{value:.3g}, 90 % interval {interval[0]:.3g} to {interval[1]:.3g}"
