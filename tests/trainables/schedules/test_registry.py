"""Families by name: messages about bad ones, and users' own."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from phitune.trainables.errors import InputError
from phitune.trainables.schedules import families, family, from_dict, schedule

GOOD = """
    from dataclasses import dataclass
    from phitune.trainables.schedules import Schedule

    @dataclass(frozen=True)
    class Flat(Schedule):
        family = "{module}:Flat"
        def profile(self, x):
            return 0 * x + 1

    class Abstract(Schedule):
        family = "{module}:Abstract"

    class Misnamed(Flat):
        family = "flat"

    NoSchedule = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of a user's in the working directory, its name not imported before."""
    name = f"own_families_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(dedent(GOOD).format(module=name), encoding="utf-8")
    (tmp_path / f"{name}_broken.py").write_text("1 +", encoding="utf-8")
    (tmp_path / f"{name}_raising.py").write_text("raise RuntimeError('two\\nlines')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # Importing a user's family puts the working directory on the path; afterwards it is as before.
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name


def test_families_by_these_names() -> None:
    mobius = ["uba", "rex-phi", "rex", "linear", "cosine"]
    decays = [*mobius, "step", "multistep", "exponential", "polynomial", "spline"]
    phases = ["onecycle", "wsd", "sgdr", "delayed-linear", "inverse-sqrt", "constant"]
    assert families() == [*decays, *phases, "plateau", "refined"]
    assert all(family(name).family == name for name in families())


def test_users_own_family_comes_from_the_working_directory(module: str) -> None:
    flat = schedule(f"{module}:Flat", warmup=1)
    assert flat.u([0, 1, 9], 10).tolist() == [0.5, 1.0, 1.0]
    assert from_dict(flat.to_dict()) == flat
    assert f"{module}:Flat" not in families()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:Missing", "cannot import '{}:Missing' (AttributeError: "),
        ("{}:", "cannot import '{}:' ("),
        (":Flat", "cannot import ':Flat' ("),
        ("{}_nowhere:Flat", "cannot import '{}_nowhere:Flat' (ModuleNotFoundError: "),
        ("{}_broken:Flat", "cannot import '{}_broken:Flat' (SyntaxError: "),
        ("{}_raising:Flat", "cannot import '{}_raising:Flat' (RuntimeError: two"),
        (
            "{}:NoSchedule",
            "'{}:NoSchedule' is not allowed; it must be a subclass of phitune.trainables.schedules.Schedule",
        ),
        ("{}:Abstract", "'{}:Abstract' is not allowed; it must define `profile`"),
        ("{}:Misnamed", "'{}:Misnamed' is not allowed; its class attribute `family` must be that very name"),
    ],
)
def test_bad_names_of_own_families_are_refused(module: str, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        schedule(name.format(module))
    assert str(error.value).startswith(f"family: {message.format(module)}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("uba", {}, "uba.phi: missing"),
        ("uba", {"phi": 0.0}, "uba.phi: 0.0 is not allowed; it must be a positive number"),
        ("uba", {"phi": "two"}, "uba.phi: 'two' is not allowed"),
        (
            "uba",
            {"phy": 1.0},
            "uba.phy: unknown parameter; did you mean 'phi'? uba takes: phi, warmup, floor, sampling",
        ),
        ("linear", {"phi": 1.0}, "linear.phi: unknown parameter; linear takes: warmup, floor, sampling"),
        (
            "linear",
            {"warmup": 1.0},
            "linear.warmup: 1.0 is not allowed; it must be a fraction in [0, 1) of the budget or",
        ),
        ("refined", {}, "refined.values: missing"),
        ("refined", {"values": [0.0] * 101}, "refined.values: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ...] is not allowed"),
        ("cosin", {}, "family: unknown family 'cosin'; did you mean 'cosine'?"),
    ],
)
def test_bad_parameters_are_refused(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        schedule(name, **parameters)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_dict_without_a_family_is_refused() -> None:
    with pytest.raises(InputError, match="family: missing"):
        from_dict({"phi": 2.0})
