"""What Ray would tell of secrets."""

from __future__ import annotations

from ray.tune.execution import class_cache


def keep_secrets_here() -> None:
    """Keeps Tune from copying the driver's AWS keys into its trials' runtime environment.

    Ray writes that to its logs and shows it to all who see the cluster. A trial has the environment of its own machine.
    """
    names = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(names)
