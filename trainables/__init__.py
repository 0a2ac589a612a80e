"""What a trial does: schedules, workloads, the training loop.

Everything here but `trainables.trial.actor` and `trainables.trial.relay` runs with neither Ray, Optuna nor MLflow
installed; `trainables.schedules` needs NumPy alone until a torch scheduler is asked for.
"""
