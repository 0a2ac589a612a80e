"""Studies as jobs of a Ray cluster: submitted from a laptop, which may then be closed."""

from phitune.search.jobs.client import jobs_at
from phitune.search.jobs.follow import follow, log_end
from phitune.search.jobs.listing import Job, find, listed, stop
from phitune.search.jobs.submission import Submission, submit

__all__ = ["Job", "Submission", "find", "follow", "jobs_at", "listed", "log_end", "stop", "submit"]
