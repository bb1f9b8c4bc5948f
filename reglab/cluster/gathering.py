"""The chief's side of the rendezvous (`reglab/cluster/rendezvous.py`)."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import Any, Final

from reglab.cluster.base import Cluster
from reglab.cluster.messages import LONGEST, PROTOCOL, has_left, heard_message, message
from reglab.inputs import exit_codes
from reglab.inputs.texts import shown
from reglab.signals.stop import EarlyStop, StopRequest
from reglab.storage.reading import is_number

GOODBYE: Final = 2.0
"""Seconds for released workers to hang up, and for the chief to answer a worker that was told to stop."""

POLL: Final = 0.2
"""Seconds between two checks for a stop signal."""

_MARGIN: Final = 0.5  # Seconds for bad news to reach everyone.


class RendezvousError(exit_codes.Ending, RuntimeError):
    """The workers of a cluster did not come together; one line names the missing or conflicting ones and what to do."""

    exit_code = exit_codes.PEER_LOST


def absent(cluster: Cluster, missing: list[int], timeout: float, what: str = "did not appear") -> RendezvousError:
    """Returns the error to raise when the time is up."""
    names = ", ".join(cluster.name(i) for i in missing)
    return RendezvousError(f"{names} {what} within {timeout:g} s: see that each was started and that the others can "
                           "reach its address, or allow more time with --rendezvous_timeout")


class Gathering:
    """The chief's part: records which workers are there, and tells them what they need to know."""

    def __init__(self, cluster: Cluster, server: socket.socket, choice: int, digest: str, stop: StopRequest) -> None:
        self._cluster, self._server, self._digest, self._stop = cluster, server, digest, stop
        self._heard: dict[socket.socket, bytes] = {}  # The incomplete line received from each open connection.
        self._present: dict[socket.socket, int] = {}  # The connections that are workers, with their indices.
        self._seen: set[int] = set()
        self._chosen = {0: choice}  # For each worker seen, which of its choices of a port it took.
        self._asked = False  # Whether a worker has reported a stop signal.
        self._deadline = float("inf")

    def run(self, timeout: float) -> Cluster:
        """Waits for all workers, releases them and hangs up; returns the cluster with the ports agreed on."""
        self._bound_deadline(timeout)
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            stack.callback(self._hang_up)
            self._server.setblocking(False)
            selector.register(self._server, selectors.EVENT_READ)
            try:
                while missing := self._missing():
                    self._heed_signals()
                    if (left := self._deadline - time.monotonic()) <= 0:
                        what = "came and ended again" if self._seen.issuperset(missing) else "did not appear"
                        raise absent(self._cluster, missing, timeout, what)
                    self._listen_once(selector, min(left, POLL))
                    if (still := self._missing()) and still != missing:
                        self._tell(missing=still)
            except RendezvousError as error:
                self._tell(error=str(error))
                raise
            selector.unregister(self._server)
            self._server.close()
            self._tell(missing=[], chosen=self._moved())
            end = time.monotonic() + GOODBYE
            while self._present and (left := end - time.monotonic()) > 0:
                self._listen_once(selector, left)
        return self._cluster.settled(self._chosen)

    def _moved(self) -> dict[int, list[int]]:
        """Returns who took another choice than the first, by choice, which is short for thousands of workers."""
        others = sorted(set(self._chosen.values()) - {0})
        return {choice: [i for i, its in self._chosen.items() if its == choice] for choice in others}

    def _heed_signals(self) -> None:
        """Stops all workers that are there if a stop signal has come to any of them."""
        if self._stop or self._asked:
            self._tell(stop=self._stop.name)
            raise EarlyStop(self._stop.name)

    def _bound_deadline(self, left: float) -> None:
        """Lets the shortest timeout decide for all, early enough that all learn of it from the chief.

        If each worker gave up on its own, one could do so at the very moment when the chief releases the others.
        """
        self._deadline = min(self._deadline, time.monotonic() + left - min(_MARGIN, left / 4))

    def _missing(self) -> list[int]:
        """Returns the workers that never came or, if there are none, those that came and are gone again."""
        missing = [i for i in range(1, self._cluster.size) if i not in self._present.values()]
        return [i for i in missing if i not in self._seen] or missing

    def _tell(self, **fields: Any) -> None:
        for connection in self._present:
            with contextlib.suppress(OSError):  # The worker is gone, which the next read will show.
                connection.sendall(message(**fields))

    def _listen_once(self, selector: selectors.BaseSelector, seconds: float) -> None:
        for key, _ in selector.select(seconds):
            with contextlib.suppress(OSError):
                if key.fileobj is self._server:
                    connection, _ = self._server.accept()
                    connection.setblocking(False)
                    self._heard[connection] = b""
                    selector.register(connection, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket) and not self._hear(key.fileobj):
                    selector.unregister(key.fileobj)
                    self._drop(key.fileobj)

    def _hear(self, connection: socket.socket) -> bool:
        """Reads what has arrived; returns False if the connection has ended or is not that of a worker."""
        try:
            came = connection.recv(LONGEST)
        except BlockingIOError:
            return True
        except OSError:
            return False
        *lines, self._heard[connection] = (self._heard[connection] + came).split(b"\n")
        if not came or max(map(len, [*lines, self._heard[connection]])) > LONGEST:
            return False
        try:
            return all(self._take(heard_message(line), connection) for line in lines)
        except (ValueError, KeyError, TypeError):
            return False

    def _take(self, said: dict[str, Any], connection: socket.socket) -> bool:
        """Handles a message, first a worker's hello, later perhaps a stop; returns False if it is not from a worker."""
        if connection in self._present:
            self._asked = self._asked or bool(said["stop"])
        elif said["protocol"] != PROTOCOL or said["job"] != self._cluster.job:
            return False
        else:
            self._admit(said, connection)
        return True

    def _admit(self, hello: dict[str, Any], connection: socket.socket) -> None:
        cluster, index, left, choice = self._cluster, hello["index"], hello["left"], hello["choice"]
        if not all(type(number) is int for number in (index, hello["size"], choice)) or not is_number(left):
            raise ValueError("no worker speaks like that")
        twin = next((other for other, i in self._present.items() if i == index and not has_left(other)), None)
        self._present[connection] = index
        self._seen.add(index)
        self._bound_deadline(left)
        if hello["size"] != cluster.size or not 0 < index < cluster.size:
            theirs = f"worker {shown(index, 40)} of {shown(hello['size'], 40)}"
            raise RendezvousError(f"a process at {connection.getpeername()[0]} says that it is {theirs}, but "
                                  f"there are {cluster.size}, counted from 0: give all "
                                  f"workers the same list of addresses ({cluster.source})")
        if twin is not None:
            raise RendezvousError(f"{cluster.name(index)} was started twice, at {twin.getpeername()[0]} and "
                                  f"{connection.getpeername()[0]}: give each worker its own index ({cluster.source})")
        if hello["digest"] != self._digest:
            raise RendezvousError(f"{cluster.name(index)} was started to run something else than the chief: start all "
                                  "workers with the same flags, files and versions")
        if not 0 <= choice <= len(cluster.shifts):
            raise ValueError("no worker has such a choice")
        self._chosen[index] = choice

    def _drop(self, connection: socket.socket) -> None:
        del self._heard[connection]
        self._present.pop(connection, None)
        connection.close()

    def _hang_up(self) -> None:
        for connection in self._heard:
            connection.close()
