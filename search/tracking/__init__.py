"""The single writer to MLflow: a process of its own that follows the study's journal; idempotent by trial id."""

from phitune.search.tracking.facts import facts_of
from phitune.search.tracking.layout.views import runs_page
from phitune.search.tracking.tracker import Tracker

__all__ = ["Tracker", "facts_of", "runs_page"]
