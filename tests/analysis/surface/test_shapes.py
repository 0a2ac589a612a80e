"""Surfaces over other families' parameters than UBA's phi."""

import json

import numpy as np
import pandas as pd
import pytest

from phitune.analysis.guidelines.guidelines import build
from phitune.analysis.results import tidy
from phitune.analysis.surface import Shape, fit_cell
from phitune.analysis.surface.cell_trials import CellTrials
from phitune.analysis.surrogate.coordinates import shape_of
from phitune.trainables.schedules import schedule

BEST_LOG_MEAN_LR = np.log(0.05)


def rows(family: str, parameter: str, best: float, low: float, high: float, n: int = 40) -> pd.DataFrame:
    """Trials of a family whose loss is lowest at a value of its parameter, and of its neighbours where it has some."""
    rng = np.random.default_rng(0)
    values = np.exp(rng.uniform(np.log(low), np.log(high), n))
    trials = []
    for number, value in enumerate(values):
        chosen = schedule(family, **{parameter: float(value)})
        mean_lr = float(np.exp(BEST_LOG_MEAN_LR + 0.5 * rng.standard_normal()))
        log_loss = 0.2 * np.log(value / best) ** 2 + 0.3 * (np.log(mean_lr) - BEST_LOG_MEAN_LR) ** 2
        trials.append(
            {
                "study": "made", "trial_id": f"t{number}", "workload": "w", "optimizer": "sgd", "budget": 100,
                "phase": "explore", "status": "completed", "family": family, "schedule": json.dumps(chosen.to_dict()),
                "base_lr": mean_lr / chosen.profile_mean, "mean_lr": mean_lr, "seed": 0, "deterministic": False,
                "objective": float(np.exp(log_loss + 0.003 * rng.standard_normal())), "objective_name": "val_loss",
                "mode": "min", "metric_mode": "min",
            }
        )  # fmt: skip
    return tidy(pd.DataFrame(trials))


@pytest.mark.parametrize(
    ("family", "parameter", "best", "low", "high"),
    [
        ("rex-phi", "phi", 3.0, 0.05, 50.0),
        ("polynomial", "power", 1.2, 0.25, 5.0),
        ("wsd", "cooldown", 0.3, 0.05, 1.0),
        ("inverse-sqrt", "timescale", 0.03, 0.001, 1.0),
    ],
)
def test_the_best_value_is_found(family: str, parameter: str, best: float, low: float, high: float) -> None:
    table = rows(family, parameter, best, low, high)
    surface = fit_cell(table).judged(0.002).surfaces[family, parameter]
    assert surface.shape is not None and surface.shape.parameter == parameter
    assert surface.verdict == "ok" and surface.phi_interval is not None and surface.base_lr is not None
    assert surface.phi_interval[0] < best < surface.phi_interval[1]
    assert surface.phi == pytest.approx(best, rel=0.2)
    at_best = float(schedule(family, **{parameter: float(surface.phi or 0)}).profile_mean)
    assert surface.base_lr == pytest.approx(np.exp(BEST_LOG_MEAN_LR) / at_best, rel=0.15)
    [guideline] = build(table).cells[0].shapes
    assert (guideline.family, guideline.parameter, guideline.best) == (family, parameter, surface.phi)


def test_rex_and_linear_lie_on_the_surface_of_rex_phi() -> None:
    table = rows("rex-phi", "phi", 3.0, 0.05, 50.0)
    names = ["rex", "linear", "cosine"]
    some = table.head(3).assign(family=names, schedule=[json.dumps({"family": name}) for name in names])
    trials = CellTrials.of(pd.concat([table, some]))
    assert trials.in_group("rex-phi").tolist() == [True] * len(table) + [True, True, False]
    line = trials.lines["rex-phi"][0]
    same = {"rex": 1.0, "linear": 2.0}
    for name, phi in same.items():
        at_phi = shape_of(schedule("rex-phi", phi=phi), 100)
        assert trials.lines[name][0].shape == pytest.approx(at_phi, abs=1e-9) and line.family == "rex-phi"


def test_a_family_whose_parameter_was_not_searched_has_no_surface() -> None:
    table = rows("polynomial", "power", 1.2, 1.0, 1.0 + 1e-12, n=1)
    assert not Shape.all_of("polynomial", [json.loads(table["schedule"].iloc[0])] * 20)
    assert ("polynomial", "power") not in fit_cell(table).surfaces


def test_nothing_is_told_of_a_parameter_beside_which_another_varies() -> None:
    cooldowns = [{"family": "wsd", "cooldown": cooldown} for cooldown in (0.2, 0.7)]
    for name, values in (("warmup", (0.01, 0.1)), ("shape", ("linear", "sqrt"))):
        both = [each | {name: value} for each in cooldowns for value in values]
        assert not Shape.all_of("wsd", both) and Shape.all_of("wsd", both[::2])
    floors = [{"family": "uba", "phi": phi, "floor": phi / 100} for phi in (1.0, 4.0)]
    assert not Shape.all_of("uba", floors) and Shape.all_of("uba", floors[:1])


def test_a_warmup_is_a_shape_where_it_was_searched_and_has_no_usual_value() -> None:
    schedules = [{"family": "cosine", "warmup": warmup} for warmup in (0.01, 0.2)]
    assert not Shape.all_of("cosine", schedules)
    (shape,) = Shape.all_of("cosine", schedules, {"warmup": (0.01, 0.3)})
    assert shape.parameter == "warmup" and shape.usual is None


def test_the_range_searched_is_the_labels_the_parameters_or_that_of_the_trials() -> None:
    schedules = [{"family": "wsd", "cooldown": cooldown} for cooldown in (0.2, 0.7)]
    ranges = {"cooldown": (0.1, 0.9), "long.cooldown": (0.2, 1.0), "phi": (0.05, 50.0)}
    cases = (("wsd", {}), ("wsd", ranges), ("long", ranges))
    found = [shape for label, known in cases for shape in Shape.all_of(label, schedules, known)]
    assert [(shape.low, shape.high) for shape in found] == [(0.2, 0.7), (0.1, 0.9), (0.2, 1.0)]


def test_the_mean_of_the_profile_is_the_schedules() -> None:
    table = rows("rex-phi", "phi", 3.0, 0.05, 50.0)
    (shape,) = Shape.all_of("rex-phi", [json.loads(text) for text in table["schedule"]])
    for value in (0.1, 1.0, 20.0):
        expected = np.log(schedule("rex-phi", phi=value).profile_mean)
        assert shape.log_mean(np.array([np.log(value)]))[0] == pytest.approx(expected, abs=1e-3)
