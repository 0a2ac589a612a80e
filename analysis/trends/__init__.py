"""phi* and its LR against the budget, over all workloads; validated where they were not fitted."""
