"""Workloads by name, their labels, their parameters, and what may be imported without what."""

import math
import subprocess
import sys

import pytest
import torch
import yaml

from phitune.trainables.errors import InputError
from phitune.trainables.spec import Spec, Value
from phitune.trainables.workloads import names, parameters, workload
from phitune.trainables.workloads.digits import MlpDigits
from phitune.trainables.workloads.learning.recipe import Recipe
from phitune.trainables.workloads.learning.supervised import batch_indices


@pytest.mark.parametrize(
    "entry", ["mlp/digits", {"name": "quadratic", "kappa": 100, "noise": 0.03, "dim": 60}, {"name": "a", "b": "c/d"}]
)
def test_label_is_the_way_back_to_the_entry(entry: str | dict[str, object]) -> None:
    spec = Spec.of(entry)
    assert spec.entry == entry
    assert Spec.parse(spec.label) == spec


@pytest.mark.parametrize(
    "word", ["a,b/c", "x=1", "data/x (1)", "a)b(", "2024", "true", " a ", 'q"uo\\te', "", "nan", "-inf", ".nan"]
)
def test_labels_keep_words_that_look_like_something_else(word: str) -> None:
    spec = Spec("gpt-nano/text", (("batch_size", 4), ("path", word)))
    assert Spec.parse(spec.label) == spec


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("nan", "nan"),
        ("inf", "inf"),
        ("-inf", "-inf"),
        ("Infinity", "Infinity"),
        ("e1", "e1"),
        ("1e3", 1000.0),
        ("7", 7),
        (".5", 0.5),
        (".nan", math.nan),
        (".inf", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_a_word_and_a_number_are_what_yaml_says_they_are(written: str, value: Value) -> None:
    spec = Spec.of(yaml.safe_load(f"{{name: a, how: {written}}}"))
    assert repr(spec.params) == repr({"how": value})
    assert Spec.parse(f"a(how={written})") == Spec.parse(spec.label) == Spec.of(spec.entry) == spec


@pytest.mark.parametrize("label", ["", "quadratic(kappa)", "quadratic(kappa=1", "quadratic(=1)"])
def test_bad_labels_are_refused(label: str) -> None:
    with pytest.raises(InputError, match="is not allowed"):
        Spec.parse(label)


def test_unknown_names_and_parameters_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'mlp/digits'"):
        workload(Spec("mlp/digit"))
    with pytest.raises(InputError, match=r"quadratic\.kapa: unknown parameter; quadratic takes: kappa"):
        workload(Spec.of({"name": "quadratic", "kapa": 3}))


@pytest.mark.parametrize(
    "name", ["nowhere:Mine", "phitune.trainables.workloads.digits:Nothing", "phitune.trainables.spec:Spec"]
)
def test_a_class_that_is_no_workload_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=name):
        workload(Spec(name))


@pytest.mark.parametrize("name", [name.replace("*", "resnet20") for name in names() if name != "*/images"])
def test_every_workload_says_what_a_search_needs(name: str) -> None:
    built = workload(Spec(name))
    assert built.full_budget > 0
    assert all(0 < low < high for low, high in built.base_lr.values())


def test_a_study_file_changes_the_recipe_of_that_entry_alone() -> None:
    changed = workload(Spec.of({"name": "mlp/digits", "batch_size": 64, "clip_norm": 1}))
    assert isinstance(changed, MlpDigits)
    assert changed.recipe == Recipe(batch_size=64, clip_norm=1)
    plain = workload(Spec("mlp/digits"))
    assert isinstance(plain, MlpDigits)
    assert plain.recipe == Recipe()
    assert parameters("mlp/digits")["batch_size"] == 128


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 0}, r"workloads\.batch_size: 0 is not allowed; it must be a whole number of at least 1"),
        ({"batch_size": True}, r"workloads\.batch_size: True is not allowed"),
        ({"weight_decay": "nan"}, r"workloads\.weight_decay: 'nan' is not allowed"),
        ({"weight_decay": math.nan}, r"workloads\.weight_decay: nan is not allowed"),
        ({"clip_norm": math.inf}, r"workloads\.clip_norm: inf is not allowed"),
        ({"label_smoothing": 1}, r"workloads\.label_smoothing: 1 is not allowed; it must be a number in \[0, 1\)"),
        ({"accumulate": 129}, r"workloads\.accumulate: 129 is not allowed; it must be at most batch_size, 128"),
        ({"precision": "fp16"}, r"workloads\.precision: 'fp16' is not allowed; it must be one of fp32, bf16"),
    ],
)
def test_bad_recipes_are_refused(values: dict[str, Value], message: str) -> None:
    with pytest.raises(InputError, match=message):
        workload(Spec.of({"name": "mlp/digits", **values}))


class OwnLoss(MlpDigits):
    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.multi_margin_loss(outputs, targets)


def test_smoothing_does_not_replace_a_loss_of_one_s_own() -> None:
    built = OwnLoss.build(Spec.of({"name": "own", "label_smoothing": 0.1}))
    with pytest.raises(InputError, match=r"workloads\.label_smoothing: 0\.1 is not allowed; OwnLoss has a loss of its"):
        built.check(Spec("sgd"))


@pytest.mark.parametrize(("count", "size"), [(10, 3), (12, 4), (5, 8)])
def test_an_epoch_takes_every_example_at_most_once(count: int, size: int) -> None:
    steps = max(1, count // size)
    for epoch in range(3):
        indices = torch.cat([batch_indices(0, epoch * steps + position, count, size) for position in range(steps)])
        assert len(indices) == min(count, steps * size)
        assert len(set(indices.tolist())) == len(indices)
        assert set(indices.tolist()) <= set(range(count))
    orders = {tuple(batch_indices(seed, steps * epoch, count, size).tolist()) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_trains_without_ray_optuna_and_mlflow() -> None:
    code = """
import sys
for name in ("ray", "optuna", "mlflow"):
    sys.modules[name] = None
from phitune.trainables.schedules import schedule
from phitune.trainables.spec import Spec
from phitune.trainables.training import Training, TrialConfig
from phitune.trainables.workloads import workload
import phitune.trainables.workloads.language, phitune.trainables.workloads.vision
for name in ("mlp/digits", "logreg/iris", "mlp/wine", "quadratic"):
    training = Training(workload(Spec(name)), TrialConfig("sgd", 4, schedule("linear"), 0.1, 0))
    training.advance(4)
    assert training.done and not training.diverged
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize(
    "module", ["phitune.trainables.schedules", "phitune.trainables.workloads", "phitune.trainables.spec"]
)
def test_names_and_schedules_need_no_torch(module: str) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
import {module}
from phitune.trainables.schedules import schedule
assert schedule("uba", phi=2.0).u(5, 10) == 0.5
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
