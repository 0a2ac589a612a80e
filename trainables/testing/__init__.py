"""Conformance suites: pytest classes to subclass for one's own schedule families and workloads."""
