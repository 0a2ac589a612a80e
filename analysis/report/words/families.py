"""Families across cells in plain words."""

from phitune.analysis.answers.numbers import with_interval
from phitune.analysis.guidelines.guidelines import Guidelines
from phitune.analysis.report.words.refusals import why_not
from phitune.analysis.report.words.verdicts import family_reason


def family_lines(guidelines: Guidelines) -> list[str]:
    """Ranks and scores of the families with their evidence; a line for each cell where UBA was searched and lost."""
    lines = []
    ranks = guidelines.comparisons.ranks
    if ranks.ranks:
        ranked = ", ".join(f"{family} {rank:.2f}" for family, rank in ranks.ranks.items())
        lines.append(f"Average rank over the {ranks.cells} cells that have all families (1 is best): {ranked}.")
    if ranks.critical_difference is not None and ranks.p_value is not None:
        lines.append(
            f"Friedman's test of all families being equal: p = {ranks.p_value:.2g}; average ranks that differ by less "
            f"than {ranks.critical_difference:.2f} cannot be told apart. Both take cells to be independent, "
            "which budgets of one workload are not, and are too sure."
        )
    elif ranks.why_not is not None:
        lines.append(f"Whether the ranks differ is not tested: {why_not(ranks.why_not)}.")
    scores = guidelines.comparisons.scores
    if scores.families:
        means = ", ".join(f"{f.family} {with_interval(f.iqm, f.interval)}" for f in scores.families)
        lines.append(
            f"Interquartile mean of the replicates' scores over {scores.cells} cells (1: as good as the best; families "
            f"that are equal all fall a little short of 1): {means}."
        )
    if scores.why_not is not None:
        lines.append(f"No scores and performance profiles: {why_not(scores.why_not)}.")
    chosen = [c for c in guidelines.cells if c.family not in ("uba", None) and c.of("uba") is not None]
    lines += [f"{c.label}, {c.optimizer}, {c.budget} iterations: {family_reason(c)}." for c in chosen]
    return lines
