"""Lets workers meet before TensorFlow starts, so that a missing worker is named in time instead of hanging the others.

TensorFlow opens a server on each worker's address and then waits for the others for ten minutes or more, ignoring
signals and timers. So the workers first meet here, on the same addresses:

- Every worker opens its own port. If it is in use, that shows at once; and no second process can be the same worker.
- Every worker but the chief connects to the chief, retrying until it answers, and says who it is. Anything else that
  connects (a port scanner, a gRPC client of an older run) is dropped.
- Whenever it changes, the chief tells all workers that are there which ones are still missing. An empty list releases
  them. Only the chief decides, so either all go on or none does. A worker that dies counts as missing again.
- A stop signal to any worker that is there stops all that are there, on the chief's word; once released, workers stop
  together later.
- Each worker closes its port when it is released, and the chief does so last, after the others have hung up: then no
  connection lingers on a port that TensorFlow is about to open.
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

_PAUSE: Final = 0.2  # Seconds between two attempts to reach the chief.
_ATTEMPT: Final = 3.0  # Seconds for one attempt, so that a lost packet does not use up all the time.


def wait_for_peers(cluster: Cluster, timeout: float, digest: str = "", stop: StopRequest | None = None) -> None:
    """Waits until every worker of the cluster has called this with the same `digest`; returns in all of them at once.

    Afterwards the worker's port is free for TensorFlow. Only the addresses of the cluster are contacted. Only the
    resolution of a host name can make it take longer than `timeout`.

    Args:
      timeout: the longest time to wait, in seconds.
      digest: something that must be equal on all workers, such as a hash of the configuration and the versions.
      stop: when a signal comes, this worker and with it all others stop waiting.

    Raises:
      RendezvousError: a worker did not appear in time or runs something else, or this worker's port is in use.
      EarlyStop: a stop signal came to one of the workers that were there.
    """
    stop = StopRequest() if stop is None else stop  # Not `stop or …`: a request without a signal is false.
    with _listen(cluster) as server:
        if cluster.is_chief:
            Gathering(cluster, server, digest, stop).run(timeout)
        else:
            _report(cluster, server, digest, timeout, stop)


def _listen(cluster: Cluster) -> socket.socket:
    """Opens this worker's port on every interface, just as TensorFlow will a moment later.

    Binding to its own host name would not work: many machines resolve it to 127.0.1.1, and in Kubernetes it may stand
    for a service. Only loopback addresses are bound as they are.
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
    """The part of every worker except the chief."""
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
                        server.close()  # Before the connection closes, which tells the chief that this port is free.
                        return
            missing, reason = [0], "it hung up"
        except TimeoutError:
            reason = "no answer"
        except (OSError, ValueError, KeyError, TypeError) as error:
            missing, reason = [0], getattr(error, "strerror", None) or "something else answers there"
        time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))
    raise absent(cluster, missing, timeout, f"did not appear{f' ({reason})' if missing == [0] else ''}")


def _answers(connection: socket.socket, deadline: float, stop: StopRequest) -> Iterator[Any]:
    """Yields the chief's messages until it hangs up; raises TimeoutError at the deadline.

    A stop signal is reported to the chief and its answer awaited, since it may have just released all workers.
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
