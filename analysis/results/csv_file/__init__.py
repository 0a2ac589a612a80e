"""One's own results from a CSV."""
