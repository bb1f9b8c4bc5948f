"""The libraries that can be raced, by name. This imports neither them nor NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final


@dataclasses.dataclass(frozen=True)
class Peer:
    """How to start a peer: `python -m module`, if the packages in `requires` are installed."""

    module: str
    requires: tuple[str, ...]


REFERENCE: Final = "reglab"
_ROOM: Final = "reglab.benchmark.peers"
PEERS: Final[Mapping[str, Peer]] = {
    REFERENCE: Peer(f"{_ROOM}.reglab_loop", ("tensorflow",)),
    "keras": Peer(f"{_ROOM}.keras_fit", ("keras", "tensorflow")),
    "keras_tuned": Peer(f"{_ROOM}.keras_tuned", ("keras", "tensorflow")),
    "jax": Peer(f"{_ROOM}.jax_scan", ("jax", "optax")),
    "torch": Peer(f"{_ROOM}.torch_eager", ("torch",)),
    "torch_compiled": Peer(f"{_ROOM}.torch_compiled", ("torch",)),
}
