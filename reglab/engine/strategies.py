"""Which devices a run gets: from flags and environment to `Replicas`, checked against what exists."""

from __future__ import annotations

import faulthandler
import hashlib
import os
from typing import Final

import tensorflow as tf

from reglab.cluster import Cluster, own_gpus, wait_for_peers
from reglab.cluster import find_cluster as find_cluster
from reglab.config import HANDLING_FIELDS, Config, ConfigError
from reglab.engine.environment import be_deterministic
from reglab.engine.replicas import Replicas, StrategyReplicas
from reglab.signals.stop import StopRequest, deferred

COLLECTIVE_TIMEOUT: Final = 25.0  # Seconds that a collective waits for a peer which neither comes nor dies.


def make_replicas(config: Config, cluster: Cluster | None, stop: StopRequest | None = None) -> Replicas:
    """The replicas that a configuration asks for, on devices that exist.

    TensorFlow places what asks for a missing device on another one without a word, so everything is checked here.

    Args:
      stop: heeded until all workers are there. From then on they can only stop together, at `gather_numbers`.

    Raises:
      ConfigError: the devices do not exist.
      RendezvousError: a worker of the cluster did not appear.
      EarlyStop: a stop signal came to one that was there.
    """
    _split_cpu(config)
    if config.deterministic:
        be_deterministic()
    if cluster is not None:
        return _multi_worker(config, cluster, StopRequest() if stop is None else stop)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [f"{kind}:{i}" for i in range(len(tf.config.list_logical_devices(kind)))]
    wanted = config.num_devices if config.num_devices is not None else len(devices)
    if config.strategy == "one_device":
        wanted = 1
    if wanted > len(devices):
        more = ", or split the CPU with --cpu_devices" if kind == "CPU" else ""
        raise ConfigError(f"--num_devices={wanted}, but there {_are(len(devices), kind)}: ask for at most that{more}")
    if wanted == 1 and config.strategy != "mirrored":
        return Replicas()
    # Parts of one CPU share its memory: a plain sum takes half the time of TensorFlow's ring. GPUs have NCCL.
    summing = tf.distribute.ReductionToOneDevice() if kind == "CPU" else None
    strategy = tf.distribute.MirroredStrategy(devices[:wanted], cross_device_ops=summing)
    return StrategyReplicas(strategy, "mirrored", tuple(devices[:wanted]))


def _split_cpu(config: Config) -> None:
    if config.cpu_devices is None:
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * config.cpu_devices)
    except RuntimeError:  # TensorFlow has started its devices already, in this process.
        found = len(tf.config.list_logical_devices("CPU"))
        if found != config.cpu_devices:
            raise ConfigError(f"--cpu_devices={config.cpu_devices}, but TensorFlow already runs with {found}: "
                              "start a new process") from None


def _multi_worker(config: Config, cluster: Cluster, stop: StopRequest) -> Replicas:
    gpus = tf.config.list_physical_devices("GPU")
    mine = [gpus[i] for i in own_gpus(cluster, os.environ, len(gpus))]
    if config.num_devices is not None and config.num_devices != max(len(mine), 1):
        raise ConfigError(f"--num_devices={config.num_devices}, but this worker has {max(len(mine), 1)}: leave it out, "
                          "or set CUDA_VISIBLE_DEVICES")
    if gpus:
        tf.config.set_visible_devices(mine, "GPU")
    wait_for_peers(cluster, config.rendezvous_timeout, _digest(config), stop)
    os.environ["TF_CONFIG"] = cluster.tf_config()
    # All workers were there a moment ago. Should one die right now, TensorFlow would wait for it deaf to all signals.
    faulthandler.dump_traceback_later(config.rendezvous_timeout + 30, exit=True, file=2)
    try:
        options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=COLLECTIVE_TIMEOUT)
        with deferred():  # Its servers take SIGTERM for themselves.
            strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    finally:
        faulthandler.cancel_dump_traceback_later()
    kind = "GPU" if mine else "CPU"
    names = tuple(f"{address}/{kind}:{i}" for address in cluster.addresses for i in range(max(len(mine), 1)))
    return StrategyReplicas(strategy, "multi_worker", names, workers=cluster.size, worker=cluster.index)


def _digest(config: Config) -> str:
    """What must be equal in all workers: the experiment and the version of TensorFlow."""
    fields = {name: value for name, value in sorted(config.to_dict().items()) if name not in HANDLING_FIELDS}
    return hashlib.sha256(f"{tf.__version__} {fields}".encode()).hexdigest()


def _are(count: int, kind: str) -> str:
    return f"is only 1 {kind}" if count == 1 else f"are only {count} {kind}s"
