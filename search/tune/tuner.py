"""One `tune.Tuner` over all cells of a study."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from ray import tune

from phitune.search.cluster.slots import group
from phitune.search.ray_internals.memory_kills import survive_memory_kills
from phitune.search.ray_internals.thrift import import_no_loggers, silence
from phitune.search.tune.callback import SearchCallback
from phitune.search.tune.scheduler import Scheduler
from phitune.search.tune.searcher import Proposer
from phitune.trainables.trial.actor import TrialActor


def train(searcher: Proposer, scheduler: Scheduler, callback: SearchCallback, scratch: Path) -> None:
    """Trains until the searcher proposes no more trials or the user interrupts.

    Args:
        scratch: Folder for what Tune writes, which is never read.
    """
    survive_memory_kills()
    import_no_loggers()
    tuner = tune.Tuner(
        tune.with_resources(TrialActor, lambda config: group(json.loads(config["bundle"]), config["nodes"])),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(scratch.resolve()),
            callbacks=[callback, *silence()],
            # Trials report what matters; Tune would otherwise save each one's model at its end.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    tuner.fit()
