"""Benchmark of a population against one trial alone."""
