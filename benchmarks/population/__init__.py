"""Trials an hour of a device: one process, several side by side, and a population."""
