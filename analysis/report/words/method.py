"""The report's method and caveats."""

METHOD = (
    "Trials are compared only inside a cell: one workload, optimizer and budget. Every budget is its own run, with a "
    "schedule that ends at that budget.",
    "One belief a cell says everything: a Gaussian process over the schedule as a function (its mean, and where the LR "
    "lies) and the LR, fitted to the trials of all families, replicates too, on a log scale of the objective. Cosine "
    "is UBA at φ = 2 and one point with it. A family stands where it is expected to be best, not at its luckiest "
    "run; the LR is put at its best for every schedule. Intervals come from functions drawn from the posterior, over "
    "several settings of its hyperparameters.",
    "A trial stopped early enters with its predicted final value and that prediction's uncertainty. A diverged trial "
    "marks a bad region. Failed trials are left out.",
    "That φ has no effect is a hypothesis of its own: with the probability that the trials give it, cosine and UBA "
    "differ by their LRs alone. Where φ = 2 may be the best φ, no gain over cosine is claimed.",
    "What counts as equal is worth a few per cent of the budget (`equal` in the study file) by the slope of quality "
    "over the budgets searched, or a tenth of the spread between seeds if that is more.",
    "What more trials could bring at most is the value of perfect information: in each draw the best schedule and LR "
    "of all families against what is recommended. Nothing is said beyond the families and ranges that were searched.",
    "Budget saved: the baseline's quality at its best LR is a curve over the budgets; a family's quality at T is "
    "looked up on it. An end of its interval beyond the budgets searched is left out.",
    "Replicates are fresh seeds of what was chosen: data like all others, and unbiased by the choice. Scores and "
    "performance profiles rest on them alone.",
    "Model-based sampling and early stopping concentrate trials near the best; far from it the bands are wide.",
    "φ*, or the best value of another family's searched parameter, and the mean LR that goes with it are fitted "
    "against the budget by a hierarchical model: an intercept and a slope a workload, partially pooled. Each cell "
    "enters with its whole distribution; an optimum at the end of the range searched is a bound. A slope is claimed "
    "only from four budgets on, and only if it predicts left-out cells better than a constant.",
    "Validation predicts the parameter and base LR of cells that were left out and reads their cost off the cell's own "
    "surface, against the best that any family reached there. A handful of workloads says little about the next one.",
)
