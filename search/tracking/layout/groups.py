"""What an experiment, a cell and a finalist look like in MLflow: names, tags, params, metrics, descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from mlflow.entities import Metric, Param

from phitune.search.records.record import Mode, Record, Trial
from phitune.search.tracking.facts import HEADING, CellFacts, StudyFacts
from phitune.search.tracking.layout.trials import RUN_STATUS, configuration_name
from phitune.search.tracking.layout.views import CELLS, FINALISTS, TRIALS, cell_view, run_page, runs_page
from phitune.trainables.mlflow_names import BEST

# Opens MLflow's pages for training runs rather than those for language-model traces.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


def experiment_note(experiment: str, study_run: str) -> str:
    """The experiment's description."""

    def link(text: str, view: str, charts: bool = False) -> str:
        return f"[{text}]({runs_page(experiment, '', view, charts).removeprefix('/')})"

    links = [
        link("The cells", CELLS),
        link("families compared, in charts", CELLS, charts=True),
        link("finalists", FINALISTS),
        link("all trials", TRIALS),
        f"[the study]({run_page(experiment, study_run)})",
    ]
    return f"{' · '.join(links)}: what was searched, and the answers once `phitune analyze` has run"


def cell_params(cell: CellFacts) -> list[Param]:
    values = {"workload": cell.workload, "optimizer": cell.optimizer, "budget": cell.budget}
    return [Param(key, str(value)) for key, value in values.items()]


def cell_note(facts: StudyFacts, key: str, experiment: str, study_run: str) -> str:
    """The search's part of a cell's description."""
    cell = facts.cells[key]
    view = cell_view(key)
    trials, charts = (runs_page(experiment, "", view, charts=charts).removeprefix("/") for charts in (False, True))
    return (
        f"{HEADING}\n\n{cell.workload} with {cell.optimizer} for {cell.budget} iterations, "
        f"{100 * cell.budget / cell.full_budget:.3g} % of the full budget; {cell.objective} ({cell.mode}). "
        f"[Its trials, the best first]({trials}) · [charts of the ten best]({charts}) · "
        f"[the study]({run_page(experiment, study_run)})"
    )


def cell_texts(records: Sequence[Record], cell: CellFacts) -> dict[str, str]:
    """Tags of a cell's run: how its trials ended, and the best of them."""
    best = _best(records, cell)
    texts = {"trials": counts(records)}
    return texts | ({"best so far": configuration_name(best[-1][1].trial)} if best else {})


def best_so_far(records: Sequence[Record], cell: CellFacts) -> list[Metric]:
    """The best objective of a cell's explore trials, a point wherever it became better, over the number of trials."""
    return [Metric(BEST, best.final["objective"], end_of(best), number) for number, best in _best(records, cell)]


def _best(records: Sequence[Record], cell: CellFacts) -> list[tuple[int, Record]]:
    """Every trial that was the best so far, with its place among the explore trials, from 1."""
    best: list[tuple[int, Record]] = []
    mode: Mode = "min" if cell.mode == "min" else "max"
    explored = (record for record in records if record.trial.phase == "explore")
    for number, record in enumerate(explored, start=1):
        if record.beats(best[-1][1] if best else None, mode):
            best.append((number, record))
    return best


def finalist_name(trial: Trial, cell: CellFacts) -> str:
    """Name of a finalist's run, such as ``uba φ=2.1 lr=0.14 finalist``."""
    name = f"{configuration_name(trial)} finalist"
    return f"{name} · {cell.shown}" if cell.shown else name


def spread(replicates: Sequence[Record]) -> list[Metric]:
    """Mean, standard deviation and number of a finalist's replicates, over that number."""
    points = []
    for number in range(1, len(replicates) + 1):
        some, at = [record.final for record in replicates[:number]], end_of(replicates[number - 1])
        points.append(Metric("final/objective_n", number, at, number))
        for name in ("objective", "val_metric", "test_loss", "test_metric"):
            values = [final[name] for final in some if name in final]
            if len(values) == number:
                points.append(Metric(f"final/{name}_mean", fmean(values), at, number))
            if len(values) == number > 1:
                points.append(Metric(f"final/{name}_std", stdev(values), at, number))
    return points


def end_of(record: Record) -> int:
    """When a trial ended, in ms since 1970."""
    return int(1000 * (record.started + record.seconds))


def counts(records: Iterable[Record]) -> str:
    """Number of trials by status, as text."""
    numbers: Counter[str] = Counter(record.status for record in records)
    return ", ".join(f"{numbers[status]} {status}" for status in RUN_STATUS if numbers[status]) or "none"
