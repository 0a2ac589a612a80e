"""The English of the report and the command line. What computes returns verdicts and numbers."""
