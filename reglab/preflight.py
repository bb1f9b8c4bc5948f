"""What a command refuses before it imports TensorFlow, which takes seconds, and before anything is written."""

from __future__ import annotations

import os

from reglab import data
from reglab.cluster import cluster_from_environment
from reglab.config import Config
from reglab.data import Dataset
from reglab.memory import check_memory


def preflight(config: Config, *, lanes: int = 1, replicas: bool = True) -> Dataset | None:
    """Checks the memory, the cluster and the data of a configuration.

    Args:
      lanes: how many train together.
      replicas: whether the command runs on a cluster.

    Returns:
      The data; None where they must be downloaded first, which needs TensorFlow.

    Raises:
      ConfigError: something cannot be used.
    """
    if replicas and config.strategy in ("auto", "multi_worker"):
        cluster_from_environment(os.environ)
    check_memory(config, lanes=lanes)
    if not data.is_here(config.dataset, config.data_dir):
        return None
    dataset = data.load_configured(config)
    check_memory(config, features=dataset.train.x.shape[1], classes=dataset.classes, lanes=lanes)
    return dataset
