"""One study from its file to a recommendation, killed on its way."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from phitune.analysis.report.mlflow_log import NOT_YET
from phitune.analysis.report.watch import watch
from phitune.analysis.report.words.summary import summary
from phitune.cli.show import print_summary
from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, Run
from tests.system.harness.searching import ended, family, kill, start, wait_for
from tests.system.harness.wholeness import check_whole

STUDY = """
name: s
workloads: [mlp/digits]
budgets: [64, 128]
families: [uba, linear]
trials: 10
replicates: 1
"""


def test_a_killed_search_goes_on_is_analysed_and_answers(
    tmp_path: Path, phitune: Run, phitune_in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    process = start(tmp_path)
    wait_for(lambda: ended(tmp_path) >= 8, process)
    # As a machine does that loses power.
    kill(*family(process))
    process.communicate(timeout=PATIENCE)
    trials = [record.trial for record in Journal(tmp_path / "runs/s/trials.jsonl").records]
    assert len(trials) >= 8

    # To MLflow the killed search goes on.
    monkeypatch.chdir(tmp_path)
    reports = watch("s", pause=0.1)
    early = next(reports)
    assert len(trials) <= len(early.table) < 20 and early.not_logged == NOT_YET
    resumed = phitune("search", "study.yaml", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    records = check_whole(tmp_path, retrain_every=3)
    assert [record.trial for record in records][: len(trials)] == trials
    assert "finished already" in phitune_in_process("search", "study.yaml", cwd=tmp_path).stdout

    [last] = reports
    assert len(last.table) == len(records) and last.not_logged is None
    for name in ("guidelines.json", "results.parquet", "report.html", "report.md"):
        assert (tmp_path / "runs/s/report" / name).stat().st_size > 500

    answer = phitune_in_process("recommend", "--workload", "mlp/digits", "--budget", "128", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    recommendation = json.loads(answer.stdout)
    assert (recommendation["workload"], recommendation["budget"]) == ("mlp/digits", 128)
    assert recommendation["family"] in ("uba", "linear")
    assert recommendation["evidence"]["trials"] > 0

    shown = phitune_in_process("show", "s", cwd=tmp_path)
    answers, _, end = shown.stdout.partition("Report: ")
    printed = io.StringIO()
    print_summary(Console(file=printed, width=120, highlight=False, markup=False), summary(last.guidelines))
    assert "mlp/digits" in answers and answers == printed.getvalue() and "older" not in end
    journal = tmp_path / "runs/s/trials.jsonl"
    line = journal.read_text(encoding="utf-8").splitlines()[-1]
    with journal.open("a", encoding="utf-8") as file:
        file.write(line.replace("replicate-", "replicate-1", 1) + "\n")
    shown = phitune_in_process("show", "s", cwd=tmp_path)
    assert "It is older than the trials, of which 1 ended since." in shown.stdout
