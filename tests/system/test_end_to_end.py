"""One study from its file to a recommendation, killed on its way."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from subprocess import PIPE

from phitune.search.records.journal import Journal
from tests.conftest import PATIENCE, Run, command, environment
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

    # To MLflow the killed search goes on.
    line = command("analyze", "s", "--watch", "--every", "3")
    watch = subprocess.Popen(line, cwd=tmp_path, env=environment(), stdout=PIPE, stderr=PIPE, text=True)
    resumed = phitune("search", "study.yaml", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    records = check_whole(tmp_path, retrain_every=3)
    assert [record.trial for record in records][: len(trials)] == trials
    assert "finished already" in phitune_in_process("search", "study.yaml", cwd=tmp_path).stdout

    analysis, errors = watch.communicate(timeout=PATIENCE)
    assert watch.returncode == 0, analysis + errors
    counts = [int(count) for count in re.findall(r"(\d+) trials: runs/s/report/report.html\n", analysis)]
    assert counts == sorted(set(counts)) and counts[-1] == len(records)
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
    assert "mlp/digits with sgd" in answers and answers in analysis and "older" not in end
    journal = tmp_path / "runs/s/trials.jsonl"
    last = journal.read_text(encoding="utf-8").splitlines()[-1]
    with journal.open("a", encoding="utf-8") as file:
        file.write(last.replace("replicate-", "replicate-1", 1) + "\n")
    assert (
        "It is older than the trials, of which 1 ended since." in phitune_in_process("show", "s", cwd=tmp_path).stdout
    )
