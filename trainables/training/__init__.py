"""One trial's training: from step 0 to its horizon, resumable, and the task that a search makes of it.

Needs neither Ray nor, for workloads without a network, torch.
"""

from phitune.trainables.training.config import Diagnostics, TrialConfig
from phitune.trainables.training.requests import Evaluate, Request, Step
from phitune.trainables.training.training import Training

__all__ = ["Diagnostics", "Evaluate", "Request", "Step", "Training", "TrialConfig"]
