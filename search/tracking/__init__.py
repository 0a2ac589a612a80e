"""The single writer to MLflow: a process of its own that follows the study's journal; idempotent by trial id."""

from search.tracking.facts import facts_of
from search.tracking.tracker import Tracker
from search.tracking.uri import absolute, runs_page, without_credentials

__all__ = ["Tracker", "absolute", "facts_of", "runs_page", "without_credentials"]
