"""The report's method and caveats."""

METHOD = (
    "Trials are compared only inside a cell: one workload, optimizer and budget. Every budget is its own run, with a "
    "schedule that ends at that budget.",
    "φ* is read off a Gaussian process fitted to the objective (on a log scale) over log φ and log mean LR, from UBA "
    "and cosine trials (cosine is UBA at φ = 2). The LR is put at its best for every φ. Intervals come from functions "
    "drawn from the posterior, over several settings of its hyperparameters.",
    "A trial stopped early enters with its predicted final value and that prediction's uncertainty. A diverged trial "
    "only marks a bad region. Failed trials are left out.",
    "Families are compared by replicates: the family's best trial again with fresh seeds, paired by seed. Where there "
    "are none, single runs are compared, which flatters the families tried most. A single run or one pair of seeds "
    "says nothing of chance: such a difference is shown, marked, and is no evidence.",
    "Budget saved: the baseline's quality at its best LR is a curve over the budgets; a family's quality at T is "
    "looked up on it. It rests on the replicates of both; '?' marks an end beyond the budgets searched.",
    "Gains and budget saved belong to the family's best trial, run again; φ and base LR in the table come from the "
    "fitted surface and may differ from that trial's.",
    "UBA has one parameter more than the others and therefore usually more trials. The replicates take away the luck "
    "of the draw, not the advantage of having searched more.",
    "Model-based sampling and early stopping concentrate trials near the best; far from it the bands are wide.",
    "φ* and the mean LR that goes with it are fitted against the budget by a hierarchical model: an intercept and a "
    "slope a workload, partially pooled. Each cell enters with its whole distribution; an optimum at the end of the "
    "range searched is a bound. A slope is claimed only from four budgets on, and only if it predicts left-out cells "
    "better than a constant.",
    "Validation predicts φ and base LR of cells that were left out and reads their cost off the cell's own surface, "
    "against the best that any family reached there. A handful of workloads says little about the next one.",
)
