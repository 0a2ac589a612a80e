"""Numbers as text for people."""


def number(value: float) -> str:
    """Three significant digits, whole numbers from a thousand on; an exponent only for the very small and large."""
    if value == 0 or 1e-4 <= abs(value) < 999.5:
        return f"{value:.3g}"
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.2e}"


def percent(value: float, plus: bool = False) -> str:
    """Two significant digits without the sign %, whole numbers from a hundred on, 0 below a thousandth.

    Args:
        value: In per cent.
        plus: Whether what is positive begins with a plus.
    """
    if abs(value) < 1e-3:
        return "0"
    sign = "+" if plus else ""
    return f"{value:{sign}.0f}" if abs(value) >= 99.5 else f"{value:{sign}.2g}"


def with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """A value and its interval, "–" if there is none."""
    if value is None:
        return "–"
    return number(value) if interval is None else f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def budget_share(budget: int, full_budget: int | None) -> str:
    """A budget's share of the full one, such as " (25 %)"; empty if that is unknown."""
    return f" ({number(100.0 * budget / full_budget)} %)" if full_budget else ""
