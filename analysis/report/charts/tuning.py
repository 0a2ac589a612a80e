"""Tuning curves: the best of n trials of a family; and performance profiles: the share of runs that reach a score."""

from collections.abc import Iterator, Sequence

from phitune.analysis.families.scores import Scores
from phitune.analysis.families.tuning_curves import TuningCurve
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.charts.cells import quantity, short, workload_names
from phitune.analysis.report.charts.chart import TARGET, Chart, Row, Spec, layer, linear_axis, log_axis, shown, span
from phitune.analysis.report.charts.style import GREY, family_scale, ordered


def tuning(guidelines: Guidelines) -> Chart:
    """Median best objective of n trials with 90 % bands, of each cell."""
    names = dict(zip(((c.label, c.optimizer) for c in guidelines.cells), workload_names(guidelines), strict=True))
    rows = [
        {"workload": names[curve.workload, curve.optimizer], "budget": curve.budget, **row}
        for curve in guidelines.comparisons.tuning_curves
        if curve.why_not is None
        for row in _curve(curve)
    ]
    return Chart(
        "tuning_curves",
        "What n trials of a family buy",
        "The objective that the best of n trials reaches with probability one half. Trials that were stopped or "
        "diverged count as worse than all that completed, so curves start where half the searches have one. Bands: "
        "90 %, for the whole curve at once; none where a model guided the trials, whose curve is too good for small n.",
        _curves(log_axis("n", "trials n of one family"), f"best {quantity(list(guidelines.cells))} of n (median)",
                rows, family="family", n="trials", y="best of them", range="90 %", sampling="trials were"),
        rows,
        ("workload", "budget"),
    )  # fmt: skip


def performance_profiles(scores: Scores) -> Chart:
    """Share of runs that score at least tau, with 90 % bands (Agarwal et al., NeurIPS 2021); a line a family."""
    rows = [
        {"kind": "curve", "name": each.family, "n": tau, "y": short(share), "low": short(low), "high": short(high)}
        for each in scores.families
        for tau, share, low, high in zip(
            scores.thresholds, each.profile, each.profile_low, each.profile_high, strict=True
        )
    ]
    axis = linear_axis("n", "score τ (1: as good as the cell's best family)")
    return Chart(
        "performance_profiles",
        "Performance profiles of the replicates",
        "For each score τ, the share of a family's runs on fresh seeds that reach it: higher is better everywhere. The "
        "score is 1 for a run as good as the cell's best family and 0.9 for one about ten per cent worse. Bands: 90 %.",
        _curves(axis, "share of runs with at least τ", rows, family="family", n="score", y="share", range="90 %"),
        rows,
        (),
    )


def _curves(x: Spec, label: str, rows: Sequence[Row], family: str, **titles: str) -> Spec:
    names = ordered({str(row["name"]) for row in rows})
    y = linear_axis("y", label)
    color = {"field": "name", "type": "nominal", "title": None, "scale": family_scale(names)}
    return {
        "layer": [
            layer("curve", {"type": "area", "opacity": 0.1, "clip": True},
                  {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": color},
                  {"filter": "isValid(datum.low) && isValid(datum.high)"}),
            layer("curve", {"type": "line"}, {"x": x, "y": y, "color": color}),
            layer("curve", {**TARGET, "color": GREY}, {"x": x, "y": y, "tooltip": shown(name=family, **titles)},
                  span("range", "low", "high")),
        ],
    }  # fmt: skip


def _curve(curve: TuningCurve) -> Iterator[Row]:
    for i, best in enumerate(curve.best):
        n = i + 1
        # At most a dozen a factor of ten.
        if best is None or (n > 12 and n % max(1, n // 12) and n != len(curve.best)):
            continue
        row: dict[str, object] = {"kind": "curve", "name": curve.family, "n": n, "y": short(best)}
        low, high = (side[i] if side else None for side in (curve.low, curve.high))
        ends = {key: short(end) for key, end in (("low", low), ("high", high)) if end is not None}
        yield row | ends | {"sampling": curve.sampling}
