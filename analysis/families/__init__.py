"""Families against each other: paired by seed, ranks, scores, tuning curves, budget saved."""
