"""The page: the answer first, whole in one file, small however many trials, with code that runs."""

import html
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from phitune.analysis import results
from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.cards import cards
from phitune.analysis.report.cards.code import snippets
from phitune.analysis.report.charts import charts, packed
from phitune.analysis.report.pages import write_report
from phitune.analysis.results import StudyRef
from phitune.trainables.schedules import from_dict
from tests.analysis.synthetic_study import Recipe, table

MOST_BYTES = 2_000_000
LOADS = re.compile(r"""<(?:link|img|iframe|object|embed)\b|\b(?:src|href)\s*=|@import|url\(""")


@pytest.fixture(scope="module")
def page(guidelines_file: Path) -> str:
    return (guidelines_file.parent / "report.html").read_text(encoding="utf-8")


def test_the_answer_comes_first(page: str, guidelines: Guidelines) -> None:
    body = page[page.index("<body>") : page.index("<script")]
    places = [
        body.index(mark) for mark in ('class="card"', "<b>", 'class="copy"', "<h2>All answers", "<h2>The evidence")
    ]
    assert places == sorted(places)
    assert "evidence is thin" not in body[: places[3]] and "not shown" not in body[: places[3]]
    assert re.findall(r"<h2>([^<]+)</h2>", body)[-1] == "Provenance"
    shown = re.findall(r'class="answer" data-budget="(\d+)"', body)
    assert shown == [str(cell.budget) for cell in guidelines.cells]


def test_cards_say_what_the_guidelines_say(page: str, guidelines: Guidelines) -> None:
    answers = [answer for card in cards(guidelines) for answer in card.answers]
    for cell, answer in zip(guidelines.cells, answers, strict=True):
        assert answer.use.startswith(str(cell.family)) and html.escape(answer.use) in page
        assert answer.more_trials.startswith("More trials ") and answer.more_trials.replace(" %", "\u00a0%") in page
        assert {c.baseline: c.sureness for c in answer.claims} == {b: g.sureness for b, g in cell.gains.items()}
        for claim in answer.claims:
            # What cannot be told is not claimed: it may be lower or higher, and is not fewer.
            assert len(set(re.findall("lower|higher", claim.loss))) == (2 if claim.sureness == "cannot tell" else 1)
            assert not claim.iterations or claim.sureness != "cannot tell"
        assert answer.drawing.startswith("<svg") and answer.drawing in page


def test_it_is_one_file_that_loads_nothing(page: str) -> None:
    assert len(page.encode()) < MOST_BYTES
    own = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not LOADS.search(own) and page.count("<script ") == 2
    words = re.sub(r"<pre.*?</pre>", "", own, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\bNone\b|\bNaN\b|Infinity", words)


def test_every_chart_has_a_caption(page: str) -> None:
    captions = re.findall(r"<figcaption>([^<]+)</figcaption>", page)
    names = re.findall(r'<figure id="chart-([^"]+)"', page)
    assert len(captions) == len(names) and all(len(caption) > 60 for caption in captions)
    assert {"phi_against_budget", "quality_against_phi", "families", "surface_over_phi"} <= set(names)
    assert {"performance_profiles", "tuning_curves"} <= set(names)


def test_many_trials_do_not_make_a_large_page_and_it_says_what_it_leaves_out(
    study: StudyRef, guidelines: Guidelines
) -> None:
    few = results.load(study)
    many = pd.concat([few.assign(trial_id=few["trial_id"] + f"-{i}") for i in range(24_000 // len(few) + 1)])
    drawn = charts(guidelines, many)
    assert len(many) > 24_000 and len(packed(drawn)) < MOST_BYTES / 2
    surface = next(chart for chart in drawn if chart.name == "surface_over_phi")
    trials = [row for row in surface.rows if row["kind"] == "trial"]
    assert 5000 < len(trials) <= 10_000
    assert re.search(r"This page holds one trial in \d+; results.parquet has all", surface.caption)
    assert "This page holds" not in next(c for c in charts(guidelines, few) if c.name == surface.name).caption


def test_the_code_for_pytorch_runs(page: str, guidelines: Guidelines) -> None:
    for text, cell in zip(
        re.findall(r'<pre data-library="PyTorch">([^<]+)</pre>', page), guidelines.cells, strict=True
    ):
        names = {"model": torch.nn.Linear(2, 1)}
        exec(html.unescape(text), names)
        scheduler, schedule = names["scheduler"], from_dict(cell.schedule or {})
        assert cell.base_lr is not None
        for step in range(5):
            expected = cell.base_lr * float(schedule.u(step, cell.budget))
            assert scheduler.get_last_lr()[0] == pytest.approx(expected, rel=2e-3)  # type: ignore[attr-defined]
            scheduler.optimizer.step()  # type: ignore[attr-defined]
            scheduler.step()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("optimizer", "made"),
    [
        ("sgd(momentum=0.95,nesterov=true)", "torch.optim.SGD"),
        ("adamw(beta1=0.8)", "torch.optim.AdamW"),
        ("amsgrad", "torch.optim.Adam"),
        ("schedulefree-adamw", "schedulefree.AdamWScheduleFree"),
    ],
)
def test_the_code_builds_the_optimizer_that_was_searched(optimizer: str, made: str) -> None:
    code = snippets({"family": "wsd", "cooldown": 0.3, "warmup": 0.05}, optimizer, 0.01, 100)
    names = {"model": torch.nn.Linear(2, 1)}
    exec(code["PyTorch"], names)
    built = names["optimizer"]
    assert f"{type(built).__module__.split('.')[0]}.{type(built).__name__}" == made.replace(".optim", "")
    group = built.param_groups[0]  # type: ignore[attr-defined]
    assert group.get("momentum", 0.95) == 0.95 and group.get("betas", (0.8,))[0] in (0.8, 0.9)
    for text in code.values():
        compile(text, "code", "exec")


def test_a_family_that_follows_losses_has_no_code_for_trainers() -> None:
    assert list(snippets({"family": "plateau", "factor": 0.3}, "sgd", 0.1, 100)) == ["PyTorch"]


def test_a_flat_cell_alone_has_one_sentence_on_what_to_use(tmp_path: Path) -> None:
    rows = table(Recipe(10, 1.0, 60, uba=16, others=3, stop=False, replicates=2)).assign(objective=1.0, val_loss=1.0)
    guidelines = build(rows, {"trials": 25, "replicates": 8, "date": "2026-01-01", "left_out": []})
    [[answer]] = [card.answers for card in cards(guidelines)]
    cell = guidelines.cells[0]
    assert cell.verdict == "flat" and cell.shape is not None
    if cell.family == "uba":
        assert answer.shape.startswith(f"Use φ = {cell.shape.best:.3g}") and "hardly matters" in answer.shape
    assert all(claim.sureness == "cannot tell" and not claim.iterations for claim in answer.claims)
    write_report(rows, guidelines, "flat", tmp_path)
    assert 'class="sure cannot tell"' in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_cell_in_which_nothing_completed_says_so(tmp_path: Path) -> None:
    rows = table(Recipe(10, 1.0, 60, uba=6, others=2)).assign(status="diverged", objective=float("nan"))
    guidelines = build(rows, {"trials": 12, "replicates": 0, "date": "2026-01-01", "left_out": []})
    write_report(rows, guidelines, "none", tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No trial completed at 60 iterations, so nothing is recommended." in text and 'class="copy"' not in text
