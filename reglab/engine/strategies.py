"""Creates the strategies of `tf.distribute`: replicas on given devices, on this machine or in a cluster."""

from __future__ import annotations

import faulthandler
import hashlib
import os
from collections.abc import Sequence
from typing import Any, Final

import tensorflow as tf

from reglab.cluster import Cluster, wait_for_peers
from reglab.config import HANDLING_FIELDS, Config
from reglab.engine.replicas import Replicas, StrategyReplicas
from reglab.signals.stop import StopRequest, deferred

COLLECTIVE_TIMEOUT: Final = 25.0  # Seconds that a collective waits for a peer that neither arrives nor dies.


def mirrored(devices: Sequence[str]) -> Replicas:
    """Returns one replica on each of these devices of this machine, which are all of one kind."""
    # Logical CPUs share memory: a plain sum takes half the time of TensorFlow's ring. GPUs have NCCL.
    summing = tf.distribute.ReductionToOneDevice() if devices[0].startswith("CPU") else None
    strategy = tf.distribute.MirroredStrategy(list(devices), cross_device_ops=summing)
    return StrategyReplicas(strategy, "mirrored", tuple(devices))


def multi_worker(config: Config, cluster: Cluster, gpus: Sequence[Any], stop: StopRequest) -> Replicas:
    """Returns one replica on each of this worker's `gpus`, the only visible ones, or on its CPU; likewise elsewhere.

    Raises:
      RendezvousError: a worker of the cluster did not appear.
      EarlyStop: one of the workers that had appeared received a stop signal.
    """
    cluster = wait_for_peers(cluster, config.rendezvous_timeout, _digest(config), stop)
    os.environ["TF_CONFIG"] = cluster.tf_config()
    # All workers were there a moment ago. If one dies now, TensorFlow waits for it and ignores all signals.
    faulthandler.dump_traceback_later(config.rendezvous_timeout + 30, exit=True, file=2)
    try:
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=COLLECTIVE_TIMEOUT)
        with deferred():  # TensorFlow's servers install their own SIGTERM handler.
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    finally:
        faulthandler.cancel_dump_traceback_later()
    kind = "GPU" if gpus else "CPU"
    names = tuple(f"{address}/{kind}:{i}" for address in cluster.addresses for i in range(max(len(gpus), 1)))
    return StrategyReplicas(strategy, "multi_worker", names, workers=cluster.size, worker=cluster.index)


def _digest(config: Config) -> str:
    """A digest of what must be equal on all workers: the experiment and the version of TensorFlow."""
    fields = {name: value for name, value in sorted(config.to_dict().items()) if name not in HANDLING_FIELDS}
    return hashlib.sha256(f"{tf.__version__} {fields}".encode()).hexdigest()
