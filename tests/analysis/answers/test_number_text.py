"""Numbers as text: few digits, and no exponent in the usual range."""

import pytest

from phitune.analysis.answers.numbers import budget_share, number, percent, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (0.000123, "0.000123"), (0.5, "0.5"), (999.4, "999"), (999.6, "1000"), (1600.0, "1600"),
        (-1234.5, "-1234"), (123456.0, "123456"), (2.5e7, "2.50e+07"), (1.5e-6, "1.50e-06"),
    ],
)  # fmt: skip
def test_three_digits_without_an_exponent(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-1e-5, "0"), (0.0123, "+0.012"), (-9.87, "-9.9"), (99.4, "+99"), (99.7, "+100"), (-152.4, "-152")],
)
def test_percents_have_two_digits_and_a_sign(value: float, text: str) -> None:
    assert percent(value, plus=True) == text
    assert percent(value) == text.removeprefix("+")


def test_an_unknown_value_is_a_dash_or_empty() -> None:
    assert with_interval(None, None) == "–" and with_interval(2.0, None) == "2"
    assert with_interval(2.0, (1.0, 1500.0)) == "2 [1, 1500]"
    assert budget_share(50, None) == "" and budget_share(50, 200) == " (25 %)" and budget_share(400, 20) == " (2000 %)"
