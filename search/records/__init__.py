"""The record of a study, on disk as it happens."""
