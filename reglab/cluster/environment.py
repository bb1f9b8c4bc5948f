"""The cluster that the environment variables describe, and the GPUs in it that are this worker's."""

from __future__ import annotations

import os
from collections.abc import Mapping

from reglab.cluster.base import Cluster
from reglab.cluster.slurm import cluster_from_slurm, gpus_are_bound
from reglab.cluster.tf_config import cluster_from_tf_config
from reglab.config import Config, ConfigError


def find_cluster(config: Config) -> Cluster | None:
    """The cluster this process is a worker of, unless `strategy` says otherwise.

    Raises:
      ConfigError: the environment describes none although it must, or one that cannot be.
    """
    if config.strategy not in ("auto", "multi_worker"):
        return None
    cluster = cluster_from_environment(os.environ)
    if cluster is None and config.strategy == "multi_worker":
        raise ConfigError("--strategy=multi_worker finds no cluster of two workers or more in TF_CONFIG or Slurm's "
                          "variables: start the workers with srun, a Kubernetes operator or python -m reglab.launch")
    return cluster


def cluster_from_environment(environ: Mapping[str, str]) -> Cluster | None:
    """The cluster that `TF_CONFIG` or else Slurm describes.

    None where neither does, and where there is only one worker: a lone worker has nobody to wait for, and the
    strategies of one machine serve it.

    Raises:
      ConfigError: the variables are malformed, contradict each other or describe what reglab does not do.
    """
    text = environ.get("TF_CONFIG", "").strip()
    cluster = cluster_from_tf_config(text) if text else cluster_from_slurm(environ)
    return cluster if cluster is not None and cluster.size > 1 else None


def own_gpus(cluster: Cluster, environ: Mapping[str, str], visible: int) -> range:
    """Which of the GPUs that this process sees it may use, as positions among them.

    Workers on one host share its GPUs out evenly (a worker has as many as any other), unless Slurm has already given
    each task its own.

    Args:
      visible: how many GPUs this process sees.

    Raises:
      ConfigError: there are fewer GPUs than workers on this host.
    """
    if visible == 0 or cluster.local_size == 1 or (cluster.source == "Slurm" and gpus_are_bound(environ)):
        return range(visible)
    each = visible // cluster.local_size
    if each == 0:
        raise ConfigError(f"{cluster.source} puts {cluster.local_size} workers on a host where {visible} GPUs are "
                          "visible: start at most one worker for each GPU, or set CUDA_VISIBLE_DEVICES= to use none")
    return range(cluster.local_rank * each, (cluster.local_rank + 1) * each)
