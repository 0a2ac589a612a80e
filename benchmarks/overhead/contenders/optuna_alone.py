"""Optuna alone: two worker processes on one journal file, TPE and successive halving; and with an MLflow callback.

The callback does what the one of optuna-integration does: a run a trial with its parameters and its last value.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

from benchmarks.overhead.contender import SEED, SLOTS, Contender, module_command, note_end, noted_ends
from benchmarks.overhead.problem import BASE_LR, FAMILIES, PHI, reports

_MODULE = "benchmarks.overhead.contenders.optuna_alone"
ALONE = Contender(
    "optuna",
    "Optuna alone: two processes, journal file, TPE, SuccessiveHalvingPruner; nothing recorded elsewhere",
    module_command(_MODULE),
    noted_ends,
)
WITH_MLFLOW = Contender(
    "optuna-mlflow",
    "The same with an MLflow run a trial on SQLite: parameters and last value",
    module_command(_MODULE, "mlflow"),
    noted_ends,
    database="mlflow.db",
)


def work(folder: Path, trials: int, worker: int, record: bool) -> None:
    """One worker process, until the study has its trials."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import MaxTrialsCallback

    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    study = optuna.create_study(
        study_name="overhead",
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=SEED + worker),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        load_if_exists=True,
    )

    def objective(trial: optuna.Trial) -> float:
        family = trial.suggest_categorical("family", FAMILIES)
        phi = trial.suggest_float("phi", *PHI, log=True)
        base_lr = trial.suggest_float("base_lr", *BASE_LR, log=True)
        for report in reports(family, phi, base_lr):
            trial.report(report.loss, report.number)
            if trial.should_prune():
                trial.set_user_attr("steps", report.step)
                raise optuna.TrialPruned
        trial.set_user_attr("steps", report.step)
        return report.loss

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if record:
            import mlflow

            with mlflow.start_run(run_name=str(trial.number)):
                mlflow.log_params(trial.params)
                if trial.value is not None:
                    mlflow.log_metric("loss", trial.value)
                mlflow.set_tags({"state": trial.state.name})
        note_end(folder, trial.user_attrs["steps"])

    if record:
        open_mlflow(folder)
    everyone = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    study.optimize(objective, callbacks=[note, MaxTrialsCallback(trials, everyone)])


def open_mlflow(folder: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("overhead")


def main() -> None:
    folder, trials, record = Path(sys.argv[1]), int(sys.argv[2]), "mlflow" in sys.argv[3:]
    if record:
        # First starts at the same time race in MLflow's migration.
        open_mlflow(folder)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=work, args=(folder, trials, number, record)) for number in range(SLOTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
