"""The messages of the rendezvous (`reglab/cluster/rendezvous.py`): lines of JSON."""

from __future__ import annotations

import json
import socket
from typing import Any, Final

PROTOCOL: Final = "reglab-rendezvous-2"
LONGEST: Final = 65_536
"""The largest size of a message in bytes: enough for the indices of ten thousand missing workers."""


def message(**fields: Any) -> bytes:
    """Returns a message, which is one line of JSON."""
    return json.dumps(fields).encode() + b"\n"


def heard_message(line: bytes) -> Any:
    """Parses a message; anyone who knows the port may have sent it.

    Raises:
      ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def has_left(connection: socket.socket) -> bool:
    """Whether all is read that came from a connection and the other side has closed it: a worker that tried again."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
