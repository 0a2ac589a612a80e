"""Warm starts: from a large study, and from one that cannot serve."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import numpy as np
import pytest
from optuna.storages import InMemoryStorage
from threadpoolctl import threadpool_limits

from phitune.search.proposing.cell import proposers
from phitune.search.proposing.warm_start import earlier_cells
from phitune.search.records.record import Trial
from phitune.trainables.errors import InputError
from phitune.trainables.schedules import schedule
from tests.search.proposing.test_proposer import make_study, outcome, quality, searched

BUDGETS = (64, 128, 256, 512)
GROUP = "mlp/digits sgd"


def finished(folder: Path, count: int, **change: Any) -> None:
    """A searched study of so many trials at random; the best mean LR is 0.1."""
    folder.mkdir(parents=True)
    study = make_study(workloads=["mlp/digits"], budgets=list(BUDGETS), **change)
    (folder / "study.yaml").write_text(study.to_yaml(), encoding="utf-8")
    lines, rng = [], np.random.default_rng(0)
    for number in range(count):
        budget = BUDGETS[number % len(BUDGETS)]
        phi, base_lr = (math.exp(rng.uniform(*np.log(ends))) for ends in ((0.05, 50.0), (0.001, 1.0)))
        uba = schedule("uba", phi=phi)
        name, mean_lr = f"c{budget}/explore-{number:04d}", base_lr * uba.mean(budget)
        trial = Trial(name, f"{GROUP} {budget}", "explore", number, "uba", uba.to_dict(), base_lr, mean_lr, seed=number)
        status = "diverged" if mean_lr > 0.6 else ("completed", "stopped")[number // 4 % 2]
        record = outcome(trial, status, quality(trial))  # type: ignore[arg-type]
        lines.append(json.dumps({**vars(record), "trial": vars(trial), "curve": [{"step": 1.0, "val_loss": 1.0}]}))
    (folder / "trials.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")


def test_from_a_study_of_over_a_thousand_trials(tmp_path: Path) -> None:
    finished(tmp_path / "earlier", 1200)
    study = make_study(workloads=["mlp/digits"], budgets=[100], families=["uba"], trials=6)
    began = monotonic()
    earlier = earlier_cells(["earlier"], tmp_path / "s", study.cells)
    assert sum(len(cell.records) for cell in earlier) == 1200
    assert not any(record.curve for cell in earlier for record in cell.records), "curves would fill memory"
    with threadpool_limits(1, "blas"):
        [cell] = proposers(study, InMemoryStorage(), earlier=earlier)
        assert monotonic() - began < 30
        waits = []
        for _ in range(6):
            began = monotonic()
            trial = cell.propose()
            waits.append(monotonic() - began)
            assert trial is not None
            cell.end(outcome(trial, value=quality(trial)))
        assert median(waits) < 2
        finalists = {record.trial.finalist: record.trial for record in searched([cell])}
    assert len(finalists) >= 2
    assert all(trial.mean_lr == pytest.approx(0.1, rel=0.3) for trial in finalists.values())


def test_a_study_of_another_objective_is_refused(tmp_path: Path) -> None:
    finished(tmp_path / "earlier", 4, objective="val_metric")
    same = make_study(workloads=["mlp/digits"], budgets=[100], objective="val_metric")
    assert len(earlier_cells(["earlier"], tmp_path / "s", same.cells)) == 4
    other = make_study(workloads=["mlp/digits"], budgets=[100])
    message = (
        "warm_start: 'earlier' is not allowed; its objective for 'mlp/digits sgd' is val_metric, and this study's is "
        "val_loss"
    )
    with pytest.raises(InputError) as refusal:
        earlier_cells(["earlier"], tmp_path / "s", other.cells)
    assert str(refusal.value) == message
    unrelated = make_study(workloads=["quadratic"], budgets=[100])
    assert earlier_cells(["earlier"], tmp_path / "s", unrelated.cells) == []


def described(folder: Path) -> None:
    """Adds what a search says of its cells."""
    facts = {"workload": "mlp/digits", "mode": "min", "deterministic": False}
    cells = {f"{GROUP} {budget}": facts for budget in BUDGETS}
    (folder / "study.json").write_text(json.dumps({"cells": cells}), encoding="utf-8")


def test_another_workload_is_guided_from_its_first_trial(tmp_path: Path) -> None:
    finished(tmp_path / "earlier", 160)
    described(tmp_path / "earlier")
    (tmp_path / "earlier/report").mkdir()
    study = make_study(workloads=["cnn/digits"], budgets=[100], families=["uba"], trials=8)
    by_name = earlier_cells(["earlier"], tmp_path / "s", study.cells)
    assert {cell.group for cell in by_name} == {GROUP} and sum(len(cell.records) for cell in by_name) == 160
    file = str(tmp_path / "earlier/report/guidelines.json")
    assert earlier_cells([file, file], tmp_path / "s", study.cells) == 2 * by_name
    with threadpool_limits(1, "blas"):
        [cell] = proposers(study, InMemoryStorage(), earlier=by_name)
        first = cell.propose()
    assert first is not None and first.origin == "surrogate"
    low, high = cell.cell.base_lr
    assert low < first.mean_lr < high and 0.05 < first.mean_lr / math.sqrt(low * high) < 20.0


def test_trials_of_ones_own_need_no_guide(tmp_path: Path) -> None:
    finished(tmp_path / "earlier", 160)
    study = make_study(workloads=["mlp/digits", "cnn/digits"], budgets=[64], families=["uba"], trials=8)
    described(tmp_path / "earlier")
    own, new = proposers(study, InMemoryStorage(), earlier=earlier_cells(["earlier"], tmp_path / "s", study.cells))
    assert own.group.completed(own.cell) == 0
    origins = [trial.origin for cell in (own, new) for trial in [cell.propose()] if trial is not None]
    assert origins == ["quasi-random", "surrogate"]


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    finished(tmp_path / "earlier", 4)
    (tmp_path / "earlier/study.json").write_text("garbage", encoding="utf-8")
    study = make_study(workloads=["cnn/digits"], budgets=[100])
    with pytest.raises(InputError, match=r"warm_start: .*earlier/study.json' is damaged"):
        earlier_cells(["earlier"], tmp_path / "s", study.cells)


@pytest.mark.parametrize("name", ["study.yaml", "trials.jsonl"])
def test_a_damaged_study_is_refused_by_the_files_name(tmp_path: Path, name: str) -> None:
    finished(tmp_path / "earlier", 4)
    (tmp_path / "earlier" / name).write_text("garbage\n", encoding="utf-8")
    study = make_study(workloads=["mlp/digits"], budgets=[100])
    with pytest.raises(InputError, match=rf"earlier/{name}'? ?.*damaged"):
        earlier_cells(["earlier"], tmp_path / "s", study.cells)
