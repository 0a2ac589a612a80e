"""The cluster file, checked by Ray's own schema."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config


def test_cluster_file_is_valid_for_rays_launcher() -> None:
    config = prepare_config(yaml.safe_load(Path("cluster.yaml").read_text(encoding="utf-8")))
    validate_config(config)
    workers = config["available_node_types"]["gpu-worker"]
    assert (workers["min_workers"], config["max_workers"]) == (1, 8)
