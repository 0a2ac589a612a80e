"""Starts or joins Ray, and keeps it quiet."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import optuna
import ray

from phitune.search.cluster.nodes import Node, living_nodes, may_come
from phitune.search.cluster.slots import RAYS_NAMES, bundle, group, places, words
from phitune.search.environment import environment, workers, writable
from phitune.search.ray_internals.lean import lean
from phitune.search.ray_internals.output import mute_raylet
from phitune.search.ray_internals.secrets import keep_secrets_here
from phitune.search.ray_internals.touch import needed
from phitune.search.study.model import Study
from phitune.search.study.sections import Resources
from phitune.trainables.cpus import usable_cpus
from phitune.trainables.errors import InputError, SurroundingsError

_TERMINATED = threading.Event()


def quiet(verbose: bool) -> None:
    """Silences the routine messages of Ray, MLflow and Optuna; errors still appear."""
    environment(verbose)
    if verbose:
        return
    for name in ("ray", "ray.tune", "mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It lists Tune's names of trials that failed, which is no error of the study.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def connect(study: Study, address: str | None, verbose: bool) -> None:
    """Starts or joins Ray, once.

    Args:
        address: A running cluster's; None starts Ray on this machine alone.
        verbose: Whether Ray's own messages are shown.

    Raises:
        InputError: There is no such cluster, it refuses this process, or no node of it, there or to be started,
            can hold a trial.
        SurroundingsError: Ray does not start here.
    """
    if not ray.is_initialized():
        if address is not None:
            with needed():
                from phitune.search.ray_internals.handshake import require_cluster
            require_cluster(address)
        keep_secrets_here()
        if address is None:
            _give_token()
        _start_ray(address, verbose)
        if not verbose:
            mute_raylet()
        # Ray has put its own handler.
        signal.signal(signal.SIGTERM, _terminate)
    _require_room({cell.resources for cell in study.cells})


def terminated() -> bool:
    """Whether this process received SIGTERM; if its whole group did, Ray's processes die of it."""
    return _TERMINATED.is_set()


def _terminate(*_: object) -> None:
    """A study stops the same way as for Ctrl-C."""
    _TERMINATED.set()
    signal.raise_signal(signal.SIGINT)


def _require_room(kinds: Iterable[Resources]) -> None:
    nodes = living_nodes()
    for resources in kinds:
        if not places(resources, nodes) and not may_come(group(bundle(resources), resources.nodes)):
            raise no_room(resources, nodes)


def no_room(resources: Resources, nodes: Sequence[Node]) -> InputError:
    """Why these nodes, with no autoscaler that starts others, cannot hold a trial."""
    for field, name in RAYS_NAMES.items():
        amount, have = getattr(resources, field), max((node.get(name, 0.0) for node in nodes), default=0.0)
        if amount > have:
            all_have = sum(node.get(name, 0.0) for node in nodes)
            where = f"the cluster has {all_have:g} {name}s" + (f", {have:g} on one node" if have < all_have else "")
            none = f", and no autoscaler that starts a node with {words(resources)}"
            return InputError(f"resources.{field}: {amount:g} is not allowed; {where}{none}")
    one = resources.model_copy(update={"nodes": 1})
    if count := sum(places(one, [node]) > 0 for node in nodes):
        they_have = f"{count} nodes of the cluster have" if count > 1 else "one node of the cluster has"
        where = f"{they_have} {words(one)}, and no autoscaler starts more"
        return InputError(f"resources.nodes: {resources.nodes} is not allowed; {where}")
    return InputError(
        f"resources: {resources.cpu:g} CPUs and {resources.gpu:g} GPUs are not allowed; no node of the cluster has both"
    )


def _give_token() -> None:
    """Gives a Ray that starts here a token where it cannot keep one in the home directory, as it does by default."""
    if not writable(Path.home() / ".ray") and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _start_ray(address: str | None, verbose: bool, tries: int = 2) -> None:
    try:
        with lean(follow_logs=verbose):
            ray.init(
                # Without an address Ray might join a cluster that an earlier process left behind.
                address=address or "local",
                # A cluster's nodes say what they have. Here Ray would count the machine's, not the process's.
                num_cpus=None if address else usable_cpus(),
                runtime_env={"env_vars": workers()},
                include_dashboard=False if not address else None,
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.ERROR,
                configure_logging=True,
            )
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        if address:
            raise InputError(f"--address: no Ray cluster at {address!r} ({reason})") from error
        # Ray allows itself half a minute, which a busy machine may not keep.
        ray.shutdown()
        if tries == 1:
            once = " once that is mended" if isinstance(error, OSError) else ""
            raise SurroundingsError(
                f"Ray does not start ({reason}); nothing is lost, and the same command goes on{once}"
            ) from error
        _start_ray(address, verbose, tries - 1)
