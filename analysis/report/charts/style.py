"""Colours and the look of all charts."""

from typing import Any

# Okabe and Ito's palette: distinguishable with every common kind of colour vision.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY = "#1c1c1c", "#6b6b6b"
FAMILY_COLOURS = {
    "uba": BLUE,
    "rex": ORANGE,
    "linear": GREEN,
    "cosine": INK,
    "step": PINK,
    "constant": YELLOW,
    "exponential": SKY,
    # Of Tol's muted palette.
    "wsd": "#882255",
    "rex-phi": "#44AA99",
    "polynomial": "#999933",
}
# Of different lightness, for print without colour.
STATUSES = ("completed", "stopped", "diverged")
STATUS_COLOURS = (INK, "#8a8a8a", ORANGE)

CONFIG: dict[str, Any] = {
    "font": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, DejaVu Sans, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {"gridColor": "#e6e6e6", "domainColor": GREY, "tickColor": GREY, "labelColor": "#444", "labelFontSize": 11,
             "titleFontSize": 12, "titleFontWeight": "normal", "titleColor": "#222"},
    "legend": {"orient": "bottom", "columns": 4, "labelFontSize": 11, "titleFontSize": 11, "symbolType": "circle",
               "titleFontWeight": "normal", "labelLimit": 220, "symbolOpacity": 1},
    "header": {"labelFontSize": 12, "labelFontWeight": "bold", "labelAnchor": "start", "title": None},
}  # fmt: skip


def family_scale(families: list[str]) -> dict[str, Any]:
    """The colours of some families; grey for those that have none."""
    return {"domain": families, "range": [FAMILY_COLOURS.get(family, GREY) for family in families]}


def ordered(families: set[str]) -> list[str]:
    """Families in the order of their colours, others by name behind them."""
    known = list(FAMILY_COLOURS)
    return sorted(families, key=lambda name: (known.index(name) if name in known else len(known), name))
