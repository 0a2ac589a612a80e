"""Ray as a study needs it: started or joined, and quiet."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import optuna
import ray
from ray._private import worker as ray_worker

from phitune.search.cluster.nodes import Node, living_nodes, may_come
from phitune.search.cluster.slots import RAYS_NAMES, bundle, places, words
from phitune.search.ray_internals.handshake import require_cluster
from phitune.search.ray_internals.secrets import keep_secrets_here
from phitune.search.study.model import Study
from phitune.search.study.sections import Resources
from phitune.trainables.errors import InputError, SurroundingsError

_TERMINATED = threading.Event()


def quiet(verbose: bool) -> None:
    """Silences what Ray, MLflow and Optuna say on their own account; not what goes wrong."""
    settings = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        # What Tune would save of its own state is on disk already, in the journal and in Optuna's storage.
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
        "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    for key, value in settings.items():
        os.environ.setdefault(key, value)
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
        InputError: There is no such cluster, it does not take this process, or no node of it, there or to be started,
            can hold a trial.
        SurroundingsError: Ray does not start here.
    """
    if not ray.is_initialized():
        require_cluster(address)
        keep_secrets_here()
        _start_ray(address, verbose)
        if not verbose:
            _mute_raylet()
        # Ray has put its own handler.
        signal.signal(signal.SIGTERM, _terminate)
    _require_room({cell.resources for cell in study.cells})


def terminated() -> bool:
    """Whether this process was told to end by SIGTERM; where its whole group was, Ray dies of it."""
    return _TERMINATED.is_set()


def _terminate(*_: object) -> None:
    """A study stops the same way as for Ctrl-C."""
    _TERMINATED.set()
    signal.raise_signal(signal.SIGINT)


def _require_room(kinds: Iterable[Resources]) -> None:
    nodes = living_nodes()
    for resources in kinds:
        if not places(resources, nodes) and not may_come(bundle(resources)):
            raise _no_room(resources, nodes)


def _no_room(resources: Resources, nodes: Sequence[Node]) -> InputError:
    for field, name in RAYS_NAMES.items():
        asked, have = getattr(resources, field), max((node.get(name, 0.0) for node in nodes), default=0.0)
        if asked > have:
            all_have = sum(node.get(name, 0.0) for node in nodes)
            where = f"the cluster has {all_have:g} {name}s" + (f", {have:g} on one node" if have < all_have else "")
            none = f", and no autoscaler that starts a node with {words(resources)}"
            return InputError(f"resources.{field}: {asked:g} is not allowed; {where}{none}")
    return InputError(
        f"resources: {resources.cpu:g} CPUs and {resources.gpu:g} GPUs are not allowed; no node of the cluster has both"
    )


def _start_ray(address: str | None, verbose: bool, tries: int = 2) -> None:
    try:
        ray.init(
            # Without an address Ray might join a cluster that an earlier process left behind.
            address=address or "local",
            # A user's own workloads and schedules are modules of the working directory.
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(_module_path())}},
            include_dashboard=False if not address else None,
            log_to_driver=verbose,
            logging_level=logging.INFO if verbose else logging.ERROR,
            configure_logging=True,
        )
    except Exception as error:
        told = " ".join(str(error).split())[:160]
        if address:
            raise InputError(f"--address: no Ray cluster at {address!r} ({told})") from error
        # Ray allows itself half a minute, which a busy machine may not keep.
        ray.shutdown()
        if tries == 1:
            raise SurroundingsError(
                f"Ray does not start ({told}); nothing is lost, and the same command goes on"
            ) from error
        _start_ray(address, verbose, tries - 1)


def _mute_raylet() -> None:
    """What Ray prints of processes that have died is told in the trials' reasons."""
    show = ray_worker.print_to_stdstream

    def show_others(data: dict[str, Any], *rest: Any, **more: Any) -> None:
        if data.get("pid") != "raylet":
            show(data, *rest, **more)

    ray_worker.print_to_stdstream = show_others


def _module_path() -> list[str]:
    """The working directory, and where modules are looked for already."""
    return [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
