"""Syne Tune's local backend with its ASHA; a process a trial, so only 60 of them.

Its pause between polls is 5 s by default; here 0.1 s, for with 5 s short trials would wait for nothing else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.overhead.contender import SEED, SLOTS, Contender, module_command, note_end, noted_ends
from benchmarks.overhead.problem import BASE_LR, FAMILIES, PHI, REPORTS

_PAUSE = 0.1


def contender(python: str) -> Contender:
    return Contender(
        "syne-tune",
        f"Syne Tune, local backend, ASHA, polling every {_PAUSE} s; nothing recorded elsewhere",
        module_command("benchmarks.overhead.contenders.syne_tune_local", python=python),
        noted_ends,
        most=60,
    )


def main() -> None:
    folder, trials = Path(sys.argv[1]), int(sys.argv[2])
    # Where it puts its results; read while it is imported.
    os.environ["SYNETUNE_FOLDER"] = str(folder)
    # It leaves a file where it is started.
    os.chdir(folder)
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice, loguniform
    from syne_tune.optimizer.baselines import ASHA
    from syne_tune.results_callback import StoreResultsCallback
    from syne_tune.tuner_callback import TunerCallback

    class Note(TunerCallback):  # type: ignore[misc]
        def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
            note_end(folder, int(result["steps"]))

        def on_trial_result(self, trial: Any, status: str, result: dict[str, Any], decision: str) -> None:
            if decision == "STOP":
                note_end(folder, int(result["steps"]))

    space = {"family": choice(list(FAMILIES)), "phi": loguniform(*PHI), "base_lr": loguniform(*BASE_LR)}
    scheduler = ASHA(
        space,
        metric="loss",
        time_attr="report",
        max_t=len(REPORTS),
        grace_period=1,
        reduction_factor=2,
        random_seed=SEED,
    )
    Tuner(
        trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name("syne_tune_trial.py"))),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_finished=trials),
        n_workers=SLOTS,
        sleep_time=_PAUSE,
        callbacks=[StoreResultsCallback(), Note()],
    ).run()


if __name__ == "__main__":
    main()
