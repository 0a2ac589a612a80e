"""A user's own training loop as a workload, in a real search: stopped early, crashed, hung, killed and resumed."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from phitune.search.records.journal import Journal
from phitune.search.stopping.retries import RETRIES
from tests.conftest import PATIENCE, Run
from tests.system.harness.searching import ended, family, kill, start, wait_for
from tests.system.harness.wholeness import check_whole

TRAINING = '''
"""A script of somebody's, with dropout and batches from the global generators; each trial notes where it starts."""

import random
import time
from pathlib import Path

import torch
from torch import nn

import phitune


def train(trial: phitune.Trial, width: int = 8) -> None:
    torch.set_num_threads(1)
    wait = 0.005 if Path("slowly").exists() else 0.0
    inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
    targets = (inputs**2).sum(1, keepdim=True)
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Dropout(0.1), nn.Linear(width, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    scheduler = trial.lr_scheduler(optimizer)
    with (trial.directory / "starts.txt").open("a") as file:
        file.write(f"{trial.start}\\n")
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(trial.start, trial.budget):
        time.sleep(wait)
        batch = torch.tensor(random.sample(range(256), 32))
        loss = nn.functional.mse_loss(model(inputs[batch]), targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if trial.due(step + 1):
            model.eval()
            val_loss = nn.functional.mse_loss(model(inputs), targets)
            model.train()
            if not trial.report(step + 1, val_loss=val_loss, train_loss=loss, bias=model[-1].bias[0]):
                return
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
'''

STUDY = """
name: s
workloads: [{name: "my_training:train", full_budget: 400, base_lr: [1.0e-3, 0.1], width: 16, artifacts: replicates}]
budgets: [100, 100%]
families: [uba]
baselines: [linear]
early_stopping: {rungs: [25%], reduction: 2, minimum: 3}
trials: 12
replicates: 2
failures: {checkpoint_seconds: 0.05}
"""


@pytest.mark.full
def test_a_killed_search_of_a_function_goes_on_to_the_same_numbers(
    tmp_path: Path, phitune: Run, phitune_in_process: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_training.py").write_text(TRAINING, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "slowly").touch()
    process = start(tmp_path)
    wait_for(lambda: ended(tmp_path) >= 6 and any(tmp_path.glob("runs/s/checkpoints/*400*.ckpt")), process)
    kill(*family(process))
    process.communicate(timeout=PATIENCE)
    (tmp_path / "slowly").unlink()
    search = phitune("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    records = check_whole(tmp_path)
    assert {record.status for record in records} >= {"completed", "stopped"}
    starts = [path.read_text().split() for path in tmp_path.glob("runs/s/files/*/starts.txt")]
    assert len(starts) == len(records)
    assert any(int(last) > 0 for *_, last in starts), "no trial went on from its checkpoint"

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/runs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id], max_results=1000)
    trials = [run for run in runs if run.data.tags["phitune.kind"] == "trial"]
    for run in trials:
        files = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert files == (["starts.txt"] if run.data.tags["phitune.phase"] == "replicate" else [])
        assert {"final/bias", "final/val_loss", "bias", "lr", "train_loss"} <= run.data.metrics.keys()
        assert run.data.params["optimizer"] == "own"
    analysis = phitune_in_process("analyze", "s", cwd=tmp_path)
    assert analysis.returncode == 0, analysis.stdout + analysis.stderr
    arguments = ("--workload", "my_training:train", "--budget", "50%", "--optimizer", "own")
    advice = phitune_in_process("recommend", *arguments, cwd=tmp_path)
    assert advice.returncode == 0, advice.stderr


FAULTY = """
import os
import time
from pathlib import Path

HERE = Path(__file__).parent


def train(trial, how):
    victim = HERE / f"{how}.victim"
    try:
        with victim.open("x") as file:
            file.write(str(trial.seed))
    except FileExistsError:
        pass
    is_victim = victim.read_text() == str(trial.seed)
    if is_victim:
        with (HERE / f"{how}.tries").open("a") as file:
            file.write(".")
    tries = (HERE / f"{how}.tries").stat().st_size
    loss = trial.restore() or 1.0
    for step in range(trial.start, trial.budget):
        loss *= 1 - trial.lr(step)
        if is_victim and step == 40 and fail(how, trial, tries):
            return
        if trial.due(step + 1) and not trial.report(step + 1, val_loss=loss):
            if how == "deaf":
                with (HERE / "deaf.stopped").open("a") as file:
                    file.write(".")
                time.sleep(10_000)
            return
        trial.save(loss)
        if is_victim and how == "dies_once" and tries == 1 and step == 30:
            # Until a checkpoint is there: this one must not start again from the beginning.
            while not list((HERE / "runs/s/checkpoints").glob("*dies_once*")):
                time.sleep(0.01)
                trial.save(loss)
    if is_victim and how == "dies_once":
        (HERE / "resumed_at").write_text(str(trial.start))


def fail(how, trial, tries):
    if how == "raises":
        raise ValueError("the weather is odd")
    if how == "dies" or how == "dies_once" and tries == 1:
        os._exit(3)
    if how == "exits":
        raise SystemExit(4)
    if how == "no_number":
        trial.report(41, val_loss=float("nan"))
    if how == "not_due":
        trial.report(41, val_loss=1.0)
    if how == "no_loss":
        trial.report(48, loss=1.0)
    if how == "hangs":
        time.sleep(10_000)
    return how == "returns"
"""

KINDS = ("raises", "dies", "dies_once", "exits", "no_number", "not_due", "no_loss", "returns", "hangs", "deaf")
ENTRIES = [f"{{name: 'faulty:train', how: {how}, full_budget: 64, base_lr: [0.001, 0.1]}}" for how in KINDS]
FAILING = f"""
name: s
workloads: [{", ".join(ENTRIES)}]
budgets: [64]
families: [uba]
baselines: [linear]
early_stopping: {{rungs: [25%], reduction: 2, minimum: 3}}
trials: 6
replicates: 1
failures: {{checkpoint_seconds: 0.001, hung_seconds: 12}}
"""


@pytest.mark.full
def test_functions_that_fail_in_every_way_say_why_and_hold_up_nobody(tmp_path: Path, phitune: Run) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(FAILING, encoding="utf-8")
    search = phitune("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    records = Journal(tmp_path / "runs/s/trials.jsonl").records
    assert len(records) == len({record.trial.trial_id for record in records})
    reasons: dict[str, list[str]] = {how: [] for how in KINDS}
    for record in records:
        how = record.trial.cell.partition("how=")[2].partition(")")[0]
        if record.status in ("failed", "diverged"):
            reasons[how].append(f"{record.status} {record.reason}")
    assert {how: len(each) for how, each in reasons.items()} == {**dict.fromkeys(KINDS, 1), "dies_once": 0, "deaf": 0}
    assert re.fullmatch(r"failed ValueError: the weather is odd \(\w+\.py:\d+\)", *reasons["raises"])
    assert reasons["dies"][0].startswith("failed its process died without a word")
    assert reasons["exits"] == ["failed its process died with exit code 4"]
    assert reasons["no_number"] == ["diverged the reported loss is not finite at iteration 41"]
    assert reasons["not_due"][0].startswith("failed InputError: report.step: 41 is not due; ask trial.due(step)")
    assert reasons["no_loss"][0].startswith("failed InputError: report.val_loss: missing at iteration 48")
    assert reasons["returns"][0].startswith("failed InputError: faulty:train")
    assert reasons["hangs"][0].startswith("failed hung: ended after ")
    tries = {how: (tmp_path / f"{how}.tries").stat().st_size for how in ("raises", "dies", "exits", "hangs")}
    assert tries == {"raises": 1, "dies": RETRIES + 1, "exits": RETRIES + 1, "hangs": 2}
    assert int((tmp_path / "resumed_at").read_text()) >= 16, "it was to go on from its rung, or later"
    assert (tmp_path / "deaf.stopped").exists(), "no trial was told to stop"
    statuses = Counter(record.status for record in records)
    assert statuses["stopped"] > 0 and statuses["completed"] > 30


PROCESSES = '''
"""Two processes train each trial, as they would on two GPUs; each notes where it starts, and that it lives."""

import os
import time

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import phitune


def train(trial: phitune.Trial, processes: int = 2, wait: float = 0.0) -> None:
    phitune.spawn(trial, work, wait, processes=processes)


def work(trial: phitune.Trial, wait: float) -> None:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    with (trial.directory / f"{rank}.txt").open("a") as file:
        file.write(f"{trial.start} {os.getpid()}\\n")
    inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
    targets = (inputs**2).sum(1, keepdim=True)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    scheduler = trial.lr_scheduler(optimizer)
    if state := trial.restore():
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    for step in range(trial.start, trial.budget):
        time.sleep(wait)
        batch = torch.randint(0, 256, (32,))[rank::2]
        loss = nn.functional.mse_loss(model(inputs[batch]), targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if trial.due(step + 1):
            model.eval()
            val_loss = nn.functional.mse_loss(model.module(inputs), targets).detach()
            model.train()
            if not trial.report(step + 1, **({"val_loss": val_loss} if rank == 0 else {})):
                return
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
'''

TOGETHER = """
name: s
workloads: [{name: "together:train", full_budget: 100, base_lr: [1.0e-3, 0.3], wait: 0.05}]
budgets: [100]
families: [uba]
baselines: []
trials: 2
replicates: 1
early_stopping: none
resources: {cpu: 2}
failures: {checkpoint_seconds: 0.05}
"""


@pytest.mark.slow
def test_a_trial_in_two_processes_is_killed_and_resumed_whole(
    tmp_path: Path, phitune: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "together.py").write_text(PROCESSES, encoding="utf-8")
    (tmp_path / "study.yaml").write_text(TOGETHER, encoding="utf-8")
    process = start(tmp_path)
    wait_for(lambda: any(tmp_path.glob("runs/s/checkpoints/*.ckpt")), process)
    members = family(process)
    trained = {int(line.split()[1]) for path in tmp_path.glob("runs/s/files/*/?.txt") for line in path.open()}
    assert len(trained) == 2
    # All but the two, which are to notice.
    kill(*(member for member in members if member.pid not in trained))
    process.communicate(timeout=PATIENCE)
    psutil.wait_procs([psutil.Process(pid) for pid in trained if psutil.pid_exists(pid)], timeout=20)
    assert not any(psutil.pid_exists(pid) for pid in trained)

    search = phitune("search", "study.yaml", cwd=tmp_path)
    assert search.returncode == 0, search.stdout + search.stderr
    check_whole(tmp_path)
    starts = [[int(line.split()[0]) for line in path.open()] for path in tmp_path.glob("runs/s/files/*/?.txt")]
    resumed = [each for each in starts if len(each) > 1]
    assert len(resumed) == 2 and resumed[0] == resumed[1] and resumed[0][-1] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "search study.yaml --set workloads=[loops_of_mine:plain]",
            "takes 'width' first; a function's first parameter",
        ),
        (
            "search study.yaml --set workloads=[loops_of_mine:train]",
            "loops_of_mine:train.full_budget: missing; a funct",
        ),
        (
            "search study.yaml --set workloads=[exits_on_import:train]",
            "cannot import 'exits_on_import:train' (importing",
        ),
        ("workloads loops_of_mine:plain", "workload: loops_of_mine:plain takes 'width' first; a function's first para"),
    ],
)
def test_what_is_no_function_costs_one_line_and_exit_code_2(
    tmp_path: Path, phitune_in_process: Run, arguments: str, message: str
) -> None:
    _write_loops(tmp_path)
    refusal = phitune_in_process(*arguments.split(), cwd=tmp_path)
    assert refusal.returncode == 2
    assert len(refusal.stderr.splitlines()) == 1 and message in refusal.stderr, refusal.stderr
    assert not (tmp_path / "runs").exists()


def test_a_function_and_its_cells_are_shown(tmp_path: Path, phitune_in_process: Run) -> None:
    _write_loops(tmp_path)
    shown = phitune_in_process("workloads", "loops_of_mine:train", cwd=tmp_path)
    assert shown.stdout.splitlines()[0] == "loops_of_mine:train: a function of a phitune.Trial; takes width=64"
    plan = phitune_in_process("search", "study.yaml", "--dry-run", cwd=tmp_path)
    assert plan.stdout.splitlines()[0] == (
        "loops_of_mine:train(width=8) own 100: 5 trials, base LR 0.001 to 0.1, judged at 25, 50"
    )


def _write_loops(folder: Path) -> None:
    (folder / "loops_of_mine.py").write_text("def train(trial, width=64): ...\ndef plain(width): ...\n")
    (folder / "exits_on_import.py").write_text("import sys\nsys.exit('no data')\n")
    entry = "{name: 'loops_of_mine:train', full_budget: 1000, base_lr: [0.001, 0.1], width: 8}"
    (folder / "study.yaml").write_text(f"name: s\nworkloads: [{entry}]\nbudgets: [10%]\ntrials: 5\n")
