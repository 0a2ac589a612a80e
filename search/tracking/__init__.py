"""The single writer to MLflow: a process of its own that follows the study's journal; idempotent by trial id."""

from phitune.search.tracking.facts import facts_of
from phitune.search.tracking.tracker import Tracker
from phitune.search.tracking.uri import absolute, runs_page, without_credentials

__all__ = ["Tracker", "absolute", "facts_of", "runs_page", "without_credentials"]
