"""Finds the cluster that the environment variables describe, and this worker's GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping

from reglab.cluster.base import Cluster
from reglab.cluster.slurm import cluster_from_slurm, gpus_are_bound
from reglab.cluster.tf_config import cluster_from_tf_config
from reglab.config import Config, ConfigError


def find_cluster(config: Config) -> Cluster | None:
    """Returns the cluster that this process is a worker of; None if there is none or `strategy` rules it out.

    Raises:
      ConfigError: the environment describes no cluster although it must, or an impossible one.
    """
    if config.strategy not in ("auto", "multi_worker"):
        return None
    cluster = cluster_from_environment(os.environ)
    if cluster is None and config.strategy == "multi_worker":
        raise ConfigError("--strategy=multi_worker finds no cluster of two workers or more in TF_CONFIG or Slurm's "
                          "variables: start the workers with srun, a Kubernetes operator or python -m reglab.launch")
    return cluster


def cluster_from_environment(environ: Mapping[str, str]) -> Cluster | None:
    """Returns the cluster that `TF_CONFIG`, or else Slurm, describes.

    Returns None if neither does or if there is only one worker, which has no peers to wait for and can use the
    single-machine strategies.

    Raises:
      ConfigError: the variables are malformed, contradict each other or describe something that is not supported.
    """
    text = environ.get("TF_CONFIG", "").strip()
    cluster = cluster_from_tf_config(text) if text else cluster_from_slurm(environ)
    return cluster if cluster is not None and cluster.size > 1 else None


def own_gpus(cluster: Cluster, environ: Mapping[str, str], visible: int) -> range:
    """Returns which of the GPUs visible to this process it may use, as positions among them.

    Workers on one host divide its GPUs equally (any remainder is unused), unless Slurm has already given each task its
    own.

    Args:
      visible: the number of GPUs visible to this process.

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
