"""One study from its file to a recommendation, killed on its way."""

from __future__ import annotations

import json
from pathlib import Path

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


def test_a_killed_search_goes_on_is_analysed_and_answers(tmp_path: Path, phitune: Run, phitune_in_process: Run) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    process = start(tmp_path)
    wait_for(lambda: ended(tmp_path) >= 8, process)
    # As a machine does that loses power.
    kill(*family(process))
    process.communicate(timeout=PATIENCE)
    trials = [record.trial for record in Journal(tmp_path / "runs/s/trials.jsonl").records]
    assert len(trials) >= 8

    resumed = phitune("search", "study.yaml", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    records = check_whole(tmp_path, retrain_every=3)
    assert [record.trial for record in records][: len(trials)] == trials
    assert "finished already" in phitune_in_process("search", "study.yaml", cwd=tmp_path).stdout

    analysis = phitune_in_process("analyze", "s", cwd=tmp_path)
    assert analysis.returncode == 0, analysis.stdout + analysis.stderr
    assert "mlp/digits" in analysis.stdout
    for name in ("guidelines.json", "results.parquet", "report.html", "report.md"):
        assert (tmp_path / "runs/s/report" / name).stat().st_size > 500

    answer = phitune_in_process("recommend", "--workload", "mlp/digits", "--budget", "128", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    recommendation = json.loads(answer.stdout)
    assert (recommendation["workload"], recommendation["budget"]) == ("mlp/digits", 128)
    assert recommendation["family"] in ("uba", "linear")
    assert recommendation["evidence"]["trials"] > 0
