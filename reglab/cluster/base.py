"""A cluster: the addresses of the workers, and which of them this process is."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Final

from reglab.inputs.texts import shown

MOST_WORKERS: Final = 10_000


@dataclasses.dataclass(frozen=True)
class Cluster:
    """At least two workers that train one model together.

    Attributes:
      addresses: host:port of each worker, the chief first.
      index: which of them this process is.
      source: where this is known from, "TF_CONFIG" or "Slurm".
    """

    addresses: tuple[str, ...]
    index: int
    source: str

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the summaries, the checkpoints and the progress."""
        return self.index == 0

    @property
    def address(self) -> str:
        """host:port of this worker."""
        return self.addresses[self.index]

    @property
    def local_rank(self) -> int:
        """Which of the workers on this host this one is."""
        return self._local_indices.index(self.index)

    @property
    def local_size(self) -> int:
        """How many of the workers are on this host."""
        return len(self._local_indices)

    @functools.cached_property
    def _local_indices(self) -> list[int]:
        hosts = [split_address(address)[0] for address in self.addresses]
        return [i for i, host in enumerate(hosts) if host == hosts[self.index]]

    def tf_config(self) -> str:
        """The JSON to put into `os.environ["TF_CONFIG"]` for TensorFlow, the same form from every source.

        All are of the type "worker": TensorFlow takes worker 0 for the chief where there is no task named so, and it
        refuses the older name "master".
        """
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": task})

    def name(self, index: int) -> str:
        """A worker as messages call it."""
        return f"worker {index} ({self.addresses[index]}{', the chief' if index == 0 else ''})"


def split_address(address: str) -> tuple[str, int]:
    """host and port of "host:port"; IPv6 hosts stand in brackets.

    Raises:
      ValueError: it has another form.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    if not host or len(host) > 255 or not host.isprintable() or " " in host or not is_port:
        raise ValueError(f"{shown(address)} is not host:port")
    return host, int(port)
