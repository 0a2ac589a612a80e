"""Keeps the driver's secrets out of what Ray logs and shows."""

from __future__ import annotations

from phitune.search.ray_internals.touch import Touch, require


def _check() -> None:
    from ray.tune.execution import class_cache

    require(class_cache.ENV_VARS_TO_PROPAGATE, "difference_update")


TOUCH = Touch("AWS keys in the environment of this process may appear in Ray's logs", _check)


def keep_secrets_here() -> None:
    """Keeps Tune from copying the driver's AWS keys into its trials' runtime environment.

    Ray writes that to its logs and shows it to everyone who sees the cluster. A trial has the environment of its own
    machine.
    """
    if TOUCH.missing:
        return
    from ray.tune.execution import class_cache

    names = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(names)
