"""A cluster: the addresses of the workers, and which worker this process is."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Final

from reglab.inputs.texts import shown

MOST_WORKERS: Final = 10_000


@dataclasses.dataclass(frozen=True)
class Cluster:
    """At least two workers that train one model together.

    Attributes:
      addresses: host:port of each worker, the chief first.
      index: the index of this process among them.
      source: where the cluster is described, "TF_CONFIG" or "Slurm".
      job: what tells it from other clusters that may use the same ports; empty if its ports are its own.
      shifts: what a worker may add to its port, in this order, if that is taken.
    """

    addresses: tuple[str, ...]
    index: int
    source: str
    job: str = ""
    shifts: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes summaries and checkpoints and shows progress."""
        return self.index == 0

    @property
    def address(self) -> str:
        """host:port of this worker."""
        return self.addresses[self.index]

    @property
    def local_rank(self) -> int:
        """The index of this worker among those on the same host."""
        return self._local_indices.index(self.index)

    @property
    def local_size(self) -> int:
        """The number of workers on this host."""
        return len(self._local_indices)

    @functools.cached_property
    def _local_indices(self) -> list[int]:
        hosts = [split_address(address)[0] for address in self.addresses]
        return [i for i, host in enumerate(hosts) if host == hosts[self.index]]

    def choices(self, index: int) -> list[str]:
        """Returns the address of a worker, and then those that it may have if the port is taken."""
        host, _, port = self.addresses[index].rpartition(":")
        return [f"{host}:{int(port) + shift}" for shift in (0, *self.shifts)]

    def settled(self, chosen: Mapping[int, int]) -> Cluster:
        """Returns the cluster with the addresses that were agreed on.

        Args:
          chosen: for workers, by index, which of their `choices` it is; for all others it is the first.

        Raises:
          IndexError: there is no such worker or choice.
        """
        addresses = list(self.addresses)
        for index, choice in chosen.items():
            addresses[index] = self.choices(index)[choice]
        return dataclasses.replace(self, addresses=tuple(addresses), shifts=())

    def tf_config(self) -> str:
        """Returns the JSON for `os.environ["TF_CONFIG"]`, in the same form whatever the source of the cluster.

        All tasks have the type "worker": if no task is called chief, TensorFlow takes worker 0 for it, and it refuses
        the older name "master".
        """
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": task})

    def name(self, index: int) -> str:
        """Returns a worker's name for messages."""
        return f"worker {index} ({self.addresses[index]}{', the chief' if index == 0 else ''})"


def split_address(address: str) -> tuple[str, int]:
    """Splits "host:port" into host and port; IPv6 hosts are in brackets.

    Raises:
      ValueError: it does not have this form.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    if not host or len(host) > 255 or not host.isprintable() or " " in host or not is_port:
        raise ValueError(f"{shown(address)} is not host:port")
    return host, int(port)
