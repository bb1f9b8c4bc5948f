"""Lets workers meet before TensorFlow starts, so that a missing worker is named in time instead of hanging the others.

TensorFlow opens a server on each worker's address and then waits for the others for ten minutes or more, ignoring
signals and timers. So the workers first meet here, on the same addresses:

- Every worker opens its own port. If it is in use, that shows at once; and no second process can be the same worker.
  Where reglab itself chose the ports, from the numbers of a Slurm job, the worker then takes the next of its choices.
- Every worker but the chief connects to the chief, retrying until it answers, and says who it is, of which job, and
  which choice it took. Anything else that connects (a worker of another job, a port scanner, a gRPC client of an older
  run) is dropped; workers look for their chief at all of its choices.
- Whenever it changes, the chief tells all workers that are there which ones are still missing. An empty list releases
  them, and tells who took another port. Only the chief decides, so either all go on or none does. A worker that dies
  counts as missing again.
- A stop signal to any worker that is there stops all that are there, on the chief's word; once released, workers stop
  together later.
- Each worker closes its port when it is released, and the chief does so last, after the others have hung up: then no
  connection lingers on a port that TensorFlow is about to open.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

from reglab.cluster.base import Cluster, split_address
from reglab.cluster.gathering import GOODBYE, POLL, Gathering, RendezvousError, absent
from reglab.cluster.messages import LONGEST, PROTOCOL, heard_message, message
from reglab.signals.stop import EarlyStop, StopRequest

_PAUSE: Final = 0.2  # Seconds between two attempts to reach the chief.
_ATTEMPT: Final = 3.0  # Seconds for one attempt, so that a lost packet does not use up all the time.


def wait_for_peers(cluster: Cluster, timeout: float, digest: str = "", stop: StopRequest | None = None) -> Cluster:
    """Waits until every worker of the cluster has called this with the same `digest`; returns in all of them at once.

    Afterwards the worker's port is free for TensorFlow. Only the addresses of the cluster are contacted. Only the
    resolution of a host name can make it take longer than `timeout`.

    Args:
      timeout: the longest time to wait, in seconds.
      digest: something that must be equal on all workers, such as a hash of the configuration and the versions.
      stop: when a signal comes, this worker and with it all others stop waiting.

    Returns:
      The cluster with the ports that all agreed on.

    Raises:
      RendezvousError: a worker did not appear in time or runs something else, or this worker's port is in use.
      EarlyStop: a stop signal came to one of the workers that were there.
    """
    stop = StopRequest() if stop is None else stop  # Not `stop or …`: a request without a signal is false.
    server, choice = _listen(cluster)
    with server:
        if cluster.is_chief:
            return Gathering(cluster, server, choice, digest, stop).run(timeout)
        return _report(cluster, server, choice, digest, timeout, stop)


def _listen(cluster: Cluster) -> tuple[socket.socket, int]:
    """Opens the first of this worker's ports that is free; returns which of its choices that is, too."""
    for choice, address in enumerate(cluster.choices(cluster.index)):
        try:
            return _opened(address, everywhere=cluster.source == "Slurm"), choice
        except OSError as error:
            problem = os.strerror(error.errno or 0)
    variable = "REGLAB_PORT" if cluster.source == "Slurm" else cluster.source
    raise RendezvousError(f"{cluster.name(cluster.index)} cannot open its port ({problem}): end what uses it, or set "
                          f"another in {variable}")


def _opened(address: str, *, everywhere: bool) -> socket.socket:
    """Opens a port on every interface, just as TensorFlow will a moment later.

    Binding to its own host name would not work: many machines resolve it to 127.0.1.1, and in Kubernetes it may stand
    for a service. Only loopback addresses are bound as they are, unless they stand for nodes.
    """
    host, port = split_address(address)
    local = not everywhere and (host == "localhost" or host == "::1" or host.startswith("127."))
    both = not local and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or host == "::1" else socket.AF_INET
    return socket.create_server((host if local else "", port), family=family, dualstack_ipv6=both, backlog=1024)


def _report(cluster: Cluster, server: socket.socket, choice: int, digest: str, timeout: float,
            stop: StopRequest) -> Cluster:
    """The part of every worker except the chief."""
    deadline = time.monotonic() + timeout
    missing, reason = [0], "no answer"
    for place in _places_of_chief(cluster):
        if (left := deadline - time.monotonic()) <= 0:
            break
        stop.check()
        try:
            with socket.create_connection(place, min(left, _ATTEMPT)) as connection:
                connection.sendall(message(protocol=PROTOCOL, job=cluster.job, index=cluster.index, size=cluster.size,
                                           choice=choice, digest=digest, left=left))
                for answer in _answers(connection, deadline, stop, _ATTEMPT if cluster.shifts else timeout):
                    if "error" in answer:
                        raise RendezvousError(str(answer["error"]))
                    if "stop" in answer:
                        stop.check()
                        raise EarlyStop(StopRequest().name)
                    missing = answer["missing"]
                    if not missing:
                        server.close()  # Before the connection closes, which tells the chief that this port is free.
                        return cluster.settled({i: int(at) for at, those in answer["chosen"].items() for i in those})
            missing, reason = [0], "it hung up"
        except TimeoutError:
            reason = "no answer"
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            missing, reason = [0], getattr(error, "strerror", None) or "something else answers there"
        time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))
    raise absent(cluster, missing, timeout, f"did not appear{f' ({reason})' if missing == [0] else ''}")


def _places_of_chief(cluster: Cluster) -> Iterator[tuple[str, int]]:
    """Yields, without end, where to look for the chief: every other time where it should be, else somewhere else."""
    first, *others = map(split_address, cluster.choices(0))
    for other in itertools.cycle(others or [first]):
        yield first
        yield other


def _answers(connection: socket.socket, deadline: float, stop: StopRequest, patience: float) -> Iterator[Any]:
    """Yields the chief's messages until it hangs up.

    Raises:
      TimeoutError: the deadline is over, or nothing came in `patience` seconds, as from one who is no chief.

    A stop signal is reported to the chief and its answer awaited, since it may have just released all workers.
    """
    heard, told, is_chief = b"", False, False
    silent_until = time.monotonic() + patience
    while True:
        if stop and not told:
            connection.sendall(message(stop=stop.name))
            told, deadline = True, min(deadline, time.monotonic() + GOODBYE)
        if (left := (deadline if is_chief else min(deadline, silent_until)) - time.monotonic()) <= 0:
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
        for line in lines:
            yield heard_message(line)
            is_chief = True
