"""A chart: its specification, its rows, and which choices on the page pick some of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        name: Of its file.
        title: Its heading.
        caption: How to read it.
        spec: Vega-Lite, without data and size. A row's `kind` says which layer draws it.
        rows: The data. Those that a choice picks have it as a key.
        picked: The choices that pick rows, of `workload` (with the optimizer), `budget` and `family`, in this order.
        height: In pixels; None where the specification has it.
        pictured: Whether report.md has it as a picture.
    """

    name: str
    title: str
    caption: str
    spec: Spec
    rows: Sequence[Row]
    picked: tuple[str, ...]
    height: int | None = 260
    pictured: bool = False


def layer(kind: str, mark: Spec, encoding: Spec, *transforms: Spec) -> Spec:
    """A layer that draws the rows of a kind."""
    return {"transform": [{"filter": f"datum.kind === '{kind}'"}, *transforms], "mark": mark, "encoding": encoding}


def log_axis(field: str, title: str | None, margin: float = 0) -> Spec:
    """A logarithmic axis with plain numbers."""
    scale = {"type": "log", "nice": False, "padding": margin}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale, "axis": PLAIN}


def linear_axis(field: str, title: str | None, **scale: Any) -> Spec:
    """A linear axis."""
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False, **scale}}


def shown(**titles: str) -> list[Spec]:
    """What hovering shows: fields with their titles; numbers with three digits."""
    return [{"field": field, "title": title.replace("_", " ")} for field, title in titles.items()]


def text(name: str, expression: str) -> Spec:
    """A transform that makes a text for hovering."""
    return {"calculate": expression, "as": name}


def span(name: str, low: str, high: str) -> Spec:
    """A transform that makes the text of an interval."""
    return text(name, f"format(datum.{low}, '.3~g') + ' to ' + format(datum.{high}, '.3~g')")


PLAIN: Spec = {"format": "~g", "labelOverlap": "greedy", "tickCount": 5}
# Large enough for a finger, and not drawn.
TARGET: Spec = {"type": "point", "filled": True, "size": 220, "opacity": 0}
