"""Recommendations: exact, interpolated, extrapolated, transferred, refused."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import phitune
from phitune.analysis import recommend
from phitune.analysis.answers.budget_model import BudgetModel
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.cells import summary_table
from phitune.search.study.model import parse_study
from phitune.trainables.errors import InputError
from tests.conftest import environment

NOISY = "quadratic(kappa=100,noise=1)"


@pytest.fixture
def content(guidelines_file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(guidelines_file.read_text())
    return loaded


def _cell(content: dict[str, Any], label: str, budget: int) -> dict[str, Any]:
    return next(c for c in content["cells"] if c["label"] == label and c["budget"] == budget)


def test_a_searched_cell_is_recommended_unchanged(guidelines_file: Path, content: dict[str, Any]) -> None:
    cell, answer = _cell(content, NOISY, 200), recommend(NOISY, 200, guidelines=guidelines_file)
    assert answer.family == cell["family"] and answer.base_lr == cell["base_lr"]
    assert answer.schedule.to_dict() == cell["schedule"]
    assert answer.evidence.source == str(guidelines_file) and answer.evidence.trials == cell["trials"]


def test_a_searched_cell_s_gains_are_as_sure_as_in_the_table(guidelines: Guidelines, guidelines_file: Path) -> None:
    for cell, row in zip(guidelines.cells, summary_table(guidelines), strict=True):
        answer = recommend(cell.label, cell.budget, guidelines=guidelines_file)
        assert answer.gains == {base: row[f"over {base}"] for base in cell.gains}
        assert all(f"over {base}: {words}" in str(answer) for base, words in answer.gains.items())


def test_json_has_the_fields_of_the_contract(guidelines_file: Path) -> None:
    values = json.loads(recommend(NOISY, 200, guidelines=guidelines_file).to_json())
    assert list(values) == [
        "workload", "optimizer", "budget", "family", "phi", "phi_interval", "base_lr", "base_lr_interval",
        "expected_metric", "evidence", "warnings", "schedule", "parameter", "value", "interval", "intervals",
    ]  # fmt: skip
    assert set(values["evidence"]) == {"cells", "trials", "replicates", "source"}


def test_a_percentage_is_of_the_full_budget(guidelines_file: Path) -> None:
    assert recommend(NOISY, "25%", guidelines=guidelines_file).budget == 200


def test_between_budgets_it_interpolates_and_says_so(guidelines_file: Path, content: dict[str, Any]) -> None:
    low, high = _cell(content, NOISY, 200), _cell(content, NOISY, 400)
    answer = recommend(NOISY, 283, guidelines=guidelines_file)
    assert any("interpolated" in w for w in answer.warnings) and answer.evidence.cells == 2
    if answer.phi is not None and answer.phi_interval is not None:
        assert answer.phi_interval[0] <= min(low["phi_interval"][0], high["phi_interval"][0])
        assert answer.phi_interval[1] >= max(low["phi_interval"][1], high["phi_interval"][1])


def _write(path: Path, cells: list[dict[str, Any]], models: Sequence[BudgetModel] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "models": [m.to_dict() for m in models]}))
    return path


def _uba_cell(budget: int, phi: float, base_lr: float, **more: Any) -> dict[str, Any]:
    return {
        "workload": "w", "label": "w", "optimizer": "sgd", "budget": budget, "full_budget": 1000, "family": "uba",
        "phi": phi, "phi_interval": [phi / 2, phi * 2], "base_lr": base_lr,
        "base_lr_interval": [base_lr / 2, base_lr * 2],
        "uba_base_lr": base_lr, "uba_base_lr_interval": [base_lr / 2, base_lr * 2], "verdict": "ok",
        "schedule": {"family": "uba", "phi": phi}, "trials": 40, "replicates": 9, "expected_metric": 0.9, **more,
    }  # fmt: skip


def test_warmup_and_floor_are_printed_and_kept_between_budgets(tmp_path: Path) -> None:
    schedules = [{"family": "uba", "phi": phi, "warmup": 0.1, "floor": 0.2} for phi in (1.0, 4.0)]
    cells = [
        _uba_cell(b, s["phi"], 0.1, schedule=s, uba_schedule=s) for b, s in zip((100, 400), schedules, strict=True)
    ]
    file = _write(tmp_path / "guidelines.json", cells)
    for budget in (100, 200):
        answer = recommend("w", budget, guidelines=file)
        assert (answer.schedule.warmup, answer.schedule.floor) == (0.1, 0.2)
        assert "warmup 0.1, floor 0.2" in str(answer)


def test_interpolation_is_linear_in_log_phi_and_log_mean_lr(tmp_path: Path) -> None:
    """Mean of u is 1/2 at phi = 2 and 1/3 at phi = 8; half-way phi is 4, with mean 1/(1+sqrt 2)."""
    file = _write(tmp_path / "g.json", [_uba_cell(100, 2.0, 0.2), _uba_cell(400, 8.0, 0.3)])
    answer = recommend("w", 200, guidelines=file)
    assert answer.phi == pytest.approx(4.0)
    assert answer.base_lr == pytest.approx(0.1 * (1 + 2**0.5), rel=1e-3)
    assert answer.phi_interval == (1.0, 16.0)


def test_beyond_the_budgets_it_extrapolates_widens_and_says_so(guidelines_file: Path) -> None:
    answers = [recommend(NOISY, budget, guidelines=guidelines_file) for budget in (500, 1000, 4000)]
    for answer in answers:
        assert answer.warnings[0].startswith("extrapolated") and answer.expected_metric is None
        assert answer.phi is not None and answer.phi_interval is not None and answer.base_lr_interval is not None
        # What is held does not leave the range searched, at whose end it is here.
        assert 0.05 <= answer.phi_interval[0] <= answer.phi < answer.phi_interval[1]
        assert answer.base_lr_interval[0] < answer.base_lr < answer.base_lr_interval[1]
    widths = [a.phi_interval[1] / a.phi_interval[0] for a in answers if a.phi_interval]
    assert widths == sorted(widths) and widths[-1] > 1.2 * widths[0]


def test_extrapolation_follows_the_formula_of_the_trend(tmp_path: Path) -> None:
    """phi = 2 (T/100)^0.5; mean LR 0.1 whatever T. At T = 1600 phi is 8, whose mean of u is 1/3."""
    fields = {"workload": "w", "optimizer": "sgd", "pooled": True, "reason": "", "reference_budget": 100.0}
    phi = BudgetModel(quantity="phi", kind="log-linear", intercept=math.log(2.0), slope=0.5, within_sd=0.1, **fields)
    lr = BudgetModel(quantity="mean_lr", kind="constant", intercept=math.log(0.1), within_sd=0.2, **fields)
    schedule = {"family": "uba", "phi": 2.0, "warmup": 0.1}
    file = _write(tmp_path / "g.json", [_uba_cell(400, 4.0, 0.2, uba_schedule=schedule)], [phi, lr])
    answer = recommend("w", 1600, guidelines=file)
    assert answer.phi == pytest.approx(8.0) and answer.base_lr == pytest.approx(0.3)
    assert answer.schedule.warmup == 0.1
    assert answer.phi_interval == pytest.approx((8.0 * math.exp(-0.16449), 8.0 * math.exp(0.16449)), rel=1e-3)
    # The LR has no fitted slope: its interval grows by half the log distance.
    assert answer.base_lr_interval is not None
    spread = math.log(answer.base_lr_interval[1] / 0.3) / 1.64485
    assert spread == pytest.approx(math.hypot(0.2, 0.5 * math.log(4.0)), rel=1e-3)


@pytest.mark.parametrize("budget", [250, 1600])
def test_what_no_cell_has_located_has_no_trend_and_the_schedule_is_kept(tmp_path: Path, budget: int) -> None:
    """Draws of flat cells lie anywhere, and the line through them does not even keep to the range searched."""
    fields = {"workload": "w", "optimizer": "sgd", "pooled": True, "reason": "", "reference_budget": 100.0}
    phi = BudgetModel(quantity="phi", kind="constant", intercept=math.log(150.0), within_sd=1.0, **fields)
    lr = BudgetModel(quantity="mean_lr", kind="log-linear", intercept=0.0, slope=-0.5, **fields)
    linear = {"family": "linear", "schedule": {"family": "linear"}, "base_lr": 0.3}
    cells = [_uba_cell(100, 8.0, 0.2, verdict="flat"), _uba_cell(400, 8.0, 0.2, verdict="flat") | linear]
    answer = recommend("w", budget, guidelines=_write(tmp_path / "g.json", cells, [phi, lr]))
    assert any("neighbours disagree" in each or "is kept" in each for each in answer.warnings)
    assert answer.family == "linear"
    # A mean LR of 0.15 at 400, with T to the power of -1/2; between budgets it is the nearer cell's.
    assert answer.base_lr == pytest.approx(0.15 if budget == 1600 else 0.3, rel=0.01)


def test_between_cells_that_located_nothing_no_trend_is_followed(tmp_path: Path) -> None:
    """The line is far off, but a flat cell's interval holds nearly all that was searched."""
    fields = {"workload": "w", "optimizer": "sgd", "pooled": True, "reason": "", "reference_budget": 100.0}
    phi = BudgetModel(quantity="phi", kind="log-linear", intercept=math.log(150.0), within_sd=1.0, **fields)
    lr = BudgetModel(quantity="mean_lr", kind="constant", intercept=math.log(0.1), **fields)
    wide = {"verdict": "flat", "phi_interval": [0.05, 50.0]}
    for verdict, expected in (("flat", 4.0), ("ok", 50.0)):
        cells = [_uba_cell(b, p, 0.2, **wide | {"verdict": verdict}) for b, p in ((100, 2.0), (400, 8.0))]
        answer = recommend("w", 200, guidelines=_write(tmp_path / f"{verdict}.json", cells, [phi, lr]))
        assert answer.phi == pytest.approx(expected)


def _wsd_cell(budget: int, cooldown: float, base_lr: float) -> dict[str, Any]:
    schedule = {"family": "wsd", "cooldown": cooldown, "warmup": 0.1}
    interval = [cooldown / 1.2, min(1.2 * cooldown, 1.0)]
    shape = {
        "family": "wsd", "parameter": "cooldown", "searched": [0.1, 1.0], "verdict": "ok", "best": cooldown,
        "interval": interval, "base_lr": base_lr, "base_lr_interval": [base_lr / 2, base_lr * 2], "schedule": schedule,
    }  # fmt: skip
    others = {"family": "wsd", "schedule": schedule, "shapes": [shape], "verdict": "absent", "phi": None}
    return _uba_cell(budget, 1.0, base_lr) | others | {"phi_interval": None, "uba_base_lr": None}


def test_another_familys_parameter_is_interpolated_as_phi_is(tmp_path: Path) -> None:
    """Mean of u is 7/8 and 1/2 at cooldowns 1/4 and 1, 3/4 at the middle one, 1/2; the warmup is in all three."""
    file = _write(tmp_path / "g.json", [_wsd_cell(100, 0.25, 0.8 / 0.875), _wsd_cell(400, 1.0, 0.8 / 0.5)])
    answer = recommend("w", 200, guidelines=file)
    assert (answer.family, answer.parameter) == ("wsd", "cooldown") and answer.value == pytest.approx(0.5)
    assert answer.schedule.warmup == 0.1 and answer.phi is None
    assert answer.interval == pytest.approx((0.25 / 1.2, 1.0))
    # The mean LR before warmup is 0.8 at both.
    assert answer.base_lr == pytest.approx(0.8 / 0.75, rel=0.02)
    assert "cooldown = 0.5, 90 % interval 0.208 to 1, warmup 0.1" in str(answer)


def test_an_older_files_warmup_is_kept_between_budgets(tmp_path: Path) -> None:
    """Its shapes have no schedule."""
    cells = [_wsd_cell(100, 0.25, 0.9), _wsd_cell(400, 1.0, 1.6)]
    for cell in cells:
        del cell["shapes"][0]["schedule"]
    assert recommend("w", 200, guidelines=_write(tmp_path / "g.json", cells)).schedule.warmup == 0.1


def test_another_familys_trend_is_extrapolated_within_what_the_family_allows(tmp_path: Path) -> None:
    """The cooldown is 0.5 (T/100)^0.3, and 1 where that is more."""
    fields = {"workload": "w", "optimizer": "sgd", "pooled": True, "reason": "", "reference_budget": 100.0}
    line = BudgetModel(
        quantity="cooldown", kind="log-linear", intercept=math.log(0.5), slope=0.3, family="wsd", **fields
    )
    lr = BudgetModel(quantity="mean_lr", kind="constant", intercept=math.log(0.1), family="wsd", **fields)
    file = _write(tmp_path / "g.json", [_wsd_cell(100, 0.5, 0.2), _wsd_cell(200, 0.6, 0.2)], [line, lr])
    near, far = (recommend("w", budget, guidelines=file) for budget in (400, 2000))
    assert near.value == pytest.approx(0.5 * 4.0**0.3) and near.warnings[0].startswith("extrapolated")
    assert near.base_lr == pytest.approx(0.1 / (1.0 - near.value / 2.0)) and near.schedule.warmup == 0.1
    assert far.value == 1.0 and far.interval == (1.0, 1.0)


def test_a_workload_never_searched_gets_the_model_of_the_population(
    guidelines_file: Path, content: dict[str, Any]
) -> None:
    answer = recommend("mlp/digits", 200, guidelines=guidelines_file)
    assert answer.workload == "mlp/digits" and answer.evidence.cells == 6
    assert "was not searched" in answer.warnings[0]
    models = [BudgetModel.from_dict(m) for m in content["models"]]
    general, own = (next(m for m in models if (m.quantity, m.workload) == ("phi", w)) for w in (None, NOISY))
    low, high = general.interval(200)
    # A constant does not leave the range searched.
    assert general.kind == "constant" and low < 0.05 and answer.phi_interval == pytest.approx((0.05, high))
    assert general.predict(200)[1] > own.predict(200)[1]


def test_a_new_workload_gets_the_study_file_that_finds_its_lr(guidelines_file: Path) -> None:
    answer = recommend("mlp/digits", 200, guidelines=guidelines_file)
    study = parse_study(yaml.safe_load(answer.study))
    assert [cell.key for cell in study.cells] == ["mlp/digits sgd 200"]
    assert study.earlier == (str(guidelines_file),) and study.most == 12
    assert str(answer).endswith(answer.study) and answer.to_dict()["study"] == answer.study
    own = yaml.safe_load(recommend("my_module:train", 200, guidelines=guidelines_file).study)
    low, high = own["workloads"][0]["base_lr"]
    assert low < answer.base_lr < high and "optimizers" not in own
    assert recommend(NOISY, 200, guidelines=guidelines_file).study == ""


@pytest.mark.parametrize("workload", ["resnet20/cifar10", "resnet8/cifar100", "cnn/cifar10"])
def test_another_workload_is_not_a_slip(tmp_path: Path, workload: str) -> None:
    fields = {"workload": None, "optimizer": "sgd", "kind": "constant", "pooled": True, "reason": "", "intercept": 0.0}
    models = [BudgetModel(quantity="phi", **fields), BudgetModel(quantity="mean_lr", **fields)]
    cell = _uba_cell(100, 2.0, 0.2) | {"workload": "resnet8/cifar10", "label": "resnet8/cifar10"}
    file = _write(tmp_path / "g.json", [cell], models)
    assert recommend(workload, 100, guidelines=file).phi == pytest.approx(1.0)
    for slip in ("resnett8/cifar10", "resnet8/cifar", "resnet8-cifar10"):
        with pytest.raises(InputError, match="did you mean 'resnet8/cifar10'"):
            recommend(slip, 100, guidelines=file)


@pytest.mark.parametrize(
    ("verdict", "words"), [("flat", "no effect of phi"), ("boundary", "widen"), ("thin", "too few completed")]
)
def test_weak_evidence_is_a_warning_in_plain_words(tmp_path: Path, verdict: str, words: str) -> None:
    file = _write(tmp_path / "g.json", [_uba_cell(100, 2.0, 0.2, verdict=verdict)])
    assert any(words in w for w in recommend("w", 100, guidelines=file).warnings)


def test_the_only_optimizer_that_was_searched_is_the_default(tmp_path: Path) -> None:
    cells = [_uba_cell(100, 2.0, 0.2), _uba_cell(100, 4.0, 0.4)]
    cells[1]["optimizer"] = "own"
    assert recommend("w", 100, guidelines=_write(tmp_path / "one.json", cells[1:])).optimizer == "own"
    assert recommend("w", 100, guidelines=_write(tmp_path / "two.json", cells)).optimizer == "sgd"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"workload": "quadratik(kappa=100,noise=1)"}, r"--workload.*did you mean 'quadratic\(kappa=100,noise=1\)'"),
        ({"workload": "quadratic"}, "--workload.*may be any of"),
        ({"workload": "mlp/digits", "budget": "25%"}, "--budget: '25%' needs the full budget.*give iterations"),
        ({"workload": "mlp/digits", "budget": 100000}, "--budget: 100000 .*the workloads searched"),
        ({"optimizer": "adm"}, "--optimizer.*'adm'.*sgd"),
        ({"budget": 4}, "--budget: 4 .*more than 10 times.*50 to 400"),
        ({"budget": 4001}, "--budget: 4001 "),
        ({"budget": "600%"}, "--budget: 4800 "),
        ({"budget": "many"}, "--budget: 'many'"),
        ({"budget": -5}, "--budget: '-5'"),
        ({"budget": 2.5}, "--budget: '2.5'"),
        ({"budget": "nan%"}, "--budget: 'nan%'"),
        ({"guidelines": "nowhere.json"}, "--guidelines: no file 'nowhere.json'"),
    ],
    ids=str,
)
def test_bad_input_is_an_error_of_one_line(guidelines_file: Path, arguments: dict[str, Any], words: str) -> None:
    query = {"workload": NOISY, "budget": 200, "guidelines": guidelines_file} | arguments
    with pytest.raises(InputError, match=words) as caught:
        recommend(**query)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": []}', '{"cells": [{"budget": 3}]}'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.json").write_text(text)
    with pytest.raises(InputError, match="--guidelines"):
        recommend("w", 1, guidelines=tmp_path / "g.json")


def test_the_default_is_the_newest_file_that_knows_the_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="phitune analyze"):
        recommend("w", 100)
    for age, (name, phi) in enumerate([("new", 2.0), ("old", 8.0)]):
        path = _write(Path("runs") / name / "report" / "guidelines.json", [_uba_cell(100, phi, 0.1)])
        os.utime(path, (1e9 - age, 1e9 - age))
    other = _uba_cell(100, 3.0, 0.1) | {"label": "other", "workload": "other"}
    _write(Path("runs/newest/report/guidelines.json"), [other])
    answer = recommend("w", 100)
    assert answer.phi == 2.0 and answer.evidence.source == "runs/new/report/guidelines.json"


def test_the_schedule_drives_a_plain_torch_loop(guidelines_file: Path) -> None:
    import torch

    answer = recommend(NOISY, 200, guidelines=guidelines_file)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=answer.base_lr)
    scheduler = answer.schedule.lr_scheduler(optimizer, horizon=answer.budget)
    lrs = []
    for _ in range(answer.budget):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.zero_grad()
        (weight**2).sum().backward()
        optimizer.step()
        scheduler.step()
    assert lrs[0] == pytest.approx(answer.base_lr)
    assert lrs[100] == pytest.approx(answer.base_lr * float(answer.schedule.u(100, 200)))
    assert lrs[-1] < 0.05 * lrs[0]


def test_recommend_imports_nothing_heavy(guidelines_file: Path, tmp_path: Path) -> None:
    copy = shutil.copy(guidelines_file, tmp_path / "g.json")
    code = (
        "import sys; from phitune import recommend; recommend(sys.argv[1], 200, guidelines=sys.argv[2]);"
        "heavy = {'pandas','mlflow','sklearn','matplotlib','scipy','torch','ray','optuna'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    root = Path(phitune.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", code, NOISY, str(copy)],
        check=True,
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(root)),
    )
