"""Families of which two parameters were searched together: each has its best value, beside the other at its best."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.answers.recommend import recommend
from phitune.analysis.guidelines.guidelines import Guidelines, build
from phitune.analysis.report.guidelines_json import guidelines_json
from phitune.analysis.report.words.cells import schedule_text
from phitune.analysis.report.words.headlines import answer_lines
from phitune.analysis.results import tidy
from phitune.analysis.surface import Shape, fit_cell
from phitune.trainables.schedules import from_dict, schedule

RANGES = {"phi": (0.3, 30.0), "uba.floor": (0.003, 0.5)}
BEST_MEAN_LR = 0.05
BUDGETS = (100, 200, 400, 800, 1600)


def best(budget: int) -> tuple[float, float]:
    """The best phi and floor."""
    return 2.0 * (budget / 400) ** 0.4, 0.06 * (budget / 400) ** -0.3


def rows(budget: int = 400, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Trials whose loss is lowest at a phi and a floor, and worsens with the distance of the schedule from that."""
    rng = np.random.default_rng([seed, budget])
    trials = []
    for number in range(n):
        phi, floor = (float(np.exp(rng.uniform(*np.log(ends)))) for ends in RANGES.values())
        chosen = schedule("uba", phi=phi, floor=floor)
        mean_lr = BEST_MEAN_LR * float(np.exp(0.5 * rng.standard_normal()))
        away = np.log([phi, floor]) - np.log(best(budget))
        log_loss = 0.1 * away[0] ** 2 + 0.15 * away[1] ** 2 + 0.3 * np.log(mean_lr / BEST_MEAN_LR) ** 2
        trials.append(
            {
                "study": "made", "trial_id": f"t{budget}-{number}", "workload": "w", "optimizer": "sgd",
                "budget": budget, "phase": "explore", "status": "completed", "family": "uba",
                "schedule": json.dumps(chosen.to_dict()), "base_lr": mean_lr / chosen.mean(budget), "mean_lr": mean_lr,
                "seed": 0, "deterministic": False, "objective": float(np.exp(log_loss + 0.003 * rng.standard_normal())),
                "objective_name": "val_loss", "mode": "min", "metric_mode": "min",
            }
        )  # fmt: skip
    return tidy(pd.DataFrame(trials))


@pytest.fixture(scope="module")
def guidelines() -> Guidelines:
    return build(pd.concat([rows(budget) for budget in BUDGETS]), ranges=RANGES)


def test_both_best_values_are_found() -> None:
    fit = fit_cell(rows(), RANGES).judged(0.002)
    assert list(fit.surfaces) == [("uba", "phi"), ("uba", "floor")]
    for surface, value in zip(fit.surfaces.values(), best(400), strict=True):
        assert surface.verdict == "ok" and surface.phi == pytest.approx(value, rel=0.3)
    # One configuration is meant by both.
    phi, floor = fit.surfaces.values()
    chosen = fit.bests["uba"].schedule
    assert (chosen["phi"], chosen["floor"]) == (phi.phi, floor.phi) and phi.base_lr == floor.base_lr
    assert phi.shape is not None and phi.shape.schedule(float(phi.phi or 0)) == pytest.approx(chosen)


def test_their_intervals_hold_the_truth_nearly_always() -> None:
    held = [
        surface.phi_interval is not None and surface.phi_interval[0] < value < surface.phi_interval[1]
        for seed in range(6)
        for surface, value in zip(fit_cell(rows(seed=seed), RANGES).surfaces.values(), best(400), strict=True)
    ]
    assert len(held) == 12 and sum(held) >= 10


def test_the_profile_of_one_has_the_other_at_its_best() -> None:
    """The loss is a ridge: every phi has a floor with which it is as good as the best."""
    table = rows()
    schedules = [from_dict(json.loads(text)) for text in table["schedule"]]
    tilt = np.array([np.log(s.phi / 2.0) + np.log(s.floor / 0.06) for s in schedules])  # type: ignore[attr-defined]
    lr = np.log(table["mean_lr"] / BEST_MEAN_LR)
    ridge = table.assign(objective=np.exp(0.05 * tilt**2 + 0.3 * lr**2))
    phi, floor = fit_cell(ridge, RANGES).judged(0.002).surfaces.values()
    assert phi.verdict == floor.verdict == "unclear"
    middle = slice(len(phi.grid) // 4, -len(phi.grid) // 4)
    alone = fit_cell(table, RANGES).judged(0.002).surfaces["uba", "phi"]
    assert np.ptp(phi.excess[middle]) < 0.02 < 0.1 < np.ptp(alone.excess[middle])


def test_each_has_its_trend_and_is_predicted_where_it_was_left_out(guidelines: Guidelines) -> None:
    slopes = {m.quantity: m for m in guidelines.models if m.workload == "w"}
    assert list(slopes) == ["phi", "mean_lr", "floor"]
    for name, slope in (("phi", 0.4), ("floor", -0.3)):
        low, high = slopes[name].slope_interval or (0.0, 0.0)
        assert low < slope < high
    left_out = guidelines.validation["leave_largest_budget_out"]
    assert left_out["n"] == 1 and left_out["regret"]["median"] < 3.0


def test_a_report_and_a_recommendation_speak_of_both(guidelines: Guidelines, tmp_path: Path) -> None:
    cell = guidelines.cells[2]
    assert [shape.parameter for shape in cell.shapes] == ["phi", "floor"]
    assert cell.shape is cell.shapes[0] and cell.phi == cell.shapes[0].best
    assert "φ=" in schedule_text(cell) and "floor=" in schedule_text(cell)
    file = tmp_path / "guidelines.json"
    file.write_text(guidelines_json(guidelines), encoding="utf-8")
    written = json.loads(file.read_text(encoding="utf-8"))["cells"][2]
    assert written["phi"] == cell.phi and [shape["parameter"] for shape in written["shapes"]] == ["floor"]
    searched = recommend("w", 400, guidelines=file)
    assert dict(searched.intervals) == {shape.parameter: shape.interval for shape in cell.shapes}
    assert str(searched).count("90 % interval") == 3
    for budget in (560, 6400):
        answer = recommend("w", budget, guidelines=file)
        for name, value in zip(("phi", "floor"), best(budget), strict=True):
            low, high = answer.intervals[name] or (0.0, 0.0)
            assert low < value < high and getattr(answer.schedule, name) == pytest.approx(value, rel=0.5)


def test_where_the_floor_was_searched_at_some_budgets_each_is_answered_by_its_like(tmp_path: Path) -> None:
    tables = [rows(budget) for budget in BUDGETS]
    for table in tables[:3]:
        schedules = [json.loads(text) for text in table["schedule"]]
        table["schedule"] = [json.dumps({k: v for k, v in each.items() if k != "floor"}) for each in schedules]
    file = tmp_path / "guidelines.json"
    file.write_text(guidelines_json(build(pd.concat(tables), ranges=RANGES)), encoding="utf-8")
    known = {cell["budget"]: cell["phi"] for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]}
    for budget, parameters, like in ((50, ["phi"], (100, 400)), (5000, ["phi", "floor"], (800, 1600))):
        answer = recommend("w", budget, guidelines=file)
        assert list(answer.intervals) == parameters
        low, high = sorted(known[each] for each in like)
        assert answer.phi is not None and 0.8 * low < answer.phi < 1.25 * high


def test_a_trial_without_the_other_or_a_third_parameter_leaves_nothing_to_tell() -> None:
    both = [{"family": "uba", "phi": phi, "floor": phi / 100} for phi in (1.0, 4.0)]
    assert [shape.parameter for shape in Shape.all_of("uba", both, RANGES)] == ["phi", "floor"]
    assert not Shape.all_of("uba", [*both, {"family": "uba", "phi": 2.0}], RANGES)
    third = [{**each, "warmup": 0.1 * each["phi"]} for each in both]  # type: ignore[operator]
    assert not Shape.all_of("uba", third, {**RANGES, "warmup": (0.01, 0.5)})


def test_of_trials_that_did_not_all_search_the_floor_the_report_says_so(tmp_path: Path) -> None:
    """Not that no parameter was searched."""
    table = rows()
    table.loc[:9, "schedule"] = [json.dumps({"family": "uba", "phi": 1.0 + n / 10}) for n in range(10)]
    mixed = build(table, ranges=RANGES)
    assert mixed.cells[0].mixed == ("uba",) and mixed.cells[0].shapes == ()
    assert "no best value of the parameters of uba is told" in answer_lines(mixed)[0]
    file = tmp_path / "guidelines.json"
    file.write_text(guidelines_json(mixed), encoding="utf-8")
    assert any("no interval of its parameters" in each for each in recommend("w", 400, guidelines=file).warnings)


def test_a_warmup_with_many_values_was_searched_whatever_the_study_file_says() -> None:
    schedules = [{"family": "linear", "warmup": 0.01 * n} for n in range(1, 12)]
    (shape,) = Shape.all_of("linear", schedules)
    assert (shape.parameter, shape.low, shape.high) == ("warmup", 0.01, 0.11)
    assert not Shape.all_of("linear", schedules[:3])
    # Lists are no values to count.
    points = [{"family": "uba", "phi": 1.0, "sampling": [0.05 * n, 0.9]} for n in range(1, 12)]
    assert not Shape.all_of("uba", points)


def test_only_the_floor_searched_is_not_called_phi() -> None:
    floors = rows().assign(schedule=[json.dumps(json.loads(s) | {"phi": 2.0}) for s in rows()["schedule"]])
    written = json.loads(guidelines_json(build(floors, ranges=RANGES)))["cells"][0]
    assert written["phi"] is None and [shape["parameter"] for shape in written["shapes"]] == ["floor"]


def test_between_budgets_at_which_not_the_same_was_searched_the_nearer_schedule_is_kept(tmp_path: Path) -> None:
    floor_alone = rows(100)
    floor_alone["schedule"] = [json.dumps(json.loads(text) | {"phi": 2.0}) for text in floor_alone["schedule"]]
    file = tmp_path / "guidelines.json"
    file.write_text(guidelines_json(build(pd.concat([floor_alone, rows(400)]), ranges=RANGES)), encoding="utf-8")
    for budget, near in ((120, 100), (350, 400)):
        assert recommend("w", budget, guidelines=file).schedule == recommend("w", near, guidelines=file).schedule


def test_a_trend_of_the_floor_is_followed_where_phi_is_not_located(guidelines: Guidelines, tmp_path: Path) -> None:
    content = json.loads(guidelines_json(guidelines))
    for cell in content["cells"]:
        cell["verdict"] = "unclear"
    file = tmp_path / "guidelines.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    answer, nearest = (recommend("w", budget, guidelines=file).schedule for budget in (6400, BUDGETS[-1]))
    assert answer.to_dict()["phi"] == nearest.to_dict()["phi"]
    assert answer.floor == pytest.approx(best(6400)[1], rel=0.5) and answer.floor < nearest.floor
