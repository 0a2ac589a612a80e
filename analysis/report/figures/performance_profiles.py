"""Performance profiles: the share of a family's runs that reach a score."""

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from phitune.analysis.families.scores import Scores
from phitune.analysis.report.figures.style import FAMILY_LINES, REFERENCE_LINE, family_colour


def performance_profiles(scores: Scores) -> Figure | None:
    """Share of runs that score at least tau, with 90 % bands (Agarwal et al., NeurIPS 2021); a line a family."""
    if scores.why_not is not None:
        return None
    figure = Figure(figsize=(6.0, 4.4), layout="constrained")
    axis = figure.add_subplot()
    for family in scores.families:
        colour = family_colour(family.family)
        low, high = family.interval
        label = f"{family.family}: {family.iqm:.3f} [{low:.3f}, {high:.3f}]"
        axis.fill_between(
            scores.thresholds, family.profile_low, family.profile_high, color=colour, alpha=0.12, linewidth=0
        )
        axis.plot(scores.thresholds, family.profile, color=colour, linewidth=1.8,
                  linestyle=FAMILY_LINES.get(family.family, "-"), label=label)  # fmt: skip
    axis.axvline(1.0, **REFERENCE_LINE)
    axis.set_xlim(scores.thresholds[0], scores.thresholds[-1])
    axis.set_ylim(-0.02, 1.02)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlabel("score τ (1: as good as the cell's best family)")
    axis.set_ylabel("share of runs with at least τ")
    figure.legend(title="interquartile mean [90 %]", fontsize=8, title_fontsize=8, loc="outside lower center", ncols=2)
    return figure
