"""Studies as jobs of a Ray cluster: submitted from a laptop, which may then be closed."""

from search.jobs.client import jobs_at
from search.jobs.follow import follow, log_end
from search.jobs.listing import Job, find, listed, stop
from search.jobs.submission import Submission, submit

__all__ = ["Job", "Submission", "find", "follow", "jobs_at", "listed", "log_end", "stop", "submit"]
