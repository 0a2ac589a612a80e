"""The answer for one workload and budget, read from guidelines.json. Light: no pandas, MLflow or SciPy."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from analysis.budget_model import BudgetModel
from trainables.errors import InputError
from trainables.schedules import Schedule, from_dict
from trainables.spec import Spec

DEFAULT_PATTERN = "runs/*/report/guidelines.json"
FEW_REPLICATES = 3
Cell = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What a recommendation rests on: number of cells, explore trials and replicates, and the guidelines file."""

    cells: int
    trials: int
    replicates: int
    source: str


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


def recommend(
    workload: str, budget: int | str, optimizer: str = "sgd", guidelines: str | Path | None = None
) -> Recommendation:
    """Which schedule, phi and base LR to use.

    Args:
        workload: A label such as "mlp/digits" or "quadratic(kappa=100)"; the name alone if only one such is known.
        budget: Iterations, or "25%" of the workload's full budget.
        optimizer: Name of the optimizer.
        guidelines: A guidelines.json; by default the newest runs/*/report/guidelines.json that knows the workload.

    Returns:
        The recommendation. Between budgets that were searched it is interpolated, and says so.

    Raises:
        InputError: Unknown workload or optimizer, a budget outside the evidence, no or a damaged guidelines file.
    """
    source, content = _source(workload, guidelines)
    cells = _cells_of(content["cells"], workload)
    known = sorted({str(c["optimizer"]) for c in cells})
    if optimizer not in known:
        near = get_close_matches(optimizer, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"--optimizer: no evidence for {optimizer!r} on {cells[0]['label']}; there is for: {', '.join(known)}{hint}"
        )
    cells = sorted((c for c in cells if c["optimizer"] == optimizer), key=lambda c: int(c["budget"]))
    steps = _steps(budget, cells)
    exact = [c for c in cells if c["budget"] == steps]
    if exact:
        return _from_cell(exact[0], source)
    low, high = int(cells[0]["budget"]), int(cells[-1]["budget"])
    if not low < steps < high:
        budgets = ", ".join(str(c["budget"]) for c in cells)
        raise InputError(
            f"--budget: {steps} iterations lie outside the evidence for {cells[0]['label']} with {optimizer}, "
            f"which covers {low} to {high} (searched: {budgets}); search that budget first"
        )
    models = [BudgetModel.from_dict(m) for m in content.get("models", [])]
    model = next((m for m in models if (m.workload, m.optimizer) == (cells[0]["label"], optimizer)), None)
    return _between(cells, steps, model, source)


def _source(workload: str, guidelines: str | Path | None) -> tuple[str, dict[str, Any]]:
    """The guidelines file to use and its content."""
    if guidelines is not None:
        return str(guidelines), _read(Path(guidelines))
    files = sorted(Path().glob(DEFAULT_PATTERN), key=lambda p: p.stat().st_mtime, reverse=True)
    if not files:
        raise InputError(f"--guidelines: no {DEFAULT_PATTERN} here; run phitune analyze first, or name a file")
    labels: list[str] = []
    for path in files:
        content = _read(path)
        if _matches(content["cells"], workload):
            return str(path), content
        labels += [str(c["label"]) for c in content["cells"]]
    raise _unknown(workload, labels)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"--guidelines: no file {str(path)!r}; phitune analyze writes guidelines.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list) or not content["cells"]:
        raise InputError(f"--guidelines: {str(path)!r} is not a guidelines.json written by phitune analyze")
    for cell in content["cells"]:
        missing = [k for k in ("workload", "optimizer", "budget", "family", "phi", "base_lr") if k not in cell]
        if missing:
            raise InputError(f"--guidelines: {str(path)!r} has a cell without {missing[0]!r}")
        cell.setdefault("label", Spec.of(cell["workload"]).label)
    return content


def _matches(cells: Iterable[Cell], workload: str) -> list[str]:
    """Labels that the given text may mean: the very one, else those of that name with at least those parameters."""
    asked = Spec.parse(workload)
    specs = {str(c["label"]): Spec.parse(str(c["label"])) for c in cells}
    same = [label for label, spec in specs.items() if spec == asked]
    return same or [
        label
        for label, spec in specs.items()
        if spec.name == asked.name and asked.params.items() <= spec.params.items()
    ]


def _cells_of(cells: list[Cell], workload: str) -> list[Cell]:
    labels = _matches(cells, workload)
    if not labels:
        raise _unknown(workload, [str(c["label"]) for c in cells])
    if len(labels) > 1:
        raise InputError(f"--workload: {workload!r} may be any of: {', '.join(sorted(labels))}; name one in full")
    return [c for c in cells if c["label"] == labels[0]]


def _unknown(workload: str, labels: list[str]) -> InputError:
    known = sorted(set(labels))
    near = get_close_matches(workload, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"--workload: no evidence for {workload!r}; there is for: {', '.join(known)}{hint}")


def _steps(budget: int | str, cells: list[Cell]) -> int:
    text = str(budget).strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0) or (not percent and number != int(number)):
        raise InputError(f"--budget: {text!r} is not allowed; give whole iterations (300) or a percentage (25%)")
    if not percent:
        return int(number)
    full = next((c["full_budget"] for c in cells if c.get("full_budget")), None)
    if full is None:
        raise InputError(
            f"--budget: {text!r} needs the full budget of {cells[0]['label']}, unknown here; give iterations"
        )
    return max(1, round(number / 100.0 * float(full)))


def _from_cell(cell: Cell, source: str) -> Recommendation:
    if not cell.get("schedule") or cell.get("base_lr") is None:
        raise InputError(
            f"--budget: no trial of {cell['label']} with {cell['optimizer']} completed at {cell['budget']} iterations; "
            "search it with more trials"
        )
    chosen = from_dict(cell["schedule"])
    is_uba = chosen.family == "uba"
    return Recommendation(
        workload=str(cell["label"]),
        optimizer=str(cell["optimizer"]),
        budget=int(cell["budget"]),
        family=chosen.family,
        phi=float(cell["schedule"]["phi"]) if is_uba else None,
        phi_interval=_pair(cell["phi_interval"]) if is_uba else None,
        base_lr=float(cell["base_lr"]),
        base_lr_interval=_pair(cell.get("base_lr_interval")),
        expected_metric=cell.get("expected_metric"),
        evidence=Evidence(1, int(cell.get("trials", 0)), int(cell.get("replicates", 0)), source),
        warnings=tuple(_cautions(cell)),
        schedule=chosen,
    )


def _cautions(cell: Cell) -> list[str]:
    """What the evidence of one cell does not settle, in plain words."""
    verdict, warnings = cell.get("verdict"), []
    if verdict == "thin":
        warnings.append(
            f"too few completed trials ({cell.get('completed', 0)}) to fit phi; this is the best configuration seen, "
            "not an estimate of the best there is"
        )
    elif verdict == "flat":
        warnings.append("phi hardly matters here: the whole range searched is within the tolerance of the best")
    elif verdict == "unclear":
        warnings.append(
            "phi's interval covers most of the range searched: these trials do not locate it; the schedule is the best "
            "one that was replicated"
        )
    elif verdict == "boundary":
        warnings.append("phi's interval touches the end of the range searched; widen space.phi or add trials")
    if cell.get("base_lr_at_limit") and cell.get("family") == "uba":
        warnings.append("base LR is as high as was tried there; a higher one may be better: widen space.base_lr")
    if cell.get("comparison_evidence") == "explore":
        warnings.append("no replicates: families were compared on single runs, which flatters the ones tried most")
    elif cell.get("comparison_evidence") == "replicates":
        counts = [f.get("replicates", 0) for f in cell.get("families", [])]
        if counts and min(counts) < FEW_REPLICATES:
            warnings.append(f"only {min(counts)} replicate(s) a finalist: differences between families are uncertain")
    if cell.get("family") not in (None, "uba"):
        warnings.append(f"another family than UBA is recommended: {cell.get('family_reason', cell['family'])}")
    return warnings


def _between(cells: list[Cell], steps: int, model: BudgetModel | None, source: str) -> Recommendation:
    """Interpolated between the nearest usable budgets on either side."""
    usable = [c for c in cells if c.get("base_lr") is not None and c.get("schedule")]
    below = [c for c in usable if c["budget"] < steps][-1:]
    above = [c for c in usable if c["budget"] > steps][:1]
    used = below + above
    if not used:
        raise InputError(
            f"--budget: no trial completed at any budget of {cells[0]['label']}; search it with more trials"
        )
    names = " and ".join(str(c["budget"]) for c in used)
    warnings = [f"interpolated between the budgets searched ({names}); {steps} iterations were not searched themselves"]
    if len(used) == 1:
        warnings[0] = f"taken from the budget {names}, the only usable one next to {steps} iterations"
    weight = 0.0
    if len(used) == 2:
        weight = math.log(steps / used[0]["budget"]) / math.log(used[1]["budget"] / used[0]["budget"])
    families = {str(c["family"]) for c in used}
    with_phi = all(c.get("phi") is not None and c.get("uba_base_lr") is not None for c in used)
    if len(families) > 1 and with_phi:
        warnings.append(f"the neighbours disagree on the family ({', '.join(sorted(families))}); UBA is given")
        families = {"uba"}
    nearest = used[round(weight)] if len(used) == 2 else used[0]
    phi: float | None
    if families == {"uba"} and with_phi:
        chosen, base_lr = _interpolated_uba(used, weight, steps, model)
        phi, phi_interval = float(chosen.to_dict()["phi"]), _hull(c["phi_interval"] for c in used)
        base_lr_interval = _hull(c.get("uba_base_lr_interval") for c in used)
    else:
        chosen = from_dict(nearest["schedule"])
        same = [c for c in used if c["family"] == nearest["family"]]
        base_lr = float(nearest["base_lr"])
        if len(same) == 2:
            base_lr = math.exp(_mix([math.log(c["base_lr"]) for c in same], weight))
        phi = float(nearest["schedule"]["phi"]) if chosen.family == "uba" else None
        phi_interval = None
        base_lr_interval = _hull(c.get("base_lr_interval") for c in same)
    for cell in used:
        warnings += [f"at {cell['budget']} iterations: {text}" for text in _cautions(cell)]
    metrics = [c.get("expected_metric") for c in used]
    return Recommendation(
        workload=str(cells[0]["label"]),
        optimizer=str(cells[0]["optimizer"]),
        budget=steps,
        family=chosen.family,
        phi=phi,
        phi_interval=phi_interval,
        base_lr=base_lr,
        base_lr_interval=base_lr_interval,
        expected_metric=None if None in metrics else _mix([float(m) for m in metrics if m is not None], weight),
        evidence=Evidence(
            len(used),
            sum(int(c.get("trials", 0)) for c in used),
            sum(int(c.get("replicates", 0)) for c in used),
            source,
        ),
        warnings=tuple(warnings),
        schedule=chosen,
    )


def _interpolated_uba(used: list[Cell], weight: float, steps: int, model: BudgetModel | None) -> tuple[Schedule, float]:
    """phi from the model if it has a slope, else linear in log budget; the *mean* LR is what is interpolated."""
    log_phi = _mix([math.log(c["phi"]) for c in used], weight)
    if model is not None and model.kind == "log-linear":
        log_phi = model.log_phi(steps)
        intervals = _hull(c["phi_interval"] for c in used)
        if intervals is not None:
            log_phi = min(max(log_phi, math.log(intervals[0])), math.log(intervals[1]))
    shape = used[0].get("uba_schedule") or {"family": "uba"}
    chosen = from_dict({**shape, "phi": math.exp(log_phi)})
    best = [from_dict({**(c.get("uba_schedule") or {"family": "uba"}), "phi": c["phi"]}) for c in used]
    means = [math.log(c["uba_base_lr"] * b.mean(c["budget"])) for c, b in zip(used, best, strict=True)]
    return chosen, math.exp(_mix(means, weight)) / chosen.mean(steps)


def _mix(values: list[float], weight: float) -> float:
    return values[0] if len(values) == 1 else (1.0 - weight) * values[0] + weight * values[1]


def _hull(intervals: Iterable[Any]) -> tuple[float, float] | None:
    """The smallest interval that holds all; None if any is unknown."""
    pairs = list(intervals)
    if not pairs or any(p is None for p in pairs):
        return None
    return float(min(p[0] for p in pairs)), float(max(p[1] for p in pairs))


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))
