"""Families against each other: gains, ranks, scores, tuning curves, budget saved."""
