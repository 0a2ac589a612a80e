"""A user's own training loop as a trial: what the loop gets, the thread it runs in, and the run by hand."""

from phitune.trainables.training.function.by_hand import HandTrial, trial
from phitune.trainables.training.function.function_training import FunctionTraining
from phitune.trainables.training.function.processes import spawn
from phitune.trainables.training.function.trial import Trial

__all__ = ["FunctionTraining", "HandTrial", "Trial", "spawn", "trial"]
