"""Meeting before TensorFlow starts, so that a worker that never connects is named in time and does not hang the others.

TensorFlow opens a server on each worker's own address and then waits for the others for ten minutes and more, deaf to
signals and timers. So the workers first meet here, on the same addresses:

- Every worker opens its own port. One that is taken shows at once, and a second process cannot be the same worker.
- Every other worker connects to the chief, again and again until it answers, and says who it is. What else connects
  (a port scanner, a gRPC client of an older run) is dropped.
- The chief tells all who are there which workers are still missing, whenever that changes. Nobody missing releases
  them: the one decision is the chief's, so either all go on or none does. A worker that dies is missing again.
- A stop signal to any who is there stops all who are there, by the chief's word; once released, they stop together
  later.
- Each closes its port when it is released, and the chief last, when the others have hung up: no connection then lingers
  on a port that TensorFlow is about to open.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

from reglab.cluster import gathering
from reglab.cluster.base import Cluster, split_address
from reglab.cluster.gathering import GOODBYE, LONGEST, POLL, PROTOCOL, Gathering, RendezvousError, absent, message
from reglab.signals.stop import EarlyStop, StopRequest

_PAUSE: Final = 0.2  # seconds between two attempts to reach the chief
_ATTEMPT: Final = 3.0  # seconds for one attempt, as a lost packet should not cost the whole time


def wait_for_peers(cluster: Cluster, timeout: float, digest: str = "", stop: StopRequest | None = None) -> None:
    """Returns when every worker of the cluster has called this with the same `digest`, in all of them at once.

    Afterwards the worker's port is free for TensorFlow. Only the addresses of the cluster are contacted. Resolving a
    name is the one thing that can go on for longer than `timeout`.

    Args:
      timeout: seconds.
      digest: what must be equal in all workers, such as a hash of the configuration and the versions.
      stop: when a signal comes, this worker and with it all others are to stop waiting.

    Raises:
      RendezvousError: a worker did not appear in time or runs something else, or this one's port is taken.
      EarlyStop: a stop signal came to one of those who were there.
    """
    stop = StopRequest() if stop is None else stop  # One to which nothing has come is false.
    with _listen(cluster) as server:
        if cluster.is_chief:
            Gathering(cluster, server, digest, stop).run(timeout)
        else:
            _report(cluster, server, digest, timeout, stop)


def _listen(cluster: Cluster) -> socket.socket:
    """This worker's port, open as TensorFlow will open it a moment later: on every interface.

    The own host name is no good to bind to: many machines resolve it to 127.0.1.1, and in Kubernetes it may stand for
    a service. Only loopback addresses are kept to themselves.
    """
    host, port = split_address(cluster.address)
    local = host == "localhost" or host == "::1" or host.startswith("127.")
    both = not local and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or host == "::1" else socket.AF_INET
    try:
        return socket.create_server((host if local else "", port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        variable = "REGLAB_PORT" if cluster.source == "Slurm" else cluster.source
        raise RendezvousError(f"{cluster.name(cluster.index)} cannot open its port "
                              f"({os.strerror(error.errno or 0)}): end what uses it, or set another in {variable}"
                              ) from None


def _report(cluster: Cluster, server: socket.socket, digest: str, timeout: float, stop: StopRequest) -> None:
    """The part of every worker but the chief."""
    deadline = time.monotonic() + timeout
    missing, reason = [0], "no answer"
    while (left := deadline - time.monotonic()) > 0:
        stop.check()
        try:
            with socket.create_connection(split_address(cluster.addresses[0]), min(left, _ATTEMPT)) as connection:
                connection.sendall(message(protocol=PROTOCOL, index=cluster.index, size=cluster.size, digest=digest,
                                           left=left))
                for answer in _answers(connection, deadline, stop):
                    if "error" in answer:
                        raise RendezvousError(str(answer["error"]))
                    if "stop" in answer:
                        stop.check()
                        raise EarlyStop(StopRequest().name)
                    missing = answer["missing"]
                    if not missing:
                        server.close()  # before the connection: that tells the chief that this port is free
                        return
            missing, reason = [0], "it hung up"
        except TimeoutError:
            reason = "no answer"
        except (OSError, ValueError, KeyError, TypeError) as error:
            missing, reason = [0], getattr(error, "strerror", None) or "something else answers there"
        time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))
    raise absent(cluster, missing, timeout, f"did not appear{f' ({reason})' if missing == [0] else ''}")


def _answers(connection: socket.socket, deadline: float, stop: StopRequest) -> Iterator[Any]:
    """The chief's messages, until it hangs up; TimeoutError at the deadline.

    A stop signal is told to the chief, who may have released all at this very moment: so its answer counts.
    """
    heard, told = b"", False
    while True:
        if stop and not told:
            connection.sendall(message(stop=stop.name))
            told, deadline = True, min(deadline, time.monotonic() + GOODBYE)
        if (left := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        connection.settimeout(min(left, POLL))
        try:
            came = connection.recv(LONGEST)
        except TimeoutError:
            continue
        if not came:
            return
        *lines, heard = (heard + came).split(b"\n")
        if len(heard) > LONGEST:
            raise ValueError("no message of the chief is so long")
        yield from map(gathering.heard_message, lines)
