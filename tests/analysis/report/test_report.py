"""The contract of guidelines.json, the report's files, and its log in MLflow."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts import MOST_PANELS, charts
from phitune.analysis.report.mlflow_log import log_report
from phitune.analysis.report.pages import write_report
from phitune.analysis.report.run import analyze
from phitune.analysis.report.words.cells import heads, summary_table
from phitune.analysis.report.words.note import SEARCHED
from phitune.analysis.results import StudyRef
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import from_dict
from phitune.trainables.spec import Spec
from tests.analysis.conftest import RECIPES


@pytest.fixture(scope="module")
def content(guidelines_file: Path) -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not strict JSON")

    loaded: dict[str, Any] = json.loads(guidelines_file.read_text(), parse_constant=refuse)
    return loaded


def test_guidelines_have_the_fields_of_the_contract(content: dict[str, Any]) -> None:
    assert {"cells", "models", "validation", "provenance"} <= set(content)
    assert len(content["cells"]) == len(RECIPES)
    for cell, recipe in zip(content["cells"], sorted(RECIPES, key=lambda r: (r.label, r.budget)), strict=True):
        assert {"phi", "phi_interval", "base_lr", "base_lr_interval", "family", "verdict", "schedule"} <= set(cell)
        assert Spec.of(cell["workload"]).label == cell["label"] == recipe.label
        assert cell["budget"] == recipe.budget and cell["full_budget"] == recipe.full_budget
        assert from_dict(cell["schedule"]).family == cell["family"]
        assert cell["trials"] == cell["completed"] + cell["stopped"] + cell["diverged"] + cell["failed"]


def test_a_thin_cell_has_no_phi(content: dict[str, Any]) -> None:
    thin = next(c for c in content["cells"] if c["label"] == "quadratic(kappa=100,noise=0.1)")
    assert thin["verdict"] == "thin" and thin["phi"] is None and thin["phi_interval"] is None


def test_intervals_hold_their_values(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        if cell["phi"] is not None:
            assert cell["phi_interval"][0] <= cell["phi"] <= cell["phi_interval"][1]
        if cell["base_lr_interval"] is not None:
            assert cell["base_lr_interval"][0] <= cell["base_lr"] * 1.0001
            assert cell["base_lr"] <= cell["base_lr_interval"][1] * 1.0001


def test_no_slope_is_claimed_where_there_are_under_four_budgets(content: dict[str, Any]) -> None:
    few = next(m for m in content["models"] if m["workload"] == "quadratic(kappa=10,noise=1)")
    assert few["kind"] != "log-linear" and few["slope"] == 0


def test_uba_stands_where_it_is_equal_to_the_best(guidelines: Guidelines) -> None:
    for cell in guidelines.cells:
        best = cell.families[0]
        assert best.objective == min(f.objective for f in cell.families)
        if cell.family != "uba":
            assert cell.family == best.family and cell.family_verdict == "uba beaten"


def test_validation_regret_is_not_negative(content: dict[str, Any]) -> None:
    rows = [row for part in content["validation"].values() for row in part["rows"]]
    assert len(rows) == 8
    for row in rows:
        known = [row["regret"], row["constant"], *row["rivals"].values()]
        assert all(value is None or value >= 0 for value in known)


def test_all_files_exist_and_only_pictures_that_are_linked(guidelines_file: Path) -> None:
    out = guidelines_file.parent
    for name in ("guidelines.json", "results.parquet", "report.html", "report.md"):
        assert (out / name).stat().st_size > 0
    text = (out / "report.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((figures/[^)]+)\)", text))
    assert linked == {f"figures/{path.name}" for path in (out / "figures").iterdir()}
    assert {"figures/phi_against_budget.png", "figures/families.png"} <= linked
    assert not re.search(r"\bnan\b|\bNone\b", text)
    assert not list(out.parent.glob(".report-*"))


def test_comparisons_across_cells_are_in_the_file(content: dict[str, Any]) -> None:
    comparisons = content["comparisons"]
    assert set(comparisons) == {"ranks", "scores", "tuning_curves", "budget_saved"}
    # Six cells have all four families, one has no replicates.
    assert comparisons["scores"]["cells"] == 6 and comparisons["scores"]["left_out"] == 1
    assert {(s["workload"], s["budget"]) for s in comparisons["budget_saved"]} == {(r.label, r.budget) for r in RECIPES}


def test_the_report_is_logged_on_the_studys_run(study: StudyRef, guidelines_file: Path) -> None:
    client = MlflowClient(tracking_uri=study.tracking_uri)
    run = results.parent_run_id(study)
    logged = {f.path for f in client.list_artifacts(run, "report")}
    assert {"report/report.html", "report/guidelines.json", "report/results.parquet"} <= logged
    assert "| budget |" in client.get_run(run).data.tags["mlflow.note.content"]


def test_each_cells_run_holds_its_answer_however_often_it_is_logged(study: StudyRef, guidelines: Guidelines) -> None:
    client = MlflowClient(tracking_uri=study.tracking_uri)
    parent = results.parent_run_id(study)
    experiment = client.get_run(parent).info.experiment_id
    # The others are as in a study of an earlier layout, which had no runs of cells.
    for recipe in RECIPES[-2:]:
        tags = {"phitune.kind": "cell", "phitune.study_run": parent, "mlflow.note.content": f"{SEARCHED}\n\nthis"}
        run = client.create_run(experiment, tags=tags).info.run_id
        for key, value in {"workload": recipe.label, "optimizer": recipe.optimizer, "budget": recipe.budget}.items():
            client.log_param(run, key, value)
    gathered = results.gather([str(study.out_dir)])
    for _ in range(2):
        assert log_report(gathered, guidelines, Path(), []) is None
    runs = results.cell_runs(study, parent)
    answers = {(cell.label, cell.optimizer, cell.budget): cell for cell in guidelines.cells}
    assert len(runs) == 2
    for key, run in runs.items():
        cell = answers[key]
        figures, texts = run.data.metrics, run.data.tags
        assert (figures.get("answer/phi"), figures.get("answer/base_lr")) == (cell.phi, cell.base_lr)
        if cell.phi_interval is not None:
            assert (figures["answer_low/phi"], figures["answer_high/phi"]) == cell.phi_interval
        assert {name: figures[f"gain/{name}"] for name in ("uba", "linear")} == {
            family.family: family.gains["cosine"].percent
            for family in cell.families
            if family.family in ("uba", "linear")
        }
        assert texts["phitune.verdict"] == cell.verdict and texts["family"].startswith(str(cell.family))
        note = texts["mlflow.note.content"]
        assert note.count("## Answer") == note.count(SEARCHED) == 1 and note.endswith("this")
        assert all(len(client.get_metric_history(run.info.run_id, name)) == 1 for name in figures)
        drawn = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert drawn == (["surface.png"] if cell.phi is not None else [])
    assert {answers[key].phi is None for key in runs} == {True, False}
    # What a later analysis cannot say is taken back.
    unsaid = replace(guidelines, cells=tuple(replace(cell, base_lr=None) for cell in guidelines.cells))
    assert log_report(gathered, unsaid, Path(), []) is None
    for run in results.cell_runs(study, parent).values():
        assert math.isnan(run.data.metrics["answer/base_lr"])
        client.delete_run(run.info.run_id)


def test_summary_table_has_a_row_for_each_cell(guidelines: Guidelines) -> None:
    rows = summary_table(guidelines)
    assert len(rows) == len(RECIPES)
    assert all(set(row) == {"workload", "optimizer", *heads(guidelines)} for row in rows)


def test_bad_input_writes_nothing(study: StudyRef, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        analyze("nothing-here", study.tracking_uri, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_without_finished_trials_is_an_error(tmp_path: Path, study: StudyRef) -> None:
    client = MlflowClient(tracking_uri=study.tracking_uri)
    experiment = client.create_experiment("fresh")
    client.create_run(experiment, tags={"phitune.kind": "study"})
    with pytest.raises(InputError, match="no finished trial"):
        analyze("fresh", study.tracking_uri, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_are_the_same_from_run_to_run(study: StudyRef, guidelines_file: Path, tmp_path: Path) -> None:
    again = analyze(str(study.out_dir), out=tmp_path / "again", date="2026-01-01").out
    for name in ("report.html", "report.md", "guidelines.json", "figures/phi_against_budget.png"):
        assert (again / name).read_bytes() == (guidelines_file.parent / name).read_bytes(), name


def _many_workloads(study: StudyRef, guidelines: Guidelines, at: int) -> tuple[pd.DataFrame, Guidelines]:
    """Rows and conclusions of one cell under more names than figures have panels."""
    table, cell = results.load(study), guidelines.cells[at]
    rows = table[(table["workload"] == cell.label) & (table["budget"] == cell.budget)]
    names = [f"mlp/data{i:02d}" for i in range(MOST_PANELS + 1)]
    copies = tuple(replace(cell, workload=name, label=name) for name in names)
    many = replace(guidelines, cells=copies, surfaces=(guidelines.surfaces[at],) * len(names), models=())
    many = replace(many, comparisons=replace(guidelines.comparisons, tuning_curves=()))
    return pd.concat([rows.assign(workload=name) for name in names], ignore_index=True), many


def test_of_many_workloads_the_page_has_all_and_report_md_says_how_many_are_not_drawn(
    study: StudyRef, guidelines: Guidelines, tmp_path: Path
) -> None:
    fitted = next(i for i, cell in enumerate(guidelines.cells) if cell.phi is not None)
    table, many = _many_workloads(study, guidelines, fitted)
    labels = {cell.label for cell in many.cells}
    known = {chart.name: {row["workload"] for row in chart.rows} for chart in charts(many, table) if chart.picked}
    assert known["phi_against_budget"] == known["families"] == known["surface_over_phi"] == labels
    write_report(table, many, "many", tmp_path)
    assert f"show the first {MOST_PANELS}; 1 more are in the tables" in (tmp_path / "report.md").read_text()
