"""Families by average rank, with Nemenyi's critical difference."""

from matplotlib.figure import Figure

from phitune.analysis.families.ranks import Ranks
from phitune.analysis.report.figures.style import GREY, family_colour


def rank_diagram(ranks: Ranks) -> Figure | None:
    """Mean ranks, a row a family; bars join families that do not differ significantly.

    After Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006), section 3.2.2.
    """
    if len(ranks.ranks) < 2:
        return None
    names = list(ranks.ranks)
    figure = Figure(
        figsize=(6.0, 0.9 + 0.38 * (len(names) + (ranks.critical_difference is not None))), layout="constrained"
    )
    axis = figure.add_subplot()
    for row, (name, rank) in enumerate(ranks.ranks.items()):
        axis.plot([1.0, rank], [row, row], color="#d9d9d9", linewidth=1.2, zorder=1)
        axis.plot(rank, row, "o", ms=8, color=family_colour(name), zorder=3)
        axis.annotate(f"{rank:.2f}", (rank, row), (7, 0), textcoords="offset points", va="center", fontsize=8.5)
    end = len(names) + 0.6
    for i, group in enumerate(ranks.groups):
        rows = [names.index(name) for name in group]
        axis.plot([end - 0.09 * i] * 2, [rows[0] - 0.25, rows[-1] + 0.25], color="#1c1c1c", linewidth=4,
                  solid_capstyle="butt", zorder=2)  # fmt: skip
    if ranks.critical_difference is not None:
        row, width = len(names), ranks.critical_difference
        axis.errorbar(1.0 + width / 2, row, xerr=width / 2, color=GREY, capsize=4, linewidth=1.5)
        axis.annotate(f"critical difference {width:.2f}", (1.0 + width, row), (6, 0), textcoords="offset points",
                      va="center", fontsize=8.5, color=GREY)  # fmt: skip
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) + (0.6 if ranks.critical_difference is not None else -0.4), -0.6)
    axis.set_xlim(0.95, len(names) + 0.75)
    axis.set_xticks(range(1, len(names) + 1))
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(f"average rank over {ranks.cells} cells (1 is best)")
    return figure
