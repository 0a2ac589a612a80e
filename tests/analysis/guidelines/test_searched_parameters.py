"""Several searched parameters in one study: each has its trend, and the table speaks of the recommended family's."""

import json
from pathlib import Path

import pandas as pd
import pytest

from phitune.analysis import recommend
from phitune.analysis.guidelines import Guidelines, build
from phitune.analysis.report.charts import charts
from phitune.analysis.report.charts.cells import parameters
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.words.cells import heads, summary_table
from phitune.analysis.report.words.headlines import answer_lines, caution_lines
from phitune.analysis.report.words.shapes import place_short
from phitune.analysis.report.words.trends import model_lines, validation_lines
from tests.analysis.surface.test_shapes import rows

WORSE = 1.08


def cells() -> pd.DataFrame:
    """Polynomials, best at power 1.2, and UBA, best at phi 2 and worse by a twelfth, at two budgets."""
    parts = []
    for budget in (100, 200):
        for family, parameter, best, low, high in (
            ("polynomial", "power", 1.2, 0.25, 5.0),
            ("uba", "phi", 2.0, 0.05, 50.0),
        ):
            trials = rows(family, parameter, best, low, high, n=30)
            factor = (100 / budget) ** 0.2 * (WORSE if family == "uba" else 1.0)
            parts.append(
                trials.assign(
                    budget=budget,
                    trial_id=[f"{family}-{budget}-{name}" for name in trials["trial_id"]],
                    objective=factor * trials["objective"],
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def guidelines() -> Guidelines:
    return build(cells())


def test_each_has_models_and_the_main_familys_come_first(guidelines: Guidelines) -> None:
    assert [(m.family, m.quantity) for m in guidelines.models] == [
        ("polynomial", "power"), ("polynomial", "mean_lr"), ("uba", "phi"), ("uba", "mean_lr"),
    ]  # fmt: skip
    assert guidelines.main == ("polynomial", "power") and parameters(guidelines) == ["power", "phi"]


def test_each_is_validated(guidelines: Guidelines) -> None:
    main = guidelines.validation["leave_largest_budget_out"]
    [own], [other] = main["rows"], main["others"]["uba"]["rows"]
    assert (own["family"], own["parameter"], own["usual"]) == ("polynomial", "power", ("default", 0.9))
    assert (other["family"], other["parameter"], other["usual"]) == ("uba", "phi", ("cosine", 2.0))
    # UBA's regret counts from the best of all families.
    assert 0.0 <= own["regret"] < other["regret"]
    lines = [line for line in validation_lines(guidelines) if line.startswith("Largest budget left out")]
    assert [line.split(" (")[0].rpartition(", ")[2] for line in lines] == ["polynomial", "uba"]


def test_words_and_table_are_about_the_recommended_family(guidelines: Guidelines) -> None:
    assert heads(guidelines)[2] == "best power"
    for cell, row in zip(guidelines.cells, summary_table(guidelines), strict=True):
        shape = cell.shape
        assert cell.family == "polynomial" and shape is not None and shape.family == "polynomial"
        assert row["use"] == f"polynomial power={shape.best:.3g}" and row["best power"] == place_short(shape)
        assert cell.phi is not None and cell.verdict == shape.verdict
    [answer] = answer_lines(guidelines)
    assert "use polynomial at every budget" in answer and "power" in answer and "φ" not in answer
    assert all(
        "None" not in line and "nan" not in line for line in (*model_lines(guidelines), *caution_lines(guidelines))
    )


def test_each_is_drawn(guidelines: Guidelines) -> None:
    families = {chart.name: {row.get("family") for row in chart.rows} for chart in charts(guidelines, cells())}
    for parameter, family in (("power", "polynomial"), ("phi", "uba")):
        for name in (f"{parameter}_against_budget", f"quality_against_{parameter}", f"surface_over_{parameter}"):
            assert families[name] == {family}


def test_the_file_keeps_ubas_keys_and_recommend_reads_both(guidelines: Guidelines, tmp_path: Path) -> None:
    path = tmp_path / "guidelines.json"
    path.write_text(guidelines_json(guidelines), encoding="utf-8")
    for entry, cell in zip(json.loads(path.read_text())["cells"], guidelines.cells, strict=True):
        uba = cell.of("uba")
        assert uba is not None and (entry["phi"], entry["verdict"]) == (uba.best, uba.verdict)
        assert [shape["family"] for shape in entry["shapes"]] == ["polynomial"]
    for budget in (100, 150, 400):
        answer = recommend("w", budget, guidelines=path)
        assert (answer.family, answer.parameter) == ("polynomial", "power")
        assert answer.value is not None and answer.interval is not None
        assert answer.interval[0] <= answer.value <= answer.interval[1]
