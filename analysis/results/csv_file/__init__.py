"""A user's results from a CSV."""
