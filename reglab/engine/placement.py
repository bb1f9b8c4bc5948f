"""Decides what runs where: the replicas of a run, or lanes over devices and cores. Nothing else decides this.

If code asks for a device that does not exist, TensorFlow silently uses another, so everything is checked here.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Final

import tensorflow as tf

from reglab.cluster import Cluster, own_gpus
from reglab.config import Config, ConfigError
from reglab.config.devices import check_devices
from reglab.core.parameters import Weights
from reglab.engine import strategies
from reglab.engine.environment import be_deterministic, usable_cores
from reglab.engine.replicas import Replicas
from reglab.signals.stop import StopRequest

CACHE_BYTES: Final = 8 * 2**20
"""Upper bound for the states of all active lane groups on a CPU: parameters, slots and gradients."""
EARLY_LANES: Final = 4
"""The most lanes in a group on a CPU if lanes may stop early: a group runs as long as one of its lanes does. Groups of
this size take 5-15 % longer for a step of a lane than those of 8, and waste fewer places."""


def place_run(config: Config, cluster: Cluster | None, stop: StopRequest | None = None) -> Replicas:
    """Returns the replicas that a configuration asks for, on devices that exist.

    Args:
      stop: obeyed until all workers are there. After that they can only stop together, at `gather_numbers`.

    Raises:
      ConfigError: the devices do not exist.
      RendezvousError: a worker of the cluster did not appear.
      EarlyStop: one of the workers that had appeared received a stop signal.
    """
    _split_cpu(config)
    if config.deterministic:
        be_deterministic()
    if cluster is not None:
        return _place_worker(config, cluster, StopRequest() if stop is None else stop)
    devices = _devices(1 if config.strategy == "one_device" else config.num_devices)
    if len(devices) == 1 and config.strategy != "mirrored":
        return Replicas()
    return strategies.mirrored(devices)


@dataclasses.dataclass(frozen=True)
class LanePlacement:
    """Where lanes run, in groups that are trained side by side.

    On a CPU every core takes a group of its own: cores working on different lanes never wait for each other, whereas
    cores that share the small products of one step mostly do. A group is small enough that all active states stay in
    the cache. On MNIST with batch 32 and two cores, the time per lane relative to a single run is 0.66-0.80 for 16
    lanes in groups of 2, 0.79-1.04 in groups of 8, and 1.16 as one group. A GPU takes all its lanes as one group.

    Attributes:
      devices: devices of this machine, all of one kind; successive groups go to successive devices, in rotation.
      groups_each: how many groups run on a device at the same time.
      state_bytes: upper bound for the states of these groups, all together; None for no bound.
      most_lanes: upper bound for the lanes of a group; None for no bound.
    """

    devices: tuple[str, ...]
    groups_each: int = 1
    state_bytes: int | None = None
    most_lanes: int | None = None

    @property
    def at_work(self) -> int:
        """The number of groups that run at the same time."""
        return len(self.devices) * self.groups_each

    def group_size(self, lanes: int, bytes_each: int) -> int:
        """Returns the lanes per group: the fewest that keep `at_work` groups busy, in as few rounds as states allow.

        Args:
          lanes: the number of lanes.
          bytes_each: the size of one lane's state.
        """
        largest = lanes if self.state_bytes is None else max(1, self.state_bytes // (self.at_work * bytes_each))
        largest = min(largest, self.most_lanes or largest)
        rounds = -(-lanes // (self.at_work * largest))
        return min(largest, -(-lanes // (self.at_work * rounds)))

    def device_of(self, group: int) -> str | None:
        """The device of a group, or None, which means TensorFlow's default, if there is only one device."""
        return self.devices[group % len(self.devices)] if len(self.devices) > 1 else None

    def describe(self) -> str:
        """For display: ", lanes on CPU:0 and CPU:1", or nothing for a single device."""
        *most, last = self.devices
        return f", lanes on {', '.join(most)} and {last}" if most else ""


def place_lanes(config: Config) -> LanePlacement:
    """Places lanes on all devices of this machine or the first `num_devices`; ignores `strategy`, meant for replicas.

    Raises:
      ConfigError: the devices do not exist.
    """
    _split_cpu(config)
    devices = _devices(config.num_devices)
    if devices[0].startswith("GPU"):
        return LanePlacement(devices)
    return LanePlacement(devices, max(1, usable_cores() // len(devices)), CACHE_BYTES,
                         None if config.patience is None else EARLY_LANES)


def lane_bytes(weights: Weights) -> int:
    """The size of the states of lanes with these weights, including gradients and the two slots of Adam."""
    return 4 * sum(array.shape.num_elements() * array.dtype.size for array in tf.nest.flatten(weights))


def _devices(wanted: int | None) -> tuple[str, ...]:
    """Returns the first `wanted` devices of this machine, or all for None; GPUs if it has any, else CPUs.

    Raises:
      ConfigError: there are fewer devices than asked for.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = tuple(f"{kind}:{i}" for i in range(len(tf.config.list_logical_devices(kind))))
    check_devices(wanted, len(devices), kind)
    return devices[:wanted]


def _split_cpu(config: Config) -> None:
    if config.cpu_devices is None:
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * config.cpu_devices)
    except RuntimeError:  # TensorFlow has already started its devices in this process.
        found = len(tf.config.list_logical_devices("CPU"))
        if found != config.cpu_devices:
            raise ConfigError(f"--cpu_devices={config.cpu_devices}, but TensorFlow already runs with {found}: "
                              "start a new process") from None


def _place_worker(config: Config, cluster: Cluster, stop: StopRequest) -> Replicas:
    gpus = tf.config.list_physical_devices("GPU")
    mine = [gpus[i] for i in own_gpus(cluster, os.environ, len(gpus))]
    if config.num_devices is not None and config.num_devices != max(len(mine), 1):
        raise ConfigError(f"--num_devices={config.num_devices}, but this worker has {max(len(mine), 1)}: leave it out, "
                          "or set CUDA_VISIBLE_DEVICES")
    if gpus:
        tf.config.set_visible_devices(mine, "GPU")
    return strategies.multi_worker(config, cluster, mine, stop)

